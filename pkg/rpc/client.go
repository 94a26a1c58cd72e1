package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"guildhall.dev/pkg/errs"
)

// DialConfig is what a client of a sister service needs. All fields have
// defaults.
type DialConfig struct {
	// Credentials prove who is calling: authn.ServiceCredentials for a service,
	// authn.ForwarderCredentials for the gateway. Nil sends none.
	Credentials credentials.PerRPCCredentials
	// TLS verifies the server and, for mTLS, holds the client's certificate.
	// Nil is plain text.
	TLS *tls.Config
	// Meter and Tracer are off when nil.
	Meter  metric.MeterProvider
	Tracer trace.TracerProvider
	// Timeout is given to a unary call whose context has no deadline: 10 s.
	Timeout time.Duration
	// MaxMessage is the largest answer taken, in bytes: 16 MiB.
	MaxMessage int
}

// DialOptions returns the options that every client connection of the suite is
// made with. Errors of its calls are *errs.Error. Calls to several addresses
// take turns among them, and a unary Get, List or Check that finds a server
// unavailable is tried again, at most twice more.
func DialOptions(cfg DialConfig) []grpc.DialOption {
	setDefault(&cfg.Timeout, 10*time.Second)
	setDefault(&cfg.MaxMessage, 16<<20)
	transport := insecure.NewCredentials()
	if cfg.TLS != nil {
		transport = credentials.NewTLS(cfg.TLS)
	}
	own, ok := cfg.Credentials.(interface{ OwnName() bool })
	c := &client{timeout: cfg.Timeout, ownName: ok && own.OwnName()}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(telemetryOptions(cfg.Meter, cfg.Tracer)...)),
		grpc.WithUnaryInterceptor(c.unary),
		grpc.WithStreamInterceptor(c.stream),
		grpc.WithDefaultServiceConfig(serviceConfig(nil)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect(), MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true,
		}),
	}
	if cfg.Credentials != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(cfg.Credentials))
	}
	return opts
}

// connectTimeout bounds one attempt to connect.
const connectTimeout = 5 * time.Second

// reconnect is how long to wait between attempts: a second at most, so that a
// sister that was restarted is found again at once. gRPC's own two minutes are
// for servers of strangers.
func reconnect() backoff.Config {
	return backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
}

type client struct {
	timeout time.Duration
	ownName bool // calls in the service's own name
}

func (c *client) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	return c.received(ctx, invoke(propagate(ctx), method, req, reply, conn, opts...))
}

func (c *client) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(propagate(ctx), desc, conn, method, opts...)
	if err != nil {
		return nil, c.received(ctx, err)
	}
	return &clientStream{ClientStream: s, client: c}, nil
}

// propagate passes the running call's request id on. The trace goes with the
// stats handler.
func propagate(ctx context.Context) context.Context {
	if id := RequestID(ctx); id != "" {
		return metadata.AppendToOutgoingContext(ctx, RequestIDHeader, id)
	}
	return ctx
}

// received turns a status back into the error that it was.
func (c *client) received(ctx context.Context, err error) error {
	err = FromStatus(err)
	switch {
	// errors.Is with the context's errors holds as it does for a local call.
	case errs.Is(err, errs.Canceled) && ctx.Err() != nil:
		return newBare(errs.Canceled, ctx.Err())
	case errs.Is(err, errs.DeadlineExceeded):
		// Whatever ctx says: the server's timer may be ahead of ours.
		return newBare(errs.DeadlineExceeded, errors.Join(context.DeadlineExceeded, err))
	case c.ownName && errs.Is(err, errs.Unauthenticated) && ownToken(errs.ReasonOf(err)):
		// Our own token was refused. Passed on as it is, it would tell the
		// person whose call this serves to log in again.
		return newBare(errs.Internal, err)
	}
	return err
}

func ownToken(reason string) bool {
	return reason == "TOKEN_MISSING" || reason == "TOKEN_INVALID" || reason == "TOKEN_EXPIRED"
}

// clientStream is a stream whose errors are the suite's.
type clientStream struct {
	grpc.ClientStream
	client *client
}

func (s *clientStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	return md, s.received(err)
}

func (s *clientStream) CloseSend() error { return s.received(s.ClientStream.CloseSend()) }

func (s *clientStream) SendMsg(m any) error { return s.received(s.ClientStream.SendMsg(m)) }

func (s *clientStream) RecvMsg(m any) error { return s.received(s.ClientStream.RecvMsg(m)) }

func (s *clientStream) received(err error) error {
	if err == nil {
		return nil
	}
	return s.client.received(s.Context(), err)
}
