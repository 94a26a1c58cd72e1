package permission_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

type rules struct {
	permissionv1.SeparationRuleServiceClient
	t *testing.T
}

func (r *replica) rules(t *testing.T, account string) *rules {
	return &rules{permissionv1.NewSeparationRuleServiceClient(r.connect(account)), t}
}

// pair is a rule that who creates groups sees no audit logs.
func pair() *permissionv1.SeparationRule {
	return &permissionv1.SeparationRule{
		DisplayName: "who acts does not audit",
		Rule: &permissionv1.SeparationRule_ForbiddenPair{ForbiddenPair: &permissionv1.ForbiddenPair{
			First:  &permissionv1.SeparationSide{Roles: []string{"roles/customer.service"}},
			Second: &permissionv1.SeparationSide{Permissions: []string{"groupchat.auditEntries.list"}},
		}},
	}
}

func (c *rules) create(v *permissionv1.SeparationRule) *permissionv1.SeparationRule {
	c.t.Helper()
	created, err := c.CreateSeparationRule(c.t.Context(), &permissionv1.CreateSeparationRuleRequest{Parent: acme, SeparationRule: v})
	if err != nil {
		c.t.Fatalf("CreateSeparationRule: %v", err)
	}
	return created
}

// why returns the reason of a denial.
func (c *client) why(t *testing.T, q *permissionv1.CheckQuery) permissionv1.Denial {
	t.Helper()
	resp, err := c.Check(t.Context(), &permissionv1.CheckRequest{Parent: acme, Query: q})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetResult().GetDenial()
}

func TestSeparation_refusesGrantsThatBreakIt(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		first := c.grant(t, sue, "roles/customer.service", acme+"/groups/g1")
		rule := r.rules(t, admin).create(pair())
		give := func(subject, role, on string) error {
			_, err := c.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{Subject: subject, Role: role, Resource: on}})
			return err
		}
		err := give(sue, "roles/auditor", acme) // above the other
		wantError(t, err, errs.Precondition, "SEPARATION_VIOLATION")
		if meta := errs.From(err).Metadata; meta["rule"] != rule.GetName() || meta["grant"] != first.GetName() || meta["subject"] != sue {
			t.Errorf("refused with %v", meta)
		}
		if err := give(sue, "roles/auditor", acme+"/groups/g2"); err != nil {
			t.Errorf("on a resource that does not overlap: %v", err)
		}
		// A member of the team would hold both.
		r.in.identity.tell("guildhall.identity.team_member.created.v1", acme+"/teams/audit/members/sue", &identityv1.TeamMemberChanged{Team: acme + "/teams/audit", Account: sue})
		r.in.await(func() bool {
			return errs.ReasonOf(give(acme+"/teams/audit", "roles/auditor", acme)) == "SEPARATION_VIOLATION"
		})
		sim, err := r.rules(t, admin).SimulateSeparation(t.Context(), &permissionv1.SimulateSeparationRequest{
			Parent: acme, Grant: &permissionv1.Grant{Subject: tom, Role: "roles/auditor", Resource: acme},
		})
		if err != nil || len(sim.GetViolations()) != 0 {
			t.Errorf("for tom: %v, %v", sim, err)
		}
		sim, err = r.rules(t, admin).SimulateSeparation(t.Context(), &permissionv1.SimulateSeparationRequest{
			Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: "roles/auditor", Resource: acme},
		})
		if err != nil || len(sim.GetViolations()) != 1 || sim.GetViolations()[0].GetFirstGrant() != first.GetName() {
			t.Errorf("for sue: %v, %v", sim, err)
		}
		// An exemption lets it through while it lasts.
		rule.Exemptions = []*permissionv1.SeparationExemption{{Subject: sue, Reason: "two of us in winter", ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}}
		if _, err := r.rules(t, admin).UpdateSeparationRule(t.Context(), &permissionv1.UpdateSeparationRuleRequest{SeparationRule: rule}); err != nil {
			t.Fatal(err)
		}
		if err := give(sue, "roles/auditor", acme); err != nil {
			t.Errorf("exempt: %v", err)
		}
		gateway := r.asService("gateway")
		gateway.wantMay(t, true, sue, "groupchat.auditEntries.list", acme)
		r.in.setClock(time.Now().Add(2 * time.Hour))
		gateway.wantMay(t, false, sue, "groupchat.auditEntries.list", acme)
	})
}

