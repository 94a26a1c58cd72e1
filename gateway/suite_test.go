package gateway

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// suite is a gateway behind a real HTTP server, and behind it a gRPC server
// with the suite's whole chain of interceptors that stands for identity and
// groupchat.
type suite struct {
	t      testing.TB
	signer *authn.Signer
	server *httptest.Server
	direct *grpc.ClientConn // to the gRPC server, as a member of staff would

	whoAmI   func(context.Context) (*identityv1.WhoAmIResponse, error)
	messages func(*groupchatv1.StreamMessagesRequest, grpc.ServerStreamingServer[groupchatv1.StreamMessagesResponse]) error
	orders   orderImport
	imports  func(grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]) error
}

func newSuite(t testing.TB, change ...func(*Config)) *suite {
	t.Helper()
	key, err := authn.NewSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := authn.NewSigner("https://api.example", authn.KeySet{Current: key})
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{t: t, signer: signer}
	cluster := authn.NewClusterKey()
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: "https://api.example", Cluster: cluster, Services: []string{"identity", "groupchat"},
		Keys: func(context.Context) (authn.JWKS, error) { return signer.JWKS(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	options, err := rpc.ServerOptions(rpc.Config{Verifier: verifier, Checker: members{}, Logger: slog.New(slog.DiscardHandler), Values: generalOnly})
	if err != nil {
		t.Fatal(err)
	}
	listener := s.serve(grpc.NewServer(options...))
	dial := func(target string) grpc.ClientConnInterface {
		return s.dial(listener, rpc.DialConfig{Credentials: authn.ForwarderCredentials(cluster, Name, target)})
	}
	s.direct = s.dial(listener, rpc.DialConfig{})
	s.server = httptest.NewUnstartedServer(handlerOf(t, newKit(dial), change...))
	s.server.EnableHTTP2 = true
	s.server.Start()
	t.Cleanup(s.server.Close)
	return s
}

// generalOnly says that all messages have one type.
func generalOnly(context.Context, *authz.Rule, proto.Message) (authz.Values, error) {
	return authz.Values{Of: []string{"general"}}, nil
}

// members denies the group "closed" and allows everything else.
type members struct{}

func (members) Check(_ context.Context, r authz.Request) (authz.Answer, error) {
	for _, resource := range r.Resources {
		if strings.HasSuffix(resource, "/groups/closed") {
			return authz.Answer{}, authz.NewDenied(r.Permission, resource)
		}
	}
	return authz.Answer{Allowed: true}, nil
}

func (m members) Which(ctx context.Context, r authz.Request, variants []*permissionv1.Attributes) ([]authz.Answer, error) {
	return authz.Each(ctx, m.Check, r, variants)
}

func (s *suite) serve(server *grpc.Server) *bufconn.Listener {
	identityv1.RegisterAuthServiceServer(server, authHandlers{s: s})
	identityv1.RegisterCustomerServiceServer(server, customerHandlers{s: s})
	identityv1.RegisterOrderServiceServer(server, orderHandlers{s: s})
	groupchatv1.RegisterMessageServiceServer(server, messageHandlers{s: s})
	listener := bufconn.Listen(1 << 20)
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.Serve(listener); err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(func() {
		server.Stop()
		done.Wait()
	})
	return listener
}

func (s *suite) dial(l *bufconn.Listener, cfg rpc.DialConfig) *grpc.ClientConn {
	pipe := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) })
	conn, err := grpc.NewClient("passthrough:///suite", append(rpc.DialOptions(cfg), pipe)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *suite) token() string {
	s.t.Helper()
	token, err := s.signer.Sign(authn.Claims{
		Subject: "organizations/acme/staff/s1", Session: "sess1", ID: "t1", IssuedAt: time.Now(), Expires: time.Now().Add(5 * time.Minute),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// do makes a request as the member of staff.
func (s *suite) do(r *http.Request, headers ...string) *http.Response {
	s.t.Helper()
	r.Header.Set("Authorization", "Bearer "+s.token())
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (s *suite) get(path string, headers ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(r, headers...)
}

// line reads one line of an answer, without its end.
func line(t testing.TB, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("the answer ends: %v", err)
	}
	return strings.TrimSuffix(text, "\n")
}

type authHandlers struct {
	identityv1.UnimplementedAuthServiceServer
	s *suite
}

func (h authHandlers) WhoAmI(ctx context.Context, _ *identityv1.WhoAmIRequest) (*identityv1.WhoAmIResponse, error) {
	if h.s.whoAmI != nil {
		return h.s.whoAmI(ctx)
	}
	caller, _ := authn.FromContext(ctx)
	return &identityv1.WhoAmIResponse{Account: caller.Name, Organization: caller.Organization(), Session: caller.Session}, nil
}

func (authHandlers) Login(context.Context, *identityv1.LoginRequest) (*identityv1.TokenSet, error) {
	return nil, errs.New(errs.Unauthenticated, "LOGIN_FAILED", "account or password is wrong")
}

func (authHandlers) GetJwks(context.Context, *identityv1.GetJwksRequest) (*identityv1.GetJwksResponse, error) {
	return &identityv1.GetJwksResponse{Keys: []*identityv1.Jwk{{Kty: "OKP", Crv: "Ed25519", Kid: "k1", X: "AAAA"}}}, nil
}

type customerHandlers struct {
	identityv1.UnimplementedCustomerServiceServer
	s *suite
}

func (h customerHandlers) ImportCustomers(stream grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]) error {
	return h.s.imports(stream)
}

type messageHandlers struct {
	groupchatv1.UnimplementedMessageServiceServer
	s *suite
}

func (h messageHandlers) StreamMessages(r *groupchatv1.StreamMessagesRequest, stream grpc.ServerStreamingServer[groupchatv1.StreamMessagesResponse]) error {
	return h.s.messages(r, stream)
}
