package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/telemetry"
	"guildhall.dev/pkg/watch"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Process is a running process. Make one with Start.
type Process struct {
	program   string
	cfg       *conf.Process
	sections  []conf.Section
	console   io.Writer
	logger    *slog.Logger
	telemetry *telemetry.Telemetry
	units     []*unit
	redis     *redisPool
	dialer    *dialer
	ready     *readiness
	drain     *drain
	health    *health.Server
	denials   denials
	sources   sources
	streams   *watch.Streams
	// permission tells of changes to streams; nil in a process of edges only.
	permission permissionv1.CheckServiceClient
	addresses  Addresses

	network, memory *grpc.Server // network is nil in a process of edges only
	edge, admin     *http.Server // edge is nil without an edge

	started   time.Time
	readyOnce sync.Once
	isReady   chan struct{}
	failed    chan error // the first failure of a server or a Run
	running   sync.WaitGroup
	servers   sync.WaitGroup
	endRuns   context.CancelFunc
}

// Addresses returns what the process listens on.
func (p *Process) Addresses() Addresses { return p.addresses }

// Ready is closed when the process first was ready.
func (p *Process) Ready() <-chan struct{} { return p.isReady }

// Failed yields the error of a service or a server that brings the process
// down. Whoever waits for it calls Stop.
func (p *Process) Failed() <-chan error { return p.failed }

// Start loads the configuration and starts the named services of a program,
// all when targets is empty. It returns when all of them are built and the
// servers answer, which is before they are ready. On an error everything is
// closed again. Logs go to stderr.
func Start(ctx context.Context, program string, builders []Builder, targets []string, source conf.Source, stderr io.Writer) (*Process, error) {
	env, err := newEnv(program, io.Discard, stderr, builders)
	if err != nil {
		return nil, err
	}
	env.source = source
	return env.start(ctx, targets)
}

func (e *Env) start(ctx context.Context, targets []string) (_ *Process, err error) {
	cfg, err := e.Load()
	if err != nil {
		return nil, err
	}
	units, err := e.choose(targets)
	if err != nil {
		return nil, err
	}
	p := &Process{
		program: e.Program, cfg: cfg, sections: e.sections, units: units, console: e.Stderr, started: time.Now(),
		logger: telemetry.NewLogger(e.Stderr, telemetry.LogConfig{Level: telemetry.ParseLevel(cfg.Log.Level), JSON: cfg.Log.Format == "json"}),
		redis:  &redisPool{}, drain: newDrain(), ready: &readiness{}, health: health.NewServer(), denials: denials{}, sources: sources{},
		isReady: make(chan struct{}), failed: make(chan error, 1), endRuns: func() {},
	}
	hasEdge := slices.ContainsFunc(units, func(u *unit) bool { return u.Edge })
	hasCore := slices.ContainsFunc(units, func(u *unit) bool { return !u.Edge })
	ports, err := listen(ctx, cfg, hasCore, hasEdge)
	if err != nil {
		return nil, err
	}
	p.addresses = ports.addresses()
	defer func() {
		if err != nil {
			ports.close()
			err = errors.Join(err, p.release(ctx))
		}
	}()
	p.telemetry, err = telemetry.Open(ctx, telemetry.Config{
		Program: e.Program, Version: version(), OTLPEndpoint: cfg.Telemetry.OTLPEndpoint, SampleRatio: cfg.Telemetry.SampleRatio,
	})
	if err != nil {
		return nil, err
	}
	redis.SetLogger(redisLog{p.logger})
	if err := p.build(ctx); err != nil {
		return nil, err
	}
	if err := p.prepare(hasCore); err != nil {
		return nil, err
	}
	p.serve(ctx, ports)
	return p, nil
}

// choose returns the units to run.
func (e *Env) choose(targets []string) ([]*unit, error) {
	var names []string
	for _, u := range e.units {
		names = append(names, u.Name)
	}
	for _, target := range targets {
		if !slices.Contains(names, target) {
			return nil, errs.New(errs.Invalid, "TARGET_UNKNOWN",
				fmt.Sprintf("there is no service %q to run; there are: %s", target, strings.Join(names, ", ")))
		}
	}
	if len(targets) == 0 {
		return e.units, nil
	}
	return slices.DeleteFunc(slices.Clone(e.units), func(u *unit) bool { return !slices.Contains(targets, u.Name) }), nil
}

// build builds the services, in order.
func (p *Process) build(ctx context.Context) error {
	if err := makeFolder(p.cfg.Data); err != nil {
		return err
	}
	cluster, err := authn.OpenClusterKey(p.cfg.ClusterKeyFile())
	if err != nil {
		return errs.New(errs.Precondition, "CLUSTER_KEY_UNUSABLE", "the services' shared key cannot be used", errs.Cause(err))
	}
	if p.dialer, err = newDialer(p, p.units, cluster); err != nil {
		return err
	}
	for _, u := range p.units {
		if err := u.build(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the servers, the services' Runs and the readiness loop.
func (p *Process) serve(ctx context.Context, ports listeners) {
	p.goServe("the in-memory server", func() error { return p.memory.Serve(p.dialer.memory) })
	if p.network != nil {
		p.goServe("the gRPC server", func() error { return p.network.Serve(ports.grpc) })
	}
	if p.edge != nil {
		p.goServe("the HTTP server", func() error { return serveHTTP(p.edge, ports.http) })
	}
	p.goServe("the admin server", func() error { return serveHTTP(p.admin, ports.admin) })

	// Runs outlive ctx: they end when the drain says so.
	runs, end := context.WithCancel(context.WithoutCancel(ctx))
	p.endRuns = end
	for _, u := range p.units {
		p.running.Go(func() { p.run(runs, u) })
	}
	p.running.Go(func() { p.watch(runs) })
	p.running.Go(func() { p.watchStreams(runs) })
}

func (p *Process) goServe(name string, serve func() error) {
	p.servers.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// run is one service's background work.
func (p *Process) run(ctx context.Context, u *unit) {
	err := u.service.Run(ctx)
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())):
	case err != nil:
		p.fail(fmt.Errorf("service %s failed: %w", u.Name, err))
	default:
		p.fail(fmt.Errorf("service %s failed: its background work ended by itself", u.Name))
	}
}

// fail records the first failure.
func (p *Process) fail(err error) {
	select {
	case p.failed <- err:
	default:
		p.logger.Error("another failure", "error", err)
	}
}