func TestSeparation_deniesTheSecondSideAtUse(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			in.redisURL = testkit.Redis(t).URL
			r := in.start()
			in.seed(r)
			other := r
			if engine != "bolt" { // which one process has
				other = in.start()
			}
			in.await(func() bool { return other.asService("gateway").may(t, admin, "permission.grants.create", acme) })
			c, gateway := r.as(admin), other.asService("gateway")
			audit := acme + "/teams/audit"
			c.grant(t, sue, "roles/customer.service", acme+"/groups/g1")
			c.grant(t, audit, "roles/auditor", acme)
			in.identity.tell("guildhall.identity.team_member.created.v1", audit+"/members/sue", &identityv1.TeamMemberChanged{Team: audit, Account: sue})
			in.await(func() bool { return gateway.may(t, sue, "groupchat.auditEntries.list", acme+"/groups/g1") })
			rule := r.rules(t, admin).create(pair())
			// True on every replica when the call has returned.
			ask := func(on string) permissionv1.Denial {
				return gateway.why(t, &permissionv1.CheckQuery{Subject: sue, Permission: "groupchat.auditEntries.list", Resource: on})
			}
			if got := ask(acme + "/groups/g1"); got != permissionv1.Denial_DENIAL_SEPARATED {
				t.Errorf("on g1: %v", got)
			}
			if got := ask(acme); got != permissionv1.Denial_DENIAL_SEPARATED {
				t.Errorf("above g1: %v", got)
			}
			if got := ask(acme + "/groups/g2"); got != 0 {
				t.Errorf("beside g1: %v", got)
			}
			gateway.wantMay(t, true, sue, "groupchat.groups.update", acme+"/groups/g1") // the first side stays
			found, err := r.rules(t, admin).SimulateSeparation(t.Context(), &permissionv1.SimulateSeparationRequest{Parent: acme})
			if err != nil || len(found.GetViolations()) != 1 || found.GetViolations()[0].GetSubject() != sue {
				t.Errorf("violations %v, %v", found, err)
			}
			if _, err := r.rules(t, admin).DeleteSeparationRule(t.Context(), &permissionv1.DeleteSeparationRuleRequest{Name: rule.GetName()}); err != nil {
				t.Fatal(err)
			}
			if got := ask(acme); got != 0 {
				t.Errorf("without the rule: %v", got)
			}
		})
	}
}

func TestSeparation_twoPeopleForOneAct(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		r.as(admin).grant(t, boss, "roles/organization.admin", acme)
		r.as(admin).grant(t, sue, "roles/organization.admin", acme+"/customers/carl")
		r.rules(t, admin).create(&permissionv1.SeparationRule{
			DisplayName: "nobody deletes a customer alone", Resource: acme,
			Rule: &permissionv1.SeparationRule_TwoPerson{TwoPerson: &permissionv1.TwoPerson{Permissions: []string{"identity.customers.delete"}}},
		})
		gateway := r.asService("gateway")
		query := &permissionv1.CheckQuery{Subject: sue, Permission: "identity.customers.delete", Resource: carl}
		if got := gateway.why(t, query); got != permissionv1.Denial_DENIAL_APPROVAL_NEEDED {
			t.Errorf("alone: %v", got)
		}
		v := r.people(sue).file(t, sue, &permissionv1.PermissionChangeRequest{
			Justification: "carl asked for it",
			Change: &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{
				Permission: "identity.customers.delete", Resource: carl,
			}},
		})
		query.Approval = v.GetName()
		if got := gateway.why(t, query); got != permissionv1.Denial_DENIAL_APPROVAL_NEEDED {
			t.Errorf("asked for, not approved: %v", got)
		}
		if err := r.people(boss).verify(t, v.GetName()); err != nil {
			t.Fatal(err)
		}
		wantError(t, r.people(sue).approve(t, v.GetName()), errs.Denied, "PERMISSION_DENIED")
		if err := r.people(boss).approve(t, v.GetName()); err != nil {
			t.Fatal(err)
		}
		if got := gateway.why(t, query); got != 0 {
			t.Errorf("approved: %v", got)
		}
		for name, change := range map[string]func(q *permissionv1.CheckQuery){
			"somebody else":        func(q *permissionv1.CheckQuery) { q.Subject = admin },
			"another resource":     func(q *permissionv1.CheckQuery) { q.Resource = acme + "/customers/carla" },
			"an approval made up":  func(q *permissionv1.CheckQuery) { q.Approval += "x" },
			"without an approval":  func(q *permissionv1.CheckQuery) { q.Approval = "" },
			"something not shared": func(q *permissionv1.CheckQuery) { q.Approval = sue },
		} {
			q := &permissionv1.CheckQuery{Subject: sue, Permission: query.Permission, Resource: carl, Approval: query.Approval}
			change(q)
			if got := gateway.why(t, q); got == 0 {
				t.Errorf("%s: allowed", name)
			}
		}
		// What is cancelled no longer counts, at once.
		if _, err := r.people(boss).CancelPermissionChangeRequest(t.Context(), &permissionv1.CancelPermissionChangeRequestRequest{Name: v.GetName(), Note: "no"}); err != nil {
			t.Fatal(err)
		}
		if got := gateway.why(t, query); got != permissionv1.Denial_DENIAL_APPROVAL_NEEDED {
			t.Errorf("cancelled: %v", got)
		}
	})
}

