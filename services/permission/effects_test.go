package permission_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	allStaff   = acme + "/allStaff"
	everyone   = acme + "/everyone"
	deny       = permissionv1.Effect_EFFECT_DENY
	createTeam = "identity.teams.create"
	groupOne   = acme + "/groups/g1"
)

// give returns what came of creating a grant in acme.
func (c *client) give(t testing.TB, g *permissionv1.Grant) (*permissionv1.Grant, error) {
	t.Helper()
	return c.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: g})
}

func (c *client) mustGive(t testing.TB, g *permissionv1.Grant) *permissionv1.Grant {
	t.Helper()
	made, err := c.give(t, g)
	if err != nil {
		t.Fatalf("CreateGrant(%v): %v", g, err)
	}
	return made
}

// ask returns the answer to a question about acme.
func (c *client) ask(t testing.TB, q *permissionv1.CheckQuery) *permissionv1.CheckResult {
	t.Helper()
	resp, err := c.Check(t.Context(), &permissionv1.CheckRequest{Parent: acme, Query: q})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetResult()
}

func TestCheck_saysWhyNot(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		c.grant(t, sue, "roles/viewer", acme)
		denied := c.mustGive(t, &permissionv1.Grant{Subject: allStaff, Role: "roles/group.owner", Resource: groupOne, Effect: deny})
		news := c.mustGive(t, &permissionv1.Grant{
			Subject: sue, Role: "roles/customer.service", Resource: acme + "/groups/g2",
			Condition: &permissionv1.Condition{Expression: `request.message_type == "news"`, Title: "news only"},
		})
		r.in.identity.state(carl, "SUSPENDED")
		r.in.await(func() bool {
			return gateway.ask(t, query(carl, "feedback.responses.create", acme)).GetDenial() == permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
		})
		withNews := query(sue, "groupchat.messages.create", acme+"/groups/g2")
		withNews.Attributes = &permissionv1.Attributes{MessageType: "news"}
		for name, test := range map[string]struct {
			query *permissionv1.CheckQuery
			why   permissionv1.Denial
			grant string
		}{
			"nothing gives it":       {query(sue, createTeam, acme), permissionv1.Denial_DENIAL_NO_GRANT, ""},
			"a grant denies it":      {query(sue, readGroups, groupOne), permissionv1.Denial_DENIAL_DENIED_BY_GRANT, denied.GetName()},
			"a condition is not met": {query(sue, "groupchat.messages.create", acme+"/groups/g2"), permissionv1.Denial_DENIAL_CONDITION_NOT_MET, news.GetName()},
			"no account":             {query(groupOne, readGroups, groupOne), permissionv1.Denial_DENIAL_SUBJECT_UNKNOWN, ""},
			"no permission":          {query(sue, "groupchat.groups.fly", groupOne), permissionv1.Denial_DENIAL_PERMISSION_UNKNOWN, ""},
			"another's resource":     {query(sue, readGroups, "organizations/zeta/groups/g1"), permissionv1.Denial_DENIAL_RESOURCE_FOREIGN, ""},
			"it is met":              {withNews, permissionv1.Denial_DENIAL_UNSPECIFIED, news.GetName()},
		} {
			got := gateway.ask(t, test.query)
			if got.GetDenial() != test.why || got.GetGrant() != test.grant || got.GetAllowed() != (test.why == permissionv1.Denial_DENIAL_UNSPECIFIED) {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

func query(subject, permission, resource string) *permissionv1.CheckQuery {
	return &permissionv1.CheckQuery{Subject: subject, Permission: permission, Resource: resource}
}

func TestGrant_reachesWhoItSays(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		const gold, tom = acme + "/segments/gold", acme + "/staff/tom"
		r.in.identity.join(east, sue)
		r.in.identity.place(east, sales)
		r.in.identity.tell("guildhall.identity.segment_member.created.v1", gold+"/members/carl", &identityv1.SegmentMemberChanged{Segment: gold, Account: carl})
		above := c.grant(t, sales, "roles/auditor", acme)
		c.grant(t, gold, "roles/viewer", groupOne)
		c.grant(t, everyone, "roles/viewer", acme+"/groups/g9")
		c.grant(t, groupOne+"#roles/group.admin", "roles/customer.service", acme+"/customers/carl")
		r.in.await(func() bool { return gateway.may(t, sue, "permission.auditEntries.list", acme) })
		r.in.await(func() bool { return gateway.may(t, carl, readGroups, groupOne) })
		gateway.wantMay(t, true, acme+"/serviceAccounts/bot", readGroups, acme+"/groups/g9")
		gateway.wantMay(t, false, tom, "identity.customers.update", carl)
		appoint := &permissionv1.SetManagedGrantRequest{Subject: tom, Resource: groupOne, Role: "roles/group.admin", Version: 1}
		if _, err := r.asService("groupchat").SetManagedGrant(t.Context(), appoint); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, true, tom, "identity.customers.update", carl)
		appoint.Role, appoint.Version = "roles/group.member", 2
		if _, err := r.asService("groupchat").SetManagedGrant(t.Context(), appoint); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, false, tom, "identity.customers.update", carl)
		// What ended in identity ends here.
		r.in.identity.place(east, "")
		r.in.identity.tell("guildhall.identity.segment.deleted.v1", gold, &identityv1.SegmentMemberChanged{})
		r.in.await(func() bool { return !gateway.may(t, sue, "permission.auditEntries.list", acme) })
		r.in.await(func() bool { return !gateway.may(t, carl, readGroups, groupOne) })
		r.in.await(func() bool { return r.rows("endings") == 0 && r.rows("memberships") == 1 })
		c.revoke(t, above.GetName())
	})
}

