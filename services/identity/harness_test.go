package identity_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/identity"
)

const (
	issuer       = "https://guildhall.example"
	org          = "organizations/acme"
	admin        = org + "/staff/admin"
	goodPassword = "vorher und nachher, immer"
)

// clock is a clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// checker allows everything that is not forbidden.
type checker struct {
	permission *permission
	mu         sync.Mutex
	forbidden  map[string]bool
}

func (c *checker) forbid(permission string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbidden[permission] = true
}

func (c *checker) Check(_ context.Context, r authz.Request) (authz.Answer, error) {
	if why := c.permission.standing(r.Caller); why != 0 {
		return authz.Answer{}, authz.Refusal(why, "", "")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forbidden[r.Permission] {
		return authz.Answer{}, authz.NewDenied(r.Permission, r.Resources[0])
	}
	return authz.Answer{Allowed: true}, nil
}

func (c *checker) Which(ctx context.Context, r authz.Request, variants []*permissionv1.Attributes) ([]authz.Answer, error) {
	return authz.Each(ctx, c.Check, r, variants)
}

// host is a place for a service: what outlives a process.
type host struct {
	t     testing.TB
	url   string
	ring  *seal.Ring
	clock *clock
	// raw is the store below the seal, of the process that started last, and
	// tables what it holds.
	raw    kv.Store
	tables []string
	// folder is where the service keeps files.
	folder string
	// issuer is the address of the suite.
	issuer string
}

func newHost(t testing.TB, engine string) *host {
	t.Helper()
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	return &host{t: t, url: testkit.StoreURL(t, engine), ring: ring, clock: newClock(), folder: t.TempDir(), issuer: issuer}
}

// config is the configuration of tests: hashes that cost next to nothing.
func config() *identity.Config {
	cfg := identity.DefaultConfig()
	cfg.Bootstrap.Organization = "acme"
	cfg.Passwords.Time, cfg.Passwords.Memory = 1, 64
	return cfg
}

// process is a running service behind the interceptors that it really has.
type process struct {
	*host
	service serve.Service
	console *bytes.Buffer
	log     *syncLog
	metrics *sdkmetric.ManualReader
	checker *checker
	// permission is the sister service, as far as identity asks it.
	permission *permission
	commits    *commits
	conn       *grpc.ClientConn
	listener   *addressed
	close      func()
}

// start runs the service until the test ends, or close.
func (h *host) start(cfg *identity.Config) *process {
	h.t.Helper()
	p := &process{
		host: h, console: &bytes.Buffer{}, log: &syncLog{},
		metrics: sdkmetric.NewManualReader(), permission: newPermission(),
	}
	p.checker = &checker{permission: p.permission, forbidden: map[string]bool{}}
	logger := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var store kv.Store
	kit := &serve.Kit{
		Name: "identity", Logger: logger,
		Meter:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(p.metrics)).Meter("identity"),
		Tracer: tracenoop.NewTracerProvider().Tracer(""), Ring: h.ring, Clock: h.clock.now, Issuer: h.issuer, Console: p.console, Folder: h.folder,
		Dial: func(string) grpc.ClientConnInterface { return p.permission },
		OpenStore: func(ctx context.Context, tables []string, _ []kv.Migration) (kv.Store, error) {
			var err error
			if h.raw, err = kvopen.Open(ctx, h.url, kvopen.Options{Name: "identity", Tables: tables}); err != nil {
				return nil, err
			}
			store, h.tables = h.raw, tables
			p.commits = newCommits(h.ring.Wrap(store))
			return p.commits, nil
		},
	}
	var err error
	if p.service, err = identity.New(context.Background(), cfg, kit); err != nil {
		h.t.Fatalf("start identity: %v", err)
	}
	stop := p.serve(logger)
	p.close = sync.OnceFunc(func() {
		stop()
		if err := store.Close(); err != nil {
			h.t.Errorf("close the store: %v", err)
		}
	})
	h.t.Cleanup(p.close)
	return p
}

// serve puts the service behind an in-memory connection.
func (p *process) serve(logger *slog.Logger) (stop func()) {
	p.t.Helper()
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: p.issuer, Keys: p.service.(serve.KeySource).Keys, Cluster: authn.NewClusterKey(), Services: []string{"identity"}, Now: p.clock.now,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	options, err := rpc.ServerOptions(rpc.Config{Verifier: verifier, Checker: p.checker, Logger: logger})
	if err != nil {
		p.t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	p.service.Register(server)
	if err := rpc.CheckRegistered(server); err != nil {
		p.t.Fatal(err)
	}
	listener := newAddressed()
	p.listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); err != nil {
			p.t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() {
		if err := p.service.Run(ctx); err != nil {
			p.t.Errorf("run: %v", err)
		}
	})
	p.conn, err = grpc.NewClient("passthrough:///identity", append(rpc.DialOptions(rpc.DialConfig{}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.dial(ctx, nil) }))...)
	if err != nil {
		p.t.Fatal(err)
	}
	return func() {
		p.conn.Close()
		cancel()
		server.Stop()
		running.Wait()
	}
}

