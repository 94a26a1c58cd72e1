// Package rpc is what stands between the wire and a handler: the one chain of
// interceptors on every server of the suite and its mirror on every client.
//
// A server call passes, in this order: recover (a panic is one failed call,
// not a dead process), observe (trace, metrics, one log line), deadline,
// authenticate, authorise from the rule in the RPC's proto, ask for a fresh proof
// of who is calling where it says so, validate from the protovalidate rules in it;
// and what the handler returns passes the field policies of the caller's
// organisation (disclose.go). Authorisation comes before validation (AIP-211), so
// that a stranger learns nothing from how a request is refused. A client call
// carries the service's own token, the request id and the trace, and its errors
// come back as what they were on the other side: *errs.Error.
//
// The chain is one function that calls its steps, not an interceptor for each: fewer
// hops, and the order can be read in one place. It knows no service and has no
// switch to turn a step off.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/watch"
)

// Config is what a server's interceptors need. Verifier, Checker and Logger
// are required; the rest has defaults.
type Config struct {
	Verifier *authn.Verifier
	Checker  authz.Checker
	// Discloser is asked what a caller sees of data classes, where the Checker
	// says that this may not be all. Without one such calls fail.
	Discloser authz.Discloser
	// Logger gets one line for each call. It never sees a request or an answer.
	// One of telemetry.NewLogger adds the request id and the trace.
	Logger *slog.Logger

	// Meter and Tracer are off when nil.
	Meter  metric.MeterProvider
	Tracer trace.TracerProvider

	// DefaultDeadline is given to a unary call that came without one: 10 s.
	DefaultDeadline time.Duration
	// MaxDeadline is the longest that a unary call may ask for: 60 s.
	MaxDeadline time.Duration
	// Recheck is how old the permission check of an open stream may be when it
	// sends a message: 1 s. An older one is made again first, so that a stream
	// opened before a revocation goes silent soon after it.
	Recheck time.Duration
	// Streams, when set, are where open streams are entered, so that they end
	// when their callers may not go on.
	Streams *watch.Streams
	// RecheckWatched is how old the check of a stream may be while Streams hear
	// of all changes: 1 min. It is for what no change announces, as a condition
	// on the time of day.
	RecheckWatched time.Duration

	// MaxStreams is how many streams one account may have open on this server:
	// 1000.
	MaxStreams int
	// FirstMessage is how long a stream may take to send its first message:
	// 10 s.
	FirstMessage time.Duration

	// Forwarders are the short names of the services whose word on the
	// caller's address, language and request id is taken: "gateway".
	Forwarders []string
	// OnDenied hears of each refused caller; see authz.Guard.
	OnDenied func(ctx context.Context, r authz.Request, method string)
	// Values returns what the attribute that a rule varies by may be for a
	// request that has yet to be authorised and validated; see authz.Scope.
	// Where it is nil nobody may make such calls.
	Values func(ctx context.Context, rule *authz.Rule, request proto.Message) (authz.Values, error)
	// ReadOnly, when it returns true, refuses RPCs that change state
	// (Precondition, READ_ONLY). Nil is never.
	ReadOnly func() bool
	// TLS is the server's certificate and, for mTLS, the clients' authority.
	// Nil is plain text.
	TLS *tls.Config

	// MaxMessage is the largest message taken, in bytes: 4 MiB.
	MaxMessage int

	// files are the protos; nil is all linked ones. Only tests set it.
	files *protoregistry.Files
}

func (cfg *Config) setDefaults() error {
	if cfg.Verifier == nil || cfg.Checker == nil || cfg.Logger == nil {
		return errors.New("a gRPC server needs a verifier, a checker and a logger")
	}
	setDefault(&cfg.DefaultDeadline, 10*time.Second)
	setDefault(&cfg.MaxDeadline, time.Minute)
	setDefault(&cfg.Recheck, time.Second)
	setDefault(&cfg.RecheckWatched, time.Minute)
	setDefault(&cfg.MaxMessage, 4<<20)
	setDefault(&cfg.MaxStreams, 1000)
	setDefault(&cfg.FirstMessage, firstMessage)
	if cfg.Forwarders == nil {
		cfg.Forwarders = []string{"gateway"}
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// ServerOptions returns the options that every gRPC server of the suite is
// made with. Call CheckRegistered once its services are registered.
func ServerOptions(cfg Config) ([]grpc.ServerOption, error) {
	s, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	cfg = s.cfg
	opts := []grpc.ServerOption{
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(cfg.MaxMessage),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.NumStreamWorkers(workers()),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMin, PermitWithoutStream: true}),
		// Connections are renewed now and then, so that clients behind a name
		// find replicas that were added since.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: keepaliveTime, Timeout: keepaliveTimeout,
			MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: 5 * time.Minute,
		}),
	}
	if cfg.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	if traced(cfg.Tracer) {
		opts = append(opts, grpc.StatsHandler(otelgrpc.NewServerHandler(telemetryOptions(nil, cfg.Tracer)...)))
	}
	return opts, nil
}

// workers is how many goroutines answer calls one after the other. A call on a
// goroutine of its own grows its stack several times on the way through the
// interceptors, which costs more than most calls. Calls beyond that many at a
// time, and streams that stay open, get goroutines of their own all the same.
func workers() uint32 { return uint32(64 * runtime.GOMAXPROCS(0)) }

// The client pings less often than the server allows: a server ends the
// connection of a client that pings more.
const (
	keepaliveMin     = 10 * time.Second
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// telemetryOptions never falls back to OpenTelemetry's global providers: what
// a process reports is decided where it is put together.
func telemetryOptions(meter metric.MeterProvider, tracer trace.TracerProvider) []otelgrpc.Option {
	if meter == nil {
		meter = metricnoop.NewMeterProvider()
	}
	if tracer == nil {
		tracer = tracenoop.NewTracerProvider()
	}
	return []otelgrpc.Option{
		otelgrpc.WithMeterProvider(meter), otelgrpc.WithTracerProvider(tracer),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
	}
}
