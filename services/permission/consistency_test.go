package permission_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/token"
)

func atLeast(token string) *permissionv1.Consistency {
	return &permissionv1.Consistency{Requirement: &permissionv1.Consistency_AtLeastAsFresh{AtLeastAsFresh: token}}
}

var fully = &permissionv1.Consistency{Requirement: &permissionv1.Consistency_FullyConsistent{FullyConsistent: true}}

// askAs is may with a consistency, by Check and by BatchCheck.
func (c *client) askAs(t testing.TB, consistency *permissionv1.Consistency, subject, permission, resource string) (allowed bool, token string, err error) {
	t.Helper()
	q := &permissionv1.CheckQuery{Subject: subject, Permission: permission, Resource: resource}
	one, err := c.Check(t.Context(), &permissionv1.CheckRequest{Parent: acme, Query: q, Consistency: consistency})
	if err != nil {
		return false, "", err
	}
	two, err := c.BatchCheck(t.Context(), &permissionv1.BatchCheckRequest{Parent: acme, Queries: []*permissionv1.CheckQuery{q}, Consistency: consistency})
	if err != nil {
		return false, "", err
	}
	if two.GetResults()[0].GetAllowed() != one.GetResult().GetAllowed() || two.GetConsistencyToken() != one.GetConsistencyToken() {
		t.Errorf("Check and BatchCheck differ: %v, %v", one, two)
	}
	return one.GetResult().GetAllowed(), one.GetConsistencyToken(), nil
}

// TestConsistency_seesWhatIsNotInEffectYet holds a revocation up: one replica
// still says yes to who asks for nothing, and no to who asks for more.
func TestConsistency_seesWhatIsNotInEffectYet(t *testing.T) {
	in := install(t, "postgres")
	in.config = permission.Config{LeaseLength: time.Minute, LeaseRenewal: 30 * time.Second}
	a := in.start()
	in.seed(a)
	b := in.start()
	in.await(b.holdsLease)
	gateway := b.asService("gateway")
	group, pending := "", false
	// A renewal that is due anyway brings the first changes into effect.
	for i := 0; i < 10 && !pending; i++ {
		group = fmt.Sprintf("%s/groups/pending%d", acme, i)
		gateway.wantMay(t, false, sue, listMessages, group)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := a.as(admin).CreateGrant(ctx, &permissionv1.CreateGrantRequest{
			Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: "roles/customer.service", Resource: group},
		})
		cancel()
		pending = err != nil
	}
	if !pending {
		t.Fatal("every change is in effect at once: the test proves nothing")
	}
	if allowed, _, err := gateway.askAs(t, nil, sue, listMessages, group); allowed || err != nil {
		t.Errorf("memory: %t, %v: the test proves nothing", allowed, err)
	}
	allowed, told, err := gateway.askAs(t, fully, sue, listMessages, group)
	if !allowed || err != nil {
		t.Errorf("fully consistent: %t, %v", allowed, err)
	}
	if allowed, again, err := gateway.askAs(t, atLeast(told), sue, listMessages, group); !allowed || again != told || err != nil {
		t.Errorf("at least as fresh: %t, %v", allowed, err)
	}
}

func TestConsistency_tokensOfChanges(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	manager, gateway := r.as(admin), r.asService("gateway")
	g := manager.grant(t, sue, "roles/customer.service", g1)
	if g.GetConsistencyToken() == "" {
		t.Error("a new grant has no token")
	}
	if allowed, told, err := gateway.askAs(t, atLeast(g.GetConsistencyToken()), sue, listMessages, g1); !allowed || told != g.GetConsistencyToken() || err != nil {
		t.Errorf("%t, %q, %v", allowed, told, err)
	}
	stored, err := manager.GetGrant(t.Context(), &permissionv1.GetGrantRequest{Name: g.GetName()})
	if err != nil || stored.GetConsistencyToken() != "" {
		t.Errorf("a token was stored: %v, %v", stored, err)
	}
	role, err := manager.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
		Parent: acme, RoleId: "clerk",
		Role: &permissionv1.Role{DisplayName: "Clerk", Permissions: []string{"identity.staff.get"}, ConsistencyToken: "made up"},
	})
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := manager.DeleteRole(t.Context(), &permissionv1.DeleteRoleRequest{Name: role.GetName()})
	if err != nil || deleted.GetConsistencyToken() == role.GetConsistencyToken() {
		t.Errorf("got %v, %v", deleted, err)
	}
	for _, told := range []string{role.GetConsistencyToken(), deleted.GetConsistencyToken(), g.GetConsistencyToken()} {
		if _, _, err := gateway.askAs(t, atLeast(told), sue, listMessages, g1); err != nil {
			t.Errorf("%q: %v", told, err)
		}
	}
}

func TestConsistency_tokensThatCannotBe(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			r := in.start()
			in.seed(r)
			gateway := r.asService("gateway")
			tokens := token.New(in.ring.Derive(token.Purpose))
			_, now, err := gateway.askAs(t, nil, sue, listMessages, g1)
			if err != nil {
				t.Fatal(err)
			}
			at, err := tokens.Read("f", acme, now)
			if err != nil {
				t.Fatal(err)
			}
			for name, bad := range map[string]string{
				"made up": "made up", "zeta's": tokens.Of("organizations/zeta", at), "changed": strings.Repeat("A", len(now)),
			} {
				_, _, err := gateway.askAs(t, atLeast(bad), sue, listMessages, g1)
				wantError(t, err, errs.Invalid, "CONSISTENCY_TOKEN_INVALID")
				if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "consistency.at_least_as_fresh" {
					t.Errorf("%s: fields %v", name, v)
				}
			}
			for _, lost := range []revision.Revision{{Number: at.Number + 1, Mark: 7}, {Number: at.Number, Mark: at.Mark + 1}, {Number: 1 << 60}} {
				_, _, err := gateway.askAs(t, atLeast(tokens.Of(acme, lost)), sue, listMessages, g1)
				wantError(t, err, errs.Precondition, "CONSISTENCY_TOKEN_AHEAD")
			}
		})
	}
}
