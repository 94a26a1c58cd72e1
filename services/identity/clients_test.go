package identity_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) programs() identityv1.ServiceAccountServiceClient {
	return identityv1.NewServiceAccountServiceClient(p.conn)
}

func (p *process) keys() identityv1.ClientKeyServiceClient {
	return identityv1.NewClientKeyServiceClient(p.conn)
}

// program makes a service account.
func (p *process) program(ctx context.Context, id string) *identityv1.ServiceAccount {
	p.t.Helper()
	made, err := p.programs().CreateServiceAccount(ctx, &identityv1.CreateServiceAccountRequest{
		Parent: org, ServiceAccountId: id, ServiceAccount: &identityv1.ServiceAccount{DisplayName: "Build", Description: "Ask Ada."},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// key makes a key of a client.
func (p *process) key(ctx context.Context, client string, k *identityv1.ClientKey) *identityv1.ClientKey {
	p.t.Helper()
	made, err := p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: client, ClientKey: k})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// newJWK returns a key pair, as JSON Web Keys.
func newJWK(t testing.TB) (public string, private jose.JSONWebKey) {
	t.Helper()
	open, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKey{Key: open, KeyID: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text), jose.JSONWebKey{Key: secret, KeyID: "mine"}
}

func TestServiceAccount_livesAsAccountsDo(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		made := p.program(ctx, "ci")
		want := &identityv1.ServiceAccount{Name: org + "/serviceAccounts/ci", DisplayName: "Build", Description: "Ask Ada.", State: active}
		if diff := cmp.Diff(want, made, protocmp.Transform(), protocmp.IgnoreFields(want, "create_time", "update_time", "etag")); diff != "" {
			t.Errorf("created (-want +got):\n%s", diff)
		}
		updated, err := p.programs().UpdateServiceAccount(ctx, &identityv1.UpdateServiceAccountRequest{
			ServiceAccount: &identityv1.ServiceAccount{Name: made.GetName(), DisplayName: "CI", Etag: made.GetEtag()},
			UpdateMask:     &fieldmaskpb.FieldMask{Paths: []string{"display_name", "description"}},
		})
		if err != nil || updated.GetDisplayName() != "CI" || updated.GetDescription() != "" {
			t.Errorf("updated: %v %v", updated, err)
		}
		_, err = p.programs().DisableServiceAccount(ctx, &identityv1.DisableServiceAccountRequest{Name: made.GetName(), Etag: made.GetEtag()})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		if _, err := p.programs().DisableServiceAccount(ctx, &identityv1.DisableServiceAccountRequest{Name: made.GetName()}); err != nil {
			t.Fatal(err)
		}
		if got := p.permission.word(made.GetName()); got != "SUSPENDED" {
			t.Errorf("permission heard %q when the call returned", got)
		}
		if back, err := p.programs().EnableServiceAccount(ctx, &identityv1.EnableServiceAccountRequest{Name: made.GetName()}); err != nil || back.GetState() != active {
			t.Errorf("enabled: %v %v", back, err)
		}
		p.key(ctx, made.GetName(), &identityv1.ClientKey{})
		if _, err := p.programs().DeleteServiceAccount(ctx, &identityv1.DeleteServiceAccountRequest{Name: made.GetName()}); err != nil {
			t.Fatal(err)
		}
		list, err := p.keys().ListClientKeys(ctx, &identityv1.ListClientKeysRequest{Parent: made.GetName()})
		if err != nil || len(list.GetClientKeys()) != 0 {
			t.Errorf("a deleted account has keys: %v %v", list, err)
		}
		_, err = p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: made.GetName(), ClientKey: &identityv1.ClientKey{}})
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		if back, err := p.programs().UndeleteServiceAccount(ctx, &identityv1.UndeleteServiceAccountRequest{Name: made.GetName()}); err != nil || back.GetState() != active {
			t.Errorf("undeleted: %v %v", back, err)
		}
		if got := about(p.events(ctx), made.GetName()); strings.Join(got, ", ") != "account.state_changed ACTIVE, account.updated, account.state_changed SUSPENDED, account.state_changed ACTIVE, account.state_changed DELETED, account.state_changed ACTIVE" {
			t.Errorf("events are %v", got)
		}
	})
}

func TestServiceAccount_hasNoPasswordAndNoSessions(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	_, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: name})
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
	_, err = p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: name, Password: goodPassword})
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	_, err = p.auth().ListSessions(ctx, &identityv1.ListSessionsRequest{Parent: name})
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
}