func TestCreateGrant_refusesWhatCannotBe(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.as(admin)
	condition := func(expression string) *permissionv1.Condition {
		return &permissionv1.Condition{Expression: expression}
	}
	for name, test := range map[string]struct {
		grant         *permissionv1.Grant
		reason, field string
	}{
		"a condition that does not parse": {&permissionv1.Grant{Subject: sue, Role: "roles/viewer", Resource: acme, Condition: condition("request.time >")}, "CONDITION_INVALID", "grant.condition.expression"},
		"a condition of another type":     {&permissionv1.Grant{Subject: sue, Role: "roles/viewer", Resource: acme, Condition: condition("request.address")}, "CONDITION_INVALID", "grant.condition.expression"},
		"a condition that costs too much": {&permissionv1.Grant{Subject: sue, Role: "roles/viewer", Resource: acme, Condition: condition(strings.Repeat("context.a.all(x, ", 3) + "true" + strings.Repeat(")", 3))}, "CONDITION_TOO_COSTLY", "grant.condition.expression"},
		"holders of no role":              {&permissionv1.Grant{Subject: groupOne + "#roles/king", Role: "roles/viewer", Resource: acme}, "SUBJECT_INVALID", "grant.subject"},
		"holders of oneself":              {&permissionv1.Grant{Subject: groupOne + "#roles/self", Role: "roles/viewer", Resource: acme}, "SUBJECT_INVALID", "grant.subject"},
		"holders elsewhere":               {&permissionv1.Grant{Subject: "organizations/zeta/groups/g1#roles/viewer", Role: "roles/viewer", Resource: acme}, "SUBJECT_INVALID", "grant.subject"},
		"holders on a collection":         {&permissionv1.Grant{Subject: acme + "/groups#roles/viewer", Role: "roles/viewer", Resource: acme}, "SUBJECT_INVALID", "grant.subject"},
		"holders of holders":              {&permissionv1.Grant{Subject: groupOne + "#" + groupOne + "#roles/viewer", Role: "roles/viewer", Resource: acme}, "SUBJECT_INVALID", "grant.subject"},
		"everyone elsewhere":              {&permissionv1.Grant{Subject: "organizations/zeta/everyone", Role: "roles/viewer", Resource: acme}, "SUBJECT_INVALID", "grant.subject"},
		"an effect that is none":          {&permissionv1.Grant{Subject: sue, Role: "roles/viewer", Resource: acme, Effect: 7}, "VALIDATION_FAILED", "grant.effect"},
	} {
		_, err := c.give(t, test.grant)
		wantError(t, err, errs.Invalid, test.reason)
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != test.field {
			t.Errorf("%s: violations %v, want one of %s", name, v, test.field)
		}
	}
	// Each is another fact than the one without it.
	c.grant(t, sue, "roles/viewer", acme)
	for _, g := range []*permissionv1.Grant{
		{Subject: sue, Role: "roles/viewer", Resource: acme, Effect: deny},
		{Subject: sue, Role: "roles/viewer", Resource: acme, Condition: condition("true")},
		{Subject: sue, Role: "roles/viewer", Resource: acme, Condition: condition("false")},
	} {
		c.mustGive(t, g)
		_, err := c.give(t, g)
		wantError(t, err, errs.Exists, "GRANT_EXISTS")
	}
	_, err := c.give(t, &permissionv1.Grant{Subject: sue, Role: "roles/viewer", Resource: acme, Effect: permissionv1.Effect_EFFECT_ALLOW})
	wantError(t, err, errs.Exists, "GRANT_EXISTS")
}

