package permission_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission"
)

const (
	acme   = "organizations/acme"
	admin  = acme + "/staff/admin"
	sue    = acme + "/staff/sue"
	carl   = acme + "/customers/carl"
	issuer = "https://guildhall.test"
)

// installation is what the replicas of a test share: the keys, the place of
// the store, and an identity service that tells them of accounts.
type installation struct {
	t        testing.TB
	storeURL string
	redisURL string // "" for none
	ring     *seal.Ring
	cluster  *authn.ClusterKey
	signer   *authn.Signer
	identity *identity
	config   permission.Config       // of the replicas that start from now on
	decorate func(kv.Store) kv.Store // gives those their way to the store; nil leaves it

	mu  sync.Mutex
	now time.Time // zero is the real time
}

func install(t testing.TB, engine string) *installation {
	t.Helper()
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	key, err := authn.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := authn.NewSigner(issuer, authn.KeySet{Current: key})
	if err != nil {
		t.Fatal(err)
	}
	return &installation{
		t: t, storeURL: testkit.StoreURL(t, engine), ring: ring, cluster: authn.NewClusterKey(),
		signer: signer, identity: startIdentity(t),
	}
}

func (in *installation) clock() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.now.IsZero() {
		return time.Now()
	}
	return in.now
}

func (in *installation) setClock(now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.now = now
}

// replica is one permission service behind the interceptors it has in a
// process.
type replica struct {
	in      *installation
	service *permission.Service
	store   kv.Store
	tables  []string
	lis     *bufconn.Listener
	metrics *sdkmetric.ManualReader
	stop    func() // ends it before the test does
}

func (in *installation) start() *replica {
	t := in.t
	t.Helper()
	r := &replica{in: in, lis: bufconn.Listen(1 << 20), metrics: sdkmetric.NewManualReader()}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.metrics))
	ctx, cancel := context.WithCancel(context.Background())
	built, err := permission.New(ctx, in.config, r.kit(meters.Meter("test")))
	if err != nil {
		t.Fatal(err)
	}
	r.service = built.(*permission.Service)
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: issuer, Cluster: in.cluster, Services: []string{"permission"},
		Keys: func(context.Context) (authn.JWKS, error) { return in.signer.JWKS(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	opts, err := rpc.ServerOptions(rpc.Config{
		Verifier: verifier, Checker: r.service.Checker(), Discloser: r.service.Discloser(), Logger: slog.New(slog.DiscardHandler), OnDenied: r.service.OnDenied,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	r.service.Register(server)
	if err := rpc.CheckRegistered(server); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.service.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	running.Go(func() { server.Serve(r.lis) })
	r.stop = sync.OnceFunc(func() {
		server.Stop()
		cancel()
		running.Wait()
		if err := errors.Join(r.service.Close(), r.store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *replica) kit(meter metric.Meter) *serve.Kit {
	in, t := r.in, r.in.t
	kit := &serve.Kit{
		Name: permission.Name, Logger: slog.New(slog.DiscardHandler), Meter: meter,
		Tracer: tracenoop.NewTracerProvider().Tracer(""), Ring: in.ring, Clock: in.clock, Issuer: issuer, Folder: t.TempDir(),
		Dial: func(string) grpc.ClientConnInterface { return in.identity.dial(t) },
	}
	if in.redisURL != "" {
		opts, err := redis.ParseURL(in.redisURL)
		if err != nil {
			t.Fatal(err)
		}
		opts.ContextTimeoutEnabled, opts.MaxRetries = true, 1
		client := redis.NewClient(opts)
		t.Cleanup(func() { client.Close() })
		kit.Redis = client
	}
	kit.OpenStore = func(ctx context.Context, tables []string, _ []kv.Migration) (kv.Store, error) {
		raw, err := kvopen.Open(ctx, in.storeURL, kvopen.Options{Name: permission.Name, Tables: tables})
		if err != nil {
			return nil, err
		}
		r.store, r.tables = in.ring.Wrap(raw), tables
		if in.decorate != nil {
			return in.decorate(r.store), nil
		}
		return r.store, nil
	}
	return kit
}

// as returns a connection whose calls are the account's.
func (r *replica) as(account string) *client {
	r.in.t.Helper()
	now := time.Now()
	token, err := r.in.signer.Sign(authn.Claims{Subject: account, Session: "s1", ID: "t1", IssuedAt: now, Expires: now.Add(time.Hour)})
	if err != nil {
		r.in.t.Fatal(err)
	}
	return r.client(rpc.DialConfig{}, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		return invoke(ctx, method, req, reply, cc, opts...)
	}))
}

// asService returns a connection whose calls are a sister service's.
func (r *replica) asService(name string) *client {
	return r.client(rpc.DialConfig{Credentials: authn.ServiceCredentials(r.in.cluster, name, "permission")})
}

func (r *replica) client(cfg rpc.DialConfig, more ...grpc.DialOption) *client {
	r.in.t.Helper()
	opts := append(rpc.DialOptions(cfg), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return r.lis.DialContext(ctx)
	}))
	conn, err := grpc.NewClient("passthrough:///permission", append(opts, more...)...)
	if err != nil {
		r.in.t.Fatal(err)
	}
	r.in.t.Cleanup(func() { conn.Close() })
	return &client{
		RoleServiceClient: permissionv1.NewRoleServiceClient(conn), GrantServiceClient: permissionv1.NewGrantServiceClient(conn),
		CheckServiceClient: permissionv1.NewCheckServiceClient(conn), events: permissionv1.NewPermissionEventServiceClient(conn),
		audit: permissionv1.NewPermissionAuditServiceClient(conn), ResourceTypeServiceClient: permissionv1.NewResourceTypeServiceClient(conn),
		StandingServiceClient: permissionv1.NewStandingServiceClient(conn),
		PropertyServiceClient: permissionv1.NewPropertyServiceClient(conn), conn: conn,
		policies: permissionv1.NewPolicyServiceClient(conn),
	}
}

// client has all clients of one caller.
type client struct {
	permissionv1.RoleServiceClient
	permissionv1.GrantServiceClient
	permissionv1.CheckServiceClient
	permissionv1.ResourceTypeServiceClient
	permissionv1.StandingServiceClient
	permissionv1.PropertyServiceClient
	events permissionv1.PermissionEventServiceClient
	audit  permissionv1.PermissionAuditServiceClient
	conn   *grpc.ClientConn

	policies permissionv1.PolicyServiceClient
}

// may asks one question of the organisation acme.
func (c *client) may(t testing.TB, subject, permission, resource string) bool {
	t.Helper()
	resp, err := c.Check(t.Context(), &permissionv1.CheckRequest{
		Parent: acme, Query: &permissionv1.CheckQuery{Subject: subject, Permission: permission, Resource: resource},
	})
	if err != nil {
		t.Fatalf("Check(%s, %s, %s): %v", subject, permission, resource, err)
	}
	return resp.GetResult().GetAllowed()
}

func (c *client) wantMay(t testing.TB, want bool, subject, permission, resource string) {
	t.Helper()
	if got := c.may(t, subject, permission, resource); got != want {
		t.Errorf("may %s %s on %s: %t, want %t", subject, permission, resource, got, want)
	}
}

func (c *client) grant(t testing.TB, subject, role, resource string) *permissionv1.Grant {
	t.Helper()
	g, err := c.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
		Parent: acme, Grant: &permissionv1.Grant{Subject: subject, Role: role, Resource: resource},
	})
	if err != nil {
		t.Fatalf("CreateGrant(%s, %s, %s): %v", subject, role, resource, err)
	}
	return g
}

