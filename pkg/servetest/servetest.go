// Package servetest runs one service in a test as a process runs it: its real
// store on either engine, the real chain of interceptors, calls with real
// tokens over an in-memory connection.
//
// Two things are the test's own: what service permission answers (Options.May)
// and what sister services answer (Options.Sisters). Everything between them
// and the handlers is what production has, so a test of a service also tests
// that its protos carry the right rules.
package servetest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/pkg/watch"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// issuer is the issuer of the tests' tokens.
const issuer = "https://guildhall.test"

// Options says what differs from the default: everything is allowed, no sister
// answers, there is no Redis, and the clock is the real one.
type Options struct {
	// Engine is "bolt" or "postgres"; empty is "bolt".
	Engine string
	// StoreURL is a store that several servers of a test share, as replicas or
	// one after the other. Empty is a fresh one on Engine.
	StoreURL string
	// Ring is the keyset of such a store; nil is a fresh one.
	Ring *seal.Ring
	// May answers permission checks; nil allows all.
	May func(r authz.Request) bool
	// Standing returns why a caller may not act at all, as authz.Refusal does,
	// or nil when it may. It is asked before May. Nil lets all act.
	Standing func(c authn.Caller) error
	// Sisters are the connections of Kit.Dial by service.
	Sisters map[string]grpc.ClientConnInterface
	Redis   redis.UniversalClient
	// Clock is the time the service goes by. Tokens go by the real one.
	Clock func() time.Time
}

// Server is a running service.
type Server struct {
	// Service is what build returned.
	Service serve.Service
	// Store is the service's store as the service sees it; nil before it has
	// opened one.
	Store kv.Store

	tables   []string // of the store
	draining chan struct{}
	streams  *watch.Streams
	changes  chan *permissionv1.WatchChangesResponse
	signer   *authn.Signer
	cluster  *authn.ClusterKey
	listener *bufconn.Listener
	stop     func(testing.TB)
}

// Start builds the service and serves it until the test ends.
func Start(t testing.TB, name string, build func(context.Context, *serve.Kit) (serve.Service, error), opts Options) *Server {
	t.Helper()
	s := &Server{cluster: authn.NewClusterKey(), listener: bufconn.Listen(1 << 20), draining: make(chan struct{}), changes: make(chan *permissionv1.WatchChangesResponse)}
	key, err := authn.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if s.signer, err = authn.NewSigner(issuer, authn.KeySet{Current: key}); err != nil {
		t.Fatal(err)
	}
	kit := s.kit(t, name, opts)
	if s.Service, err = build(t.Context(), kit); err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	server := s.server(t, name, opts)
	s.Service.Register(server)
	if err := rpc.CheckRegistered(server); err != nil {
		t.Fatal(err)
	}
	s.run(t, server)
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *Server) kit(t testing.TB, name string, opts Options) *serve.Kit {
	ring := opts.Ring
	if ring == nil {
		var err error
		if ring, err = seal.New(); err != nil {
			t.Fatal(err)
		}
	}
	clock := opts.Clock
	if clock == nil {
		clock = time.Now
	}
	return &serve.Kit{
		Name: name, Logger: slog.New(slog.DiscardHandler),
		Meter: metricnoop.NewMeterProvider().Meter(name), Tracer: tracenoop.NewTracerProvider().Tracer(name),
		Ring: ring, Redis: opts.Redis, Clock: clock, Folder: t.TempDir(),
		OpenStore: func(ctx context.Context, tables []string, migrations []kv.Migration) (kv.Store, error) {
			return s.openStore(ctx, t, name, ring, opts, tables, migrations)
		},
		Dial: func(service string) grpc.ClientConnInterface {
			if conn := opts.Sisters[service]; conn != nil {
				return conn
			}
			return away(service)
		},
	}
}