func TestCreateGrant_whoMayDeny(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		const tom, una = acme + "/staff/tom", acme + "/staff/una"
		granter := c.role(t, "granter", "permission.grants.create", "permission.grants.delete", createTeam)
		reader := c.role(t, "reader", createTeam)
		c.grant(t, sue, granter.GetName(), acme)
		c.grant(t, tom, granter.GetName(), acme)
		c.grant(t, una, "roles/auditor", acme)
		by := r.as(sue)
		// Tom holds what sue holds; una holds what she lacks.
		barred := by.mustGive(t, &permissionv1.Grant{Subject: tom, Role: reader.GetName(), Resource: acme, Effect: deny})
		for _, subject := range []string{una, admin, sales, allStaff, everyone, groupOne + "#roles/group.admin"} {
			_, err := by.give(t, &permissionv1.Grant{Subject: subject, Role: reader.GetName(), Resource: acme, Effect: deny})
			wantError(t, err, errs.Denied, "TARGET_EXCEEDS_CALLER")
		}
		_, err := by.give(t, &permissionv1.Grant{Subject: tom, Role: "roles/auditor", Resource: acme, Effect: deny})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		// Tom neither gives what is denied to him nor lifts the denial.
		_, err = r.as(tom).give(t, &permissionv1.Grant{Subject: una, Role: reader.GetName(), Resource: acme})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = r.as(tom).DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: barred.GetName()})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		by.revoke(t, barred.GetName())
		r.as(tom).mustGive(t, &permissionv1.Grant{Subject: una, Role: reader.GetName(), Resource: acme})
		c.mustGive(t, &permissionv1.Grant{Subject: sales, Role: reader.GetName(), Resource: acme, Effect: deny})
	})
}

func TestCreateGrant_whatIsHeldUnderAConditionIsNotGiven(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		granter := c.role(t, "granter", "permission.grants.create")
		reader := c.role(t, "reader", createTeam)
		c.grant(t, sue, granter.GetName(), acme)
		c.mustGive(t, &permissionv1.Grant{
			Subject: sue, Role: reader.GetName(), Resource: acme, Condition: &permissionv1.Condition{Expression: "true"},
		})
		r.asService("gateway").wantMay(t, true, sue, createTeam, acme)
		_, err := r.as(sue).give(t, &permissionv1.Grant{Subject: carl, Role: reader.GetName(), Resource: acme})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
	})
}

