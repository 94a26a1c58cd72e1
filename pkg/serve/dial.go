package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/telemetry"
)

// memoryBuffer is how much one direction of an in-memory connection holds.
const memoryBuffer = 1 << 20

// largestAnswer is what a client takes at least: answers hold whole pages and
// are larger than requests.
const largestAnswer = 16 * conf.MiB

// dialer makes the connections between services and keeps them, one for each
// pair, until the process ends.
type dialer struct {
	cfg       *conf.Process
	logger    *slog.Logger
	telemetry *telemetry.Telemetry
	cluster   *authn.ClusterKey
	memory    *bufconn.Listener
	local     map[string]bool // services of this process
	remote    credentials.TransportCredentials

	mu    sync.Mutex
	conns map[[2]string]*grpc.ClientConn
}

func newDialer(p *Process, units []*unit, cluster *authn.ClusterKey) (*dialer, error) {
	d := &dialer{
		cfg: p.cfg, logger: p.logger, telemetry: p.telemetry, cluster: cluster,
		memory: bufconn.Listen(memoryBuffer), local: map[string]bool{},
		remote: insecure.NewCredentials(), conns: map[[2]string]*grpc.ClientConn{},
	}
	for _, u := range units {
		d.local[u.Name] = true
	}
	if p.cfg.Dial.CAFile != "" {
		var err error
		if d.remote, err = dialCredentials(p.cfg.Dial, p.logger); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// dial returns the connection from a service to another. An edge passes its
// callers' tokens on and proves itself beside them; others speak for
// themselves.
func (d *dialer) dial(from Builder, target string) grpc.ClientConnInterface {
	d.mu.Lock()
	defer d.mu.Unlock()
	pair := [2]string{from.Name, target}
	if conn, ok := d.conns[pair]; ok {
		return conn
	}
	proof := authn.ServiceCredentials(d.cluster, from.Name, target)
	if from.Edge {
		proof = authn.ForwarderCredentials(d.cluster, from.Name, target)
	}
	options := rpc.DialOptions(rpc.DialConfig{
		Credentials: proof, Meter: d.telemetry.MeterProvider(), Tracer: d.telemetry.TracerProvider(),
		MaxMessage: int(max(d.cfg.Limits.MessageSize, largestAnswer)),
	})
	address, known := d.cfg.Services[target]
	switch {
	case d.local[target]:
		address = "passthrough:///" + target
		options = append(options, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return d.memory.DialContext(ctx)
		}))
	case !known:
		return nowhere{target}
	default:
		options = append(options, grpc.WithTransportCredentials(d.remote))
	}
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		d.logger.Error("the address of a service cannot be used", "key", "process.services."+target, "error", err)
		return nowhere{target}
	}
	d.conns[pair] = conn
	return conn
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.conns {
		// The only error is that it is closed already.
		_ = conn.Close()
	}
}

// nowhere is the connection to a service whose address nobody configured. Its
// calls fail like those to a service that is away: it may be deployed later.
type nowhere struct{ service string }

func (n nowhere) err() error {
	return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "a part of the suite is away; try again later",
		errs.Cause(fmt.Errorf("service %s is not in this process: set process.services.%s to its address", n.service, n.service)))
}

func (n nowhere) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return n.err() }

func (n nowhere) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, n.err()
}
