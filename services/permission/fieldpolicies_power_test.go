package permission_test

import (
	"strings"
	"testing"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// deputy gives tom all that an administrator has but the permissions to see
// classes of data, as a role from before there were any.
func deputy(t *testing.T, r *replica) *client {
	t.Helper()
	chief := r.as(admin)
	all, err := chief.ListPermissions(t.Context(), &permissionv1.ListPermissionsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all.GetPermissions() {
		if !strings.HasPrefix(p.GetName(), "data.") && !strings.HasPrefix(p.GetName(), "identity.organizations.") {
			names = append(names, p.GetName())
		}
	}
	names = append(names, "identity.organizations.get", "identity.organizations.update")
	chief.grant(t, tom, chief.role(t, "deputy", names...).GetName(), acme)
	return r.as(tom)
}

// TestFieldPolicies_whatNobodyIsKeptFromIsEverybodysToGive: where a class is not
// restricted, its permissions give nothing that anybody lacks. So roles that have
// them are given on by those who have none, until a policy makes them count.
func TestFieldPolicies_whatNobodyIsKeptFromIsEverybodysToGive(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		by := deputy(t, r)
		give := func(role, on string) error {
			_, err := by.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: role, Resource: on}})
			return err
		}
		by.revoke(t, by.grant(t, sue, "roles/organization.admin", acme).GetName())
		caller := by.role(t, "caller", "data.contact.read")
		veiled := by.role(t, "veiled", "data.contact.readMasked")
		c := r.fields(admin)
		c.restrict("contact", carl, masked)
		for _, w := range []struct {
			role, on string
			exceeds  bool
		}{
			{"roles/organization.admin", acme, true}, // carl's contact is below
			{caller.GetName(), acme, true}, {caller.GetName(), carl, true}, {caller.GetName(), carl + "/complaints/c1", true},
			{caller.GetName(), acme + "/customers/dave", false}, // nobody is kept from it
			{veiled.GetName(), carl, false},                     // that much all see
			{"roles/customer.service", acme, false},
		} {
			switch err := give(w.role, w.on); {
			case w.exceeds:
				wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
			case err != nil:
				t.Errorf("%s on %s: %v", w.role, w.on, err)
			}
		}
		c.restrict("contact", "", hidden)
		wantError(t, give(veiled.GetName(), acme+"/staff/tom"), errs.Denied, "GRANT_EXCEEDS_CALLER")
		// Who is denied it holds it nowhere, restricted or not.
		_, err := r.as(admin).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: tom, Role: caller.GetName(), Resource: acme + "/teams/t1", Effect: permissionv1.Effect_EFFECT_DENY,
		}})
		if err != nil {
			t.Fatal(err)
		}
		r.fields(admin).restrict("contact", acme+"/teams/t1", full)
		wantError(t, give(caller.GetName(), acme+"/teams/t1"), errs.Denied, "GRANT_EXCEEDS_CALLER")
	})
}

// TestFieldPolicies_whoRestrictsWhatIsOpen: a policy may be made by who sees the
// class for no other reason than that all do, and not undone by them.
func TestFieldPolicies_whoRestrictsWhatIsOpen(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		deputy(t, r)
		own := r.fields(tom)
		p := own.restrict("note", "", hidden)
		if got := own.sees(tom, "note", carl); got != hidden {
			t.Errorf("tom sees %v", got)
		}
		_, err := own.DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: p.GetName()})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		if _, err := r.fields(admin).DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: p.GetName()}); err != nil {
			t.Error(err)
		}
	})
}

// TestDisclose_conditionsLookAtTheCall: who sees a class from the office alone is
// shown it there, and masked elsewhere.
func TestDisclose_conditionsLookAtTheCall(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		chief := r.as(admin)
		r.fields(admin).restrict("contact", "", masked)
		caller := chief.role(t, "caller", "data.contact.read")
		_, err := chief.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: sue, Role: caller.GetName(), Resource: acme, Condition: &permissionv1.Condition{Expression: `inNetwork(request.address, "10.0.0.0/8")`},
		}})
		if err != nil {
			t.Fatal(err)
		}
		identity := authz.RemoteDiscloser(r.asService("identity").conn)
		for address, want := range map[string]permissionv1.Visibility{"10.1.2.3": full, "192.0.2.1": masked, "": masked} {
			ctx := authz.WithAttributes(t.Context(), &permissionv1.Attributes{Address: address})
			sights, err := identity.Disclose(ctx, authz.Disclosure{Caller: authn.Caller{Name: sue, Session: "s1"}, Classes: []string{"contact"}, Resources: []string{carl}})
			if err != nil || sights[0].Visibility != want {
				t.Errorf("from %q: %v, %v", address, sights, err)
			}
		}
	})
}

// TestCheck_saysWhetherAnythingIsRestricted: also of a call that takes an
// approval, and of one that is sent again after it was used up.
func TestCheck_saysWhetherAnythingIsRestricted(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		desk(t, r)
		groupchat := authz.Remote(r.asService("groupchat").conn)
		ask := func(a authz.Approval) authz.Answer {
			t.Helper()
			answer, err := groupchat.Check(t.Context(), authz.Request{
				Caller: authn.Caller{Name: sue, Session: "s1"}, Permission: createTeam, Resources: []string{acme}, Approval: a,
			})
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		if ask(authz.Approval{}).Restricted {
			t.Error("restricted without a policy")
		}
		p := r.fields(admin).restrict("contact", carl, hidden)
		if !ask(authz.Approval{}).Restricted {
			t.Error("not restricted with a policy")
		}
		r.twoPeople(t, createTeam)
		once := authz.Approval{Name: r.approval(t, &permissionv1.WantedApproval{Permission: createTeam, Resource: acme, SingleUse: true}), Call: "c1"}
		for _, call := range []string{"the first", "the retry"} {
			if !ask(once).Restricted {
				t.Errorf("%s call with an approval is not restricted", call)
			}
		}
		if _, err := r.fields(admin).DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: p.GetName()}); err != nil {
			t.Fatal(err)
		}
		if ask(once).Restricted {
			t.Error("restricted after the policy")
		}
	})
}
