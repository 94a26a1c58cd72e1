package serve

import (
	"context"
	"encoding/base64"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// issuer is an identity that publishes a signer's keys and keeps denials.
type issuer struct {
	*fake
	signer *authn.Signer
	mu     *sync.Mutex
	denied *[]string
}

func (i *issuer) Register(r grpc.ServiceRegistrar) {
	identityv1.RegisterAuthServiceServer(r, i)
	identityv1.RegisterIdentityEventServiceServer(r, i.fake)
}

func (i *issuer) GetJwks(context.Context, *identityv1.GetJwksRequest) (*identityv1.GetJwksResponse, error) {
	resp := &identityv1.GetJwksResponse{Keys: []*identityv1.Jwk{{Kty: "EC", Crv: "P-256", Kid: "of another kind"}}}
	for _, k := range i.signer.JWKS().Keys {
		resp.Keys = append(resp.Keys, &identityv1.Jwk{Kty: "OKP", Crv: "Ed25519", Kid: k.ID, X: base64.RawURLEncoding.EncodeToString(k.Key)})
	}
	return resp, nil
}

func (i *issuer) OnDenied(_ context.Context, r authz.Request, _ string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	*i.denied = append(*i.denied, r.Caller.Name)
}

// judge is a permission service that lets one account do everything.
type judge struct {
	permissionv1.UnimplementedCheckServiceServer
	named
}

func (j *judge) Register(r grpc.ServiceRegistrar) { permissionv1.RegisterCheckServiceServer(r, j) }

func (j *judge) Check(_ context.Context, req *permissionv1.CheckRequest) (*permissionv1.CheckResponse, error) {
	return &permissionv1.CheckResponse{Result: judged(req.GetParent(), req.GetQuery())}, nil
}

// judged allows everything to ada.
func judged(parent string, q *permissionv1.CheckQuery) *permissionv1.CheckResult {
	return &permissionv1.CheckResult{Allowed: q.GetSubject() == parent+"/staff/ada"}
}

func (j *judge) BatchCheck(_ context.Context, req *permissionv1.BatchCheckRequest) (*permissionv1.BatchCheckResponse, error) {
	resp := &permissionv1.BatchCheckResponse{}
	for _, q := range req.GetQueries() {
		resp.Results = append(resp.Results, judged(req.GetParent(), q))
	}
	return resp, nil
}

func TestAccess_tokensAndPermissionsComeFromSisters(t *testing.T) {
	key, err := authn.NewSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://acme.example"
	signer, err := authn.NewSigner(url, authn.KeySet{Current: key})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var denied []string
	identity := newFake()
	inner := identity.Build
	identity.Build = func(ctx context.Context, kit *Kit) (Service, error) {
		s, err := inner(ctx, kit)
		if err != nil {
			return nil, err
		}
		return &issuer{fake: s.(*fake), signer: signer, mu: &mu, denied: &denied}, nil
	}
	permission := Builder{Name: "permission", Build: func(context.Context, *Kit) (Service, error) {
		return &judge{named: named{name: "permission", close: func() {}}}, nil
	}}
	p := start(t, []Builder{identity, permission}, "--auth.issuer="+url)
	conn, err := grpc.NewClient(p.at.GRPC, rpc.DialOptions(rpc.DialConfig{})...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for account, want := range map[string]string{"ada": "", "bob": "PERMISSION_DENIED"} {
		token, err := signer.Sign(authn.Claims{
			Subject: "organizations/acme/staff/" + account, Session: "s1", ID: account, IssuedAt: time.Now(), Expires: time.Now().Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = receiveOne(t, conn, token)
		if got := errs.ReasonOf(err); got != want || (want == "" && err != nil) {
			t.Errorf("%s: %v", account, err)
		}
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if want := []string{"organizations/acme/staff/bob"}; !slices.Equal(denied, want) {
		t.Errorf("denials kept: %v", denied)
	}
}

func receiveOne(t *testing.T, conn grpc.ClientConnInterface, token string) (*eventv1.StreamEventsResponse, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := identityv1.NewIdentityEventServiceClient(conn).StreamEvents(ctx,
		&eventv1.StreamEventsRequest{Parent: "organizations/acme"}, grpc.PerRPCCredentials(bearer(token)))
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

func TestAccess_withoutPermissionNobodyGetsIn(t *testing.T) {
	checker, discloser := checkerOf(nil, func(string) grpc.ClientConnInterface { return nowhere{"permission"} })
	ada := authn.Caller{Name: "organizations/acme/staff/ada"}
	_, err := checker.Check(t.Context(), authz.Request{Caller: ada, Permission: "a.b.c", Resources: []string{"organizations/acme"}})
	_, blind := discloser.Disclose(t.Context(), authz.Disclosure{Caller: ada, Classes: []string{"contact"}, Resources: []string{"organizations/acme"}})
	for _, err := range []error{err, blind} {
		if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != "PERMISSION_UNAVAILABLE" {
			t.Errorf("error is %v", err)
		}
	}
}
