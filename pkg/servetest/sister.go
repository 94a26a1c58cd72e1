package servetest

import (
	"context"
	"crypto/rand"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
)

// Sister serves a test's own handlers in the place of a sister service, and
// returns the connection to give to Options.Sisters. Handlers' errs errors
// reach the service as they would from another process.
func Sister(t testing.TB, register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		resp, err := handler(ctx, req)
		if err != nil {
			return nil, rpc.ToStatus(err, "").Err()
		}
		return resp, nil
	}))
	register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("sister: %v", err)
		}
	})
	options := append(rpc.DialOptions(rpc.DialConfig{}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///sister", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// away is a sister service that does not answer.
type away string

func (a away) fail() error {
	return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "service "+string(a)+" is away")
}

func (a away) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return a.fail() }

func (a away) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, a.fail()
}

// credentials returns the option that signs calls in as the account.
func (s *Server) credentials(t testing.TB, account string) grpc.DialOption {
	if service, ok := strings.CutPrefix(account, "services/"); ok {
		return grpc.WithPerRPCCredentials(authn.ServiceCredentials(s.cluster, service, s.Service.Name()))
	}
	now := time.Now()
	token, err := s.signer.Sign(authn.Claims{
		Subject: account, Session: "test-session", ID: rand.Text(), Factors: []string{"pwd"},
		AuthTime: now, IssuedAt: now, Expires: now.Add(5 * time.Minute),
	})
	if err != nil {
		t.Fatalf("sign in as %s: %v", account, err)
	}
	return grpc.WithPerRPCCredentials(bearer(token))
}

// bearer is an access token on each call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: the connection is memory.
func (b bearer) RequireTransportSecurity() bool { return false }