func (s *Server) openStore(ctx context.Context, t testing.TB, name string, ring *seal.Ring, opts Options, tables []string, migrations []kv.Migration) (kv.Store, error) {
	url := opts.StoreURL
	if url == "" {
		engine := opts.Engine
		if engine == "" {
			engine = "bolt"
		}
		url = testkit.StoreURL(t, engine)
	}
	raw, err := kvopen.Open(ctx, url, kvopen.Options{Name: name, Tables: tables})
	if err != nil {
		return nil, err
	}
	s.Store, s.tables = ring.Wrap(raw), tables
	return s.Store, kv.Migrate(ctx, s.Store, migrations)
}

func (s *Server) server(t testing.TB, name string, opts Options) *grpc.Server {
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: issuer, Cluster: s.cluster, Services: []string{name},
		Keys: func(context.Context) (authn.JWKS, error) { return s.signer.JWKS(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.streams, err = watch.New(nil); err != nil {
		t.Fatal(err)
	}
	cfg := rpc.Config{Streams: s.streams, Verifier: verifier, Checker: checker{opts.May, opts.Standing}, Logger: slog.New(slog.DiscardHandler)}
	if keeper, ok := s.Service.(serve.DenialKeeper); ok {
		cfg.OnDenied = keeper.OnDenied
	}
	if source, ok := s.Service.(serve.ValueSource); ok {
		cfg.Values = source.Values
	}
	options, err := rpc.ServerOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return grpc.NewServer(append(options, grpc.ChainStreamInterceptor(s.drainable))...)
}

// drainable gives streams what serve.Draining reads.
func (s *Server) drainable(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, drainableStream{ss, serve.WithDraining(ss.Context(), s.draining)})
}

type drainableStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s drainableStream) Context() context.Context { return s.ctx }

// run starts everything; s.stop ends it in the order of a process.
func (s *Server) run(t testing.TB, server *grpc.Server) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served, ran, watched := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	go func() { ran <- s.Service.Run(ctx) }()
	go func() {
		s.streams.Run(ctx, func(ctx context.Context) (watch.Watch, error) { return &changes{ctx, s.changes}, nil }, slog.New(slog.DiscardHandler))
		watched <- nil
	}()
	stopped := false
	s.stop = func(t testing.TB) {
		if stopped {
			return
		}
		stopped = true
		cancel()
		server.Stop()
		for what, done := range map[string]chan error{"serve": served, "run": ran, "watch": watched} {
			if err := <-done; err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := s.Service.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if s.Store != nil {
			if err := s.Store.Close(); err != nil {
				t.Errorf("close the store: %v", err)
			}
		}
	}
}

// Drain tells open streams that the process stops taking calls, once.
func (s *Server) Drain() { close(s.draining) }

// Stop ends the service before the test does, as a restart would.
func (s *Server) Stop(t testing.TB) { s.stop(t) }

// As returns a connection signed in as the account, or as one of the suite's
// own services when account is "services/…".
func (s *Server) As(t testing.TB, account string) grpc.ClientConnInterface {
	t.Helper()
	return s.dial(t, s.credentials(t, account))
}

// Anonymous returns a connection without a token.
func (s *Server) Anonymous(t testing.TB) grpc.ClientConnInterface {
	t.Helper()
	return s.dial(t)
}

func (s *Server) dial(t testing.TB, extra ...grpc.DialOption) grpc.ClientConnInterface {
	options := append(rpc.DialOptions(rpc.DialConfig{}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.listener.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///memory", append(options, extra...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// checker answers from functions.
type checker struct {
	may      func(authz.Request) bool
	standing func(authn.Caller) error
}

func (c checker) Check(_ context.Context, r authz.Request) (authz.Answer, error) {
	if c.standing != nil {
		if err := c.standing(r.Caller); err != nil {
			return authz.Answer{}, err
		}
	}
	if r.Permission == "" || c.may == nil || c.may(r) {
		return authz.Answer{Allowed: true}, nil
	}
	return authz.Answer{}, authz.NewDenied(r.Permission, r.Resources[0])
}

func (c checker) Which(ctx context.Context, r authz.Request, variants []*permissionv1.Attributes) ([]authz.Answer, error) {
	return authz.Each(ctx, c.Check, r, variants)
}