func TestServiceAccount_listsGetsAndKeepsTenantsApart(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	chief, _ := other(t, p, ctx)
	for _, id := range []string{"a", "b", "c"} {
		p.program(ctx, id)
	}
	first, err := p.programs().ListServiceAccounts(ctx, &identityv1.ListServiceAccountsRequest{Parent: org, PageSize: 2, Filter: `state = "ACTIVE"`})
	if err != nil || len(first.GetServiceAccounts()) != 2 {
		t.Fatalf("the first page: %v %v", first, err)
	}
	rest, err := p.programs().ListServiceAccounts(ctx, &identityv1.ListServiceAccountsRequest{Parent: org, PageSize: 2, Filter: `state = "ACTIVE"`, PageToken: first.GetNextPageToken()})
	if err != nil || len(rest.GetServiceAccounts()) != 1 || rest.GetNextPageToken() != "" {
		t.Fatalf("the last page: %v %v", rest, err)
	}
	_, err = p.programs().ListServiceAccounts(ctx, &identityv1.ListServiceAccountsRequest{Parent: org, Filter: `email = "x"`})
	wantError(t, err, errs.Invalid, "FILTER_INVALID")
	name := org + "/serviceAccounts/a"
	key := p.key(ctx, name, &identityv1.ClientKey{}).GetName()
	for call, err := range map[string]error{
		"get":        second(p.programs().GetServiceAccount(chief, &identityv1.GetServiceAccountRequest{Name: name})),
		"list":       second(p.programs().ListServiceAccounts(chief, &identityv1.ListServiceAccountsRequest{Parent: org})),
		"disable":    second(p.programs().DisableServiceAccount(chief, &identityv1.DisableServiceAccountRequest{Name: name})),
		"create key": second(p.keys().CreateClientKey(chief, &identityv1.CreateClientKeyRequest{Parent: name, ClientKey: &identityv1.ClientKey{}})),
		"list keys":  second(p.keys().ListClientKeys(chief, &identityv1.ListClientKeysRequest{Parent: name})),
		"get key":    second(p.keys().GetClientKey(chief, &identityv1.GetClientKeyRequest{Name: key})),
		"rotate key": second(p.keys().RotateClientKey(chief, &identityv1.RotateClientKeyRequest{Name: key})),
		"revoke key": second(p.keys().RevokeClientKey(chief, &identityv1.RevokeClientKeyRequest{Name: key})),
	} {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v, want not found", call, err)
		}
	}
}

func TestClientKey_isShownOnceAndStoredHashed(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		name := p.program(ctx, "ci").GetName()
		req := &identityv1.CreateClientKeyRequest{Parent: name, ClientKeyId: "k1", ClientKey: &identityv1.ClientKey{DisplayName: "Machine"}, RequestId: "once"}
		made, err := p.keys().CreateClientKey(ctx, req)
		if err != nil || !strings.HasPrefix(made.GetSecret(), "ghs_") || len(made.GetSecret()) < 40 {
			t.Fatalf("created: %v %v", made, err)
		}
		again, err := p.keys().CreateClientKey(ctx, req)
		if err != nil || again.GetName() != made.GetName() || again.GetSecret() != "" {
			t.Errorf("a retry gives %v %v", again, err)
		}
		got, err := p.keys().GetClientKey(ctx, &identityv1.GetClientKeyRequest{Name: made.GetName()})
		if err != nil || got.GetSecret() != "" || got.GetDisplayName() != "Machine" || got.GetLastUsedTime() != nil {
			t.Errorf("read: %v %v", got, err)
		}
		if stored := p.everything(); strings.Contains(stored, made.GetSecret()) || strings.Contains(p.log.String(), made.GetSecret()) {
			t.Error("the secret is stored or logged")
		}
		if got := about(p.events(ctx), made.GetName()); strings.Join(got, " ") != "client_key.created" {
			t.Errorf("events are %v", got)
		}
	})
}