func (c *client) revoke(t testing.TB, name string) {
	t.Helper()
	if _, err := c.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: name}); err != nil {
		t.Fatalf("DeleteGrant(%s): %v", name, err)
	}
}

// seed tells the replicas of the organisation acme, whose administrator is
// admin, and waits until they have heard.
func (in *installation) seed(r *replica) {
	in.t.Helper()
	in.identity.tell("guildhall.identity.organization.created.v1", acme, &identityv1.OrganizationCreated{Administrator: admin, Operator: true})
	in.await(func() bool { return r.asService("gateway").may(in.t, admin, "permission.grants.create", acme) })
}

// await returns when the condition holds.
func (in *installation) await(condition func() bool) {
	in.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			in.t.Fatal("what was waited for did not come")
		}
	}
}

// identity is a feed like that of the identity service.
type identity struct {
	t     testing.TB
	store kv.Store
	log   *feed.Log
	lis   *bufconn.Listener
	lists *lists
}

func startIdentity(t testing.TB) *identity {
	t.Helper()
	id := &identity{t: t, store: testkit.Store(t, "bolt", "identity", feed.Tables()), lis: bufconn.Listen(1 << 20), lists: newLists()}
	var err error
	if id.log, err = feed.Open(context.Background(), feed.Config{Service: "identity", Store: id.store}); err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(id.lists.answer), grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if err := next(srv, asSister{ss}); err != nil {
			return rpc.ToStatus(err, "").Err()
		}
		return nil
	}))
	identityv1.RegisterIdentityEventServiceServer(server, feed.NewServer(id.log))
	id.lists.register(server)
	var running sync.WaitGroup
	running.Go(func() { server.Serve(id.lis) })
	t.Cleanup(func() { server.Stop(); running.Wait() })
	return id
}

// asSister gives a stream the caller that it has behind the interceptors.
type asSister struct{ grpc.ServerStream }

func (s asSister) Context() context.Context {
	return authn.WithCaller(s.ServerStream.Context(), authn.Caller{Name: "services/permission"})
}

func (id *identity) dial(t testing.TB) *grpc.ClientConn {
	opts := append(rpc.DialOptions(rpc.DialConfig{}), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return id.lis.DialContext(ctx)
	}))
	conn, err := grpc.NewClient("passthrough:///identity", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// tell appends an event to the feed.
func (id *identity) tell(kind, subject string, data proto.Message) {
	id.t.Helper()
	id.lists.tell(kind, subject, data)
	packed, err := anypb.New(data)
	if err != nil {
		id.t.Fatal(err)
	}
	err = id.store.Update(context.Background(), func(tx kv.Tx) error {
		return id.log.Append(tx, &eventv1.Event{
			Type: kind, Subject: subject, Organization: acme, Time: timestamppb.Now(), Data: packed,
		})
	})
	if err != nil {
		id.t.Fatal(err)
	}
	id.log.Notify()
}