func TestSeparationRules_refuseNonsense(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.rules(t, admin)
	create := func(ctx context.Context, v *permissionv1.SeparationRule) error {
		_, err := c.CreateSeparationRule(ctx, &permissionv1.CreateSeparationRuleRequest{Parent: acme, SeparationRule: v})
		return err
	}
	for _, test := range []struct {
		change func(v *permissionv1.SeparationRule)
		kind   errs.Kind
		reason string
	}{
		{func(v *permissionv1.SeparationRule) { v.Rule = nil }, errs.Invalid, "SEPARATION_RULE_INVALID"},
		{func(v *permissionv1.SeparationRule) { v.GetForbiddenPair().First = &permissionv1.SeparationSide{} }, errs.Invalid, "SEPARATION_RULE_INVALID"},
		{func(v *permissionv1.SeparationRule) { v.GetForbiddenPair().First.Roles = []string{"roles/king"} }, errs.NotFound, "ROLE_NOT_FOUND"},
		{func(v *permissionv1.SeparationRule) {
			v.GetForbiddenPair().Second.Permissions = []string{"no.such.thing"}
		}, errs.Invalid, "PERMISSION_UNKNOWN"},
		{func(v *permissionv1.SeparationRule) {
			v.GetForbiddenPair().Second.Permissions = []string{"permission.separationRules.delete"}
		}, errs.Invalid, "SEPARATION_LOCKOUT"},
		{func(v *permissionv1.SeparationRule) { v.Resource = "organizations/zeta" }, errs.Invalid, "RESOURCE_FOREIGN"},
		{func(v *permissionv1.SeparationRule) {
			v.Exemptions = []*permissionv1.SeparationExemption{{Subject: "organizations/zeta/staff/z", Reason: "r", ExpireTime: timestamppb.Now()}}
		}, errs.Invalid, "SEPARATION_RULE_INVALID"},
	} {
		v := pair()
		test.change(v)
		wantError(t, create(t.Context(), v), test.kind, test.reason)
	}
	v := c.create(pair())
	page, err := c.ListSeparationRules(t.Context(), &permissionv1.ListSeparationRulesRequest{Parent: acme})
	if err != nil || len(page.GetSeparationRules()) != 1 {
		t.Errorf("rules %v, %v", page, err)
	}
	_, err = r.rules(t, sue).GetSeparationRule(t.Context(), &permissionv1.GetSeparationRuleRequest{Name: v.GetName()})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	_, err = r.rules(t, "organizations/zeta/staff/z").GetSeparationRule(t.Context(), &permissionv1.GetSeparationRuleRequest{Name: v.GetName()})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
}