// reopen opens the store of a process that was closed, below the seal.
func (p *process) reopen() kv.Store {
	p.t.Helper()
	s, err := kvopen.Open(context.Background(), p.url, kvopen.Options{Name: "identity", Tables: p.tables})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			p.t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// count returns the sum of a counter, of what has the attributes.
func (p *process) count(name string, attributes ...attribute.KeyValue) (n int64) {
	p.t.Helper()
	var all metricdata.ResourceMetrics
	if err := p.metrics.Collect(context.Background(), &all); err != nil {
		p.t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, point := range sum.DataPoints {
					if !slices.ContainsFunc(attributes, func(a attribute.KeyValue) bool { v, _ := point.Attributes.Value(a.Key); return v != a.Value }) {
						n += point.Value
					}
				}
			}
		}
	}
	return n
}

var oneTime = regexp.MustCompile(`one-time password +([a-z2-7-]+)\n`)

// password returns the one-time password that was shown, "" when none was.
func (p *process) password() string {
	found := oneTime.FindStringSubmatch(p.console.String())
	if found == nil {
		return ""
	}
	return found[1]
}

func (p *process) auth() identityv1.AuthServiceClient { return identityv1.NewAuthServiceClient(p.conn) }
func (p *process) staff() identityv1.StaffServiceClient {
	return identityv1.NewStaffServiceClient(p.conn)
}
func (p *process) customers() identityv1.CustomerServiceClient {
	return identityv1.NewCustomerServiceClient(p.conn)
}
func (p *process) teams() identityv1.TeamServiceClient {
	return identityv1.NewTeamServiceClient(p.conn)
}
func (p *process) organizations() identityv1.OrganizationServiceClient {
	return identityv1.NewOrganizationServiceClient(p.conn)
}

// with returns a context that carries an access token.
func with(tokens *identityv1.TokenSet) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+tokens.GetAccessToken())
}

// asAdmin logs the first administrator in for the first time.
func (p *process) asAdmin() context.Context {
	p.t.Helper()
	tokens, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{
		Organization: org, Identifier: admin, Password: p.password(), NewPassword: goodPassword,
	})
	if err != nil {
		p.t.Fatalf("the first login: %v", err)
	}
	return with(tokens)
}

// customer makes a customer and logs it in.
func (p *process) customer(ctx context.Context, c *identityv1.Customer) (*identityv1.Customer, *identityv1.TokenSet) {
	p.t.Helper()
	made, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: c})
	if err != nil {
		p.t.Fatal(err)
	}
	return made, p.accept(ctx, made.GetName())
}

// staffMember makes a member of staff.
func (p *process) staffMember(ctx context.Context, id string, m *identityv1.StaffMember) *identityv1.StaffMember {
	p.t.Helper()
	made, err := p.staff().CreateStaffMember(ctx, &identityv1.CreateStaffMemberRequest{Parent: org, StaffMemberId: id, StaffMember: m})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// accept invites an account and accepts for it.
func (p *process) accept(ctx context.Context, account string) *identityv1.TokenSet {
	p.t.Helper()
	invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: account, ShowCode: true})
	if err != nil {
		p.t.Fatal(err)
	}
	tokens, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{
		Code: invitation.GetCode(), Password: goodPassword, DeviceLabel: "phone",
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return tokens
}

// events returns the feed's present content.
func (p *process) events(ctx context.Context, prefixes ...string) []*eventv1.Event {
	p.t.Helper()
	stream, err := identityv1.NewIdentityEventServiceClient(p.conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{
		Parent: org, TypePrefixes: prefixes, StopAtEnd: true,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	var out []*eventv1.Event
	for {
		resp, err := stream.Recv()
		if err != nil {
			break // the end: with stop_at_end, that of the feed
		}
		out = append(out, resp.GetEvents()...)
	}
	return out
}

// about returns "type data" of the events about a resource, in order.
func about(events []*eventv1.Event, subject string) []string {
	var out []string
	for _, e := range events {
		if e.GetSubject() != subject {
			continue
		}
		text := strings.TrimSuffix(strings.TrimPrefix(e.GetType(), "guildhall.identity."), ".v1")
		state := &identityv1.AccountStateChanged{}
		if e.GetData().MessageIs(state) && e.GetData().UnmarshalTo(state) == nil {
			text += " " + state.GetState()
		}
		out = append(out, text)
	}
	return out
}

// wantError fails the test unless err is of the kind and reason.
func wantError(t testing.TB, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("error is %v, want %v %s", err, kind, reason)
	}
}

// eachEngine runs a test on a fresh process of each storage engine.
func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newHost(t, engine).start(config())) })
	}
}