// everything returns all that the store holds, as it is read through the seal.
func (p *process) everything() string {
	p.t.Helper()
	var all strings.Builder
	err := p.ring.Wrap(p.raw).View(context.Background(), func(r kv.Reader) error {
		for _, table := range p.tables {
			for item, err := range r.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				all.Write(item.Key)
				all.Write(item.Value)
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all.String()
}

func TestClientKey_rotatesWithAnOverlap(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	old := p.key(ctx, name, &identityv1.ClientKey{DisplayName: "Machine"})
	fresh, err := p.keys().RotateClientKey(ctx, &identityv1.RotateClientKeyRequest{Name: old.GetName(), Overlap: durationpb.New(time.Hour)})
	if err != nil || fresh.GetSecret() == "" || fresh.GetSecret() == old.GetSecret() || fresh.GetDisplayName() != "Machine" || fresh.GetExpireTime() != nil {
		t.Fatalf("rotated to %v %v", fresh, err)
	}
	got, err := p.keys().GetClientKey(ctx, &identityv1.GetClientKeyRequest{Name: old.GetName()})
	if err != nil || !got.GetExpireTime().AsTime().Equal(p.clock.now().Add(time.Hour)) {
		t.Errorf("the old key: %v %v", got, err)
	}
	// An end that is nearer stays.
	if _, err := p.keys().RotateClientKey(ctx, &identityv1.RotateClientKeyRequest{Name: old.GetName(), Overlap: durationpb.New(2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if again, _ := p.keys().GetClientKey(ctx, &identityv1.GetClientKeyRequest{Name: old.GetName()}); !again.GetExpireTime().AsTime().Equal(got.GetExpireTime().AsTime()) {
		t.Errorf("a second rotation moved the end to %v", again.GetExpireTime().AsTime())
	}
	p.clock.advance(2 * time.Hour)
	_, err = p.keys().RotateClientKey(p.asAdminAgain(), &identityv1.RotateClientKeyRequest{Name: old.GetName()})
	wantError(t, err, errs.Precondition, "CLIENT_KEY_EXPIRED")
}

// asAdminAgain logs the administrator in whose password is set.
func (p *process) asAdminAgain() context.Context {
	p.t.Helper()
	tokens, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword})
	if err != nil {
		p.t.Fatal(err)
	}
	return with(tokens)
}

func TestClientKey_refusesWhatIsNone(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	_, private := newJWK(t)
	leaked, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	for label, c := range map[string]struct {
		key    *identityv1.ClientKey
		reason string
	}{
		"a private key":   {&identityv1.ClientKey{PublicJwk: string(leaked)}, "CLIENT_KEY_PRIVATE"},
		"a shared secret": {&identityv1.ClientKey{PublicJwk: `{"kty":"oct","k":"c2VjcmV0"}`}, "CLIENT_KEY_PRIVATE"},
		"no key":          {&identityv1.ClientKey{PublicJwk: `{"kty":"none"}`}, "CLIENT_KEY_PUBLIC_INVALID"},
		"no JSON":         {&identityv1.ClientKey{PublicJwk: `-----BEGIN PUBLIC KEY-----`}, "CLIENT_KEY_PUBLIC_INVALID"},
		"a small RSA key": {&identityv1.ClientKey{PublicJwk: `{"kty":"RSA","n":"` + strings.Repeat("q", 171) + `","e":"AQAB"}`}, "CLIENT_KEY_PUBLIC_INVALID"},
		"one for encryption": {&identityv1.ClientKey{
			PublicJwk: `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","use":"enc"}`}, "CLIENT_KEY_PUBLIC_INVALID"},
		"the past":    {&identityv1.ClientKey{ExpireTime: timestamppb.New(p.clock.now().Add(-time.Second))}, "CLIENT_KEY_EXPIRY_INVALID"},
		"for decades": {&identityv1.ClientKey{ExpireTime: timestamppb.New(p.clock.now().AddDate(20, 0, 0))}, "CLIENT_KEY_EXPIRY_INVALID"},
	} {
		_, err := p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: name, ClientKey: c.key})
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want %s", label, err, c.reason)
		}
	}
	for range 10 {
		p.key(ctx, name, &identityv1.ClientKey{})
	}
	_, err = p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: name, ClientKey: &identityv1.ClientKey{}})
	wantError(t, err, errs.Exhausted, "CLIENT_KEY_LIMIT")
	_, err = p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: org + "/serviceAccounts/none", ClientKey: &identityv1.ClientKey{}})
	wantError(t, err, errs.NotFound, "SERVICE_ACCOUNT_NOT_FOUND")
	_, err = p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: admin, ClientKey: &identityv1.ClientKey{}})
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
}

// TestClientKey_isNoWayIntoALargerAccount: whoever has a key can be the account.
func TestClientKey_isNoWayIntoALargerAccount(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	chief := p.asAdmin()
	name := p.program(chief, "ci").GetName()
	key := p.key(chief, name, &identityv1.ClientKey{}).GetName()
	clerk := with(p.accept(chief, p.staffMember(chief, "clerk", &identityv1.StaffMember{DisplayName: "Clerk"}).GetName()))
	p.permission.set(false, name)
	create := &identityv1.CreateClientKeyRequest{Parent: name, ClientKey: &identityv1.ClientKey{}}
	_, err := p.keys().CreateClientKey(clerk, create)
	wantError(t, err, errs.Denied, "TARGET_EXCEEDS_CALLER")
	_, err = p.keys().RotateClientKey(clerk, &identityv1.RotateClientKeyRequest{Name: key})
	wantError(t, err, errs.Denied, "TARGET_EXCEEDS_CALLER")
	p.permission.set(true)
	_, err = p.keys().CreateClientKey(clerk, create)
	wantError(t, err, errs.Unavailable, "PERMISSION_UNAVAILABLE")
	p.permission.set(false)
	if _, err := p.keys().CreateClientKey(clerk, create); err != nil {
		t.Errorf("a key of one who holds no more: %v", err)
	}
}
