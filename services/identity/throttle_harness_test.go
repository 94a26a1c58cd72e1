package identity_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// addressed is an in-memory listener whose connections come from where the test
// says.
type addressed struct {
	*bufconn.Listener
	mu    sync.Mutex
	next  net.Addr // of the connection that is being made, nil for none
	taken chan struct{}
}

func newAddressed() *addressed {
	return &addressed{Listener: bufconn.Listen(1 << 20), taken: make(chan struct{}, 1)}
}

// Accept implements net.Listener.
func (l *addressed) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from := l.next
	l.taken <- struct{}{}
	if from == nil {
		return conn, nil
	}
	return addressedConn{Conn: conn, from: from}, nil
}

type addressedConn struct {
	net.Conn
	from net.Addr
}

// RemoteAddr implements net.Conn.
func (c addressedConn) RemoteAddr() net.Addr { return c.from }

// dial returns once the connection is accepted.
func (l *addressed) dial(ctx context.Context, from net.Addr) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = from
	conn, err := l.DialContext(ctx)
	if err == nil {
		<-l.taken
	}
	return conn, err
}

// from returns a client at the address.
func (p *process) from(address string) identityv1.AuthServiceClient {
	return identityv1.NewAuthServiceClient(p.connFrom(address))
}

// connFrom returns a connection from the address.
func (p *process) connFrom(address string) *grpc.ClientConn {
	p.t.Helper()
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 50_000))
	conn, err := grpc.NewClient("passthrough:///identity", append(rpc.DialOptions(rpc.DialConfig{}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.listener.dial(ctx, from) }))...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

func (p *process) throttles() identityv1.ThrottleServiceClient {
	return identityv1.NewThrottleServiceClient(p.conn)
}

// guess logs in with a wrong password, and returns how long it was told to wait.
func guess(t testing.TB, from identityv1.AuthServiceClient, identifier string) time.Duration {
	t.Helper()
	_, err := from.Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: identifier, Password: "not the password"})
	if errs.Is(err, errs.Exhausted) {
		wantThrottled(t, err)
		return errs.From(err).RetryAfter
	}
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	return 0
}

func wantThrottled(t testing.TB, err error) {
	t.Helper()
	wantError(t, err, errs.Exhausted, "LOGIN_THROTTLED")
	if errs.From(err).RetryAfter <= 0 {
		t.Errorf("%v does not say when to come back", err)
	}
}

// tire guesses until there is a wait.
func tire(t testing.TB, from identityv1.AuthServiceClient, identifier string) (guesses int) {
	t.Helper()
	for guess(t, from, identifier) == 0 {
		if guesses++; guesses > 500 {
			t.Fatal("nothing stops the guesses")
		}
	}
	return guesses
}