func TestDeny_leavesAnAdministrator(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		const tom = acme + "/staff/tom"
		bar := func(subject string) *permissionv1.Grant {
			return &permissionv1.Grant{Subject: subject, Role: "roles/organization.admin", Resource: acme, Effect: deny}
		}
		soon := bar(admin)
		soon.ExpireTime = timestamppb.New(r.in.clock().Add(time.Hour))
		sometimes := bar(everyone)
		sometimes.Condition = &permissionv1.Condition{Expression: "false"}
		for _, g := range []*permissionv1.Grant{bar(admin), bar(allStaff), bar(everyone), soon, sometimes, bar(acme + "#roles/organization.admin")} {
			_, err := c.give(t, g)
			wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
		}
		c.mustGive(t, &permissionv1.Grant{
			Subject: tom, Role: "roles/organization.admin", Resource: acme, Condition: &permissionv1.Condition{Expression: "true"},
		})
		_, err := c.give(t, bar(admin)) // tom administers now and then
		wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
		c.grant(t, tom, "roles/organization.admin", acme)
		c.mustGive(t, bar(tom))
		_, err = c.give(t, bar(admin))
		wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
		_, err = c.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: acme + "/grants/administrator"})
		wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
	})
}

// TestDeny_leavesAnAdministratorInBulk goes the ways round a single grant.
func TestDeny_leavesAnAdministratorInBulk(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		clerk := c.role(t, "clerk", createTeam)
		bar := func(subject, role string) *permissionv1.GrantChange {
			g := create(subject, role, acme)
			g.GetCreate().Grant.Effect = deny
			return g
		}
		batch := func(changes ...*permissionv1.GrantChange) error {
			_, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: changes})
			return err
		}
		// Each of the two alone would do it, so that neither is the one too many.
		err := batch(create(sue, "roles/viewer", acme), bar(admin, "roles/organization.admin"), bar(everyone, "roles/organization.admin"))
		wantField(t, err, errs.Precondition, "LAST_ADMINISTRATOR", "changes[1].create")
		// An administrator may be replaced and barred in one batch, but then may
		// not lift what bars him.
		if err := batch(create(sue, "roles/organization.admin", acme), bar(admin, "roles/organization.admin")); err != nil {
			t.Fatal(err)
		}
		r.asService("gateway").wantMay(t, false, admin, createTeam, acme)
		s := r.as(sue)
		granter := s.role(t, "granter", "permission.grants.delete", "permission.grants.batchChange", "permission.grants.purge", "permission.grants.list")
		const tom = acme + "/staff/tom"
		s.grant(t, tom, granter.GetName(), acme)
		barred := s.mustGive(t, &permissionv1.Grant{Subject: tom, Role: clerk.GetName(), Resource: acme, Effect: deny})
		_, err = r.as(tom).BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{
			Parent: acme, Changes: []*permissionv1.GrantChange{remove(barred.GetName())},
		})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = r.as(tom).PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: `role = "` + clerk.GetName() + `"`, Force: true})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
	})
}

func TestCheck_attributesAreBounded(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	large := query(sue, readGroups, groupOne)
	large.Attributes = &permissionv1.Attributes{Context: &structpb.Struct{Fields: map[string]*structpb.Value{
		"text": structpb.NewStringValue(strings.Repeat("x", 32<<10)),
	}}}
	gateway := r.asService("gateway")
	_, err := gateway.Check(t.Context(), &permissionv1.CheckRequest{Parent: acme, Query: large})
	wantField(t, err, errs.Invalid, "ATTRIBUTES_TOO_LARGE", "query.attributes")
	_, err = gateway.BatchCheck(t.Context(), &permissionv1.BatchCheckRequest{Parent: acme, Queries: []*permissionv1.CheckQuery{query(sue, readGroups, groupOne), large}})
	wantField(t, err, errs.Invalid, "ATTRIBUTES_TOO_LARGE", "queries[1].attributes")
}
