package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/telemetry"
)

// suite is a gRPC server with the whole chain, real tokens and an in-memory
// listener, that stands for service identity. Its handlers are those of the
// suite's own protos, made of functions that a test sets.
type suite struct {
	t        testing.TB
	signer   *authn.Signer
	cluster  *authn.ClusterKey
	checker  *grants
	handlers *handlers
	logs     *lockedBuffer
	listener *bufconn.Listener
	cfg      Config
}

const staffName = "organizations/acme/staff/s1"

func newSuite(t testing.TB, change ...func(*Config)) *suite {
	t.Helper()
	key, err := authn.NewSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := authn.NewSigner("https://id.example", authn.KeySet{Current: key})
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{
		t: t, signer: signer, cluster: authn.NewClusterKey(), checker: &grants{}, handlers: &handlers{},
		logs: &lockedBuffer{}, listener: bufconn.Listen(1 << 20),
	}
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: "https://id.example", Cluster: s.cluster, Services: []string{"identity"},
		Keys: func(context.Context) (authn.JWKS, error) { return signer.JWKS(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Verifier: verifier, Checker: s.checker,
		Logger: telemetry.NewLogger(s.logs, telemetry.LogConfig{Level: slog.LevelDebug, JSON: true}),
	}
	for _, f := range change {
		f(&cfg)
	}
	s.cfg = cfg
	options, err := ServerOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(grpc.NewServer(options...))
	return s
}

func (s *suite) serve(server *grpc.Server) {
	permissionv1.RegisterRoleServiceServer(server, s.handlers)
	permissionv1.RegisterGrantServiceServer(server, grantHandlers{handlers: s.handlers})
	identityv1.RegisterAuthServiceServer(server, authHandlers{handlers: s.handlers})
	identityv1.RegisterCustomerServiceServer(server, customerHandlers{handlers: s.handlers})
	groupchatv1.RegisterMessageServiceServer(server, messageHandlers{})
	identityv1.RegisterSegmentServiceServer(server, identityv1.UnimplementedSegmentServiceServer{})
	identityv1.RegisterIdentityEventServiceServer(server, s.handlers)
	if err := CheckRegistered(server); err != nil {
		s.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.Serve(s.listener); err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(func() {
		server.Stop()
		done.Wait()
	})
}

// dial connects without credentials, or with those given.
func (s *suite) dial(creds credentials.PerRPCCredentials) *grpc.ClientConn {
	s.t.Helper()
	options := append(DialOptions(DialConfig{Credentials: creds}), grpc.WithContextDialer(s.pipe))
	conn, err := grpc.NewClient("passthrough:///identity", options...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *suite) pipe(ctx context.Context, _ string) (net.Conn, error) {
	return s.listener.DialContext(ctx)
}

func (s *suite) sister(name string) *grpc.ClientConn {
	return s.dial(authn.ServiceCredentials(s.cluster, name, "identity"))
}

// token signs one for the test's member of staff that lives as long as given.
func (s *suite) token(life time.Duration) string {
	s.t.Helper()
	expires := time.Now().Add(life)
	token, err := s.signer.Sign(authn.Claims{
		Subject: staffName, Session: "sess1", ID: "t1", IssuedAt: expires.Add(-5 * time.Minute), Expires: expires,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// as returns a context whose calls carry the token.
func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// lines returns the log so far, one map for each line.
func (s *suite) lines() []map[string]any {
	s.t.Helper()
	var out []map[string]any
	for line := range bytes.Lines(s.logs.copy()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) copy() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.buf.Bytes())
}

// grants allows everything but what was revoked.
type grants struct {
	mu      sync.Mutex
	revoked []string // resources
	asked   int
	// restricted is what it says of field policies.
	restricted bool
	known      *permissionv1.Attributes // of the last question
	// before runs between the decision and the answer; nil is nothing.
	before func()
}

func (g *grants) Check(ctx context.Context, r authz.Request) (authz.Answer, error) {
	err := g.decide(r)
	g.mu.Lock()
	g.known = r.Known(ctx)
	g.mu.Unlock()
	if g.before != nil {
		g.before()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return authz.Answer{Allowed: err == nil, Restricted: err == nil && g.restricted}, err
}

func (g *grants) Which(ctx context.Context, r authz.Request, variants []*permissionv1.Attributes) ([]authz.Answer, error) {
	return authz.Each(ctx, g.Check, r, variants)
}

func (g *grants) decide(r authz.Request) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	for _, resource := range r.Resources {
		if slices.Contains(g.revoked, resource) {
			return authz.NewDenied(r.Permission, resource)
		}
	}
	return nil
}

func (g *grants) revoke(resource string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revoked = append(g.revoked, resource)
}

func (g *grants) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

// handlers are the RPCs that tests call. Those without a function succeed.
type handlers struct {
	permissionv1.UnimplementedRoleServiceServer
	identityv1.UnimplementedIdentityEventServiceServer
	getRole    func(context.Context, *permissionv1.GetRoleRequest) (*permissionv1.Role, error)
	createRole func(context.Context, *permissionv1.CreateRoleRequest) (*permissionv1.Role, error)
	login      func(context.Context) error
	events     func(*eventv1.StreamEventsRequest, grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error
	imports    func(grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]) error
}

func (h *handlers) GetRole(ctx context.Context, r *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
	if h.getRole != nil {
		return h.getRole(ctx, r)
	}
	return &permissionv1.Role{}, nil
}

func (h *handlers) CreateRole(ctx context.Context, r *permissionv1.CreateRoleRequest) (*permissionv1.Role, error) {
	if h.createRole != nil {
		return h.createRole(ctx, r)
	}
	return r.GetRole(), nil
}

func (h *handlers) UpdateRole(_ context.Context, r *permissionv1.UpdateRoleRequest) (*permissionv1.Role, error) {
	return r.GetRole(), nil
}

func (h *handlers) StreamEvents(r *eventv1.StreamEventsRequest, stream grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	return h.events(r, stream)
}

type grantHandlers struct {
	permissionv1.UnimplementedGrantServiceServer
	*handlers
}

func (grantHandlers) SetManagedGrant(context.Context, *permissionv1.SetManagedGrantRequest) (*permissionv1.SetManagedGrantResponse, error) {
	return &permissionv1.SetManagedGrantResponse{}, nil
}

type authHandlers struct {
	identityv1.UnimplementedAuthServiceServer
	*handlers
}

func (h authHandlers) Login(ctx context.Context, _ *identityv1.LoginRequest) (*identityv1.TokenSet, error) {
	if h.login != nil {
		return &identityv1.TokenSet{}, h.login(ctx)
	}
	return &identityv1.TokenSet{}, nil
}

func (authHandlers) WhoAmI(context.Context, *identityv1.WhoAmIRequest) (*identityv1.WhoAmIResponse, error) {
	return &identityv1.WhoAmIResponse{}, nil
}

type customerHandlers struct {
	identityv1.UnimplementedCustomerServiceServer
	*handlers
}

func (h customerHandlers) ImportCustomers(stream grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]) error {
	return h.imports(stream)
}
