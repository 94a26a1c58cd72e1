package permission_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission"
)

func TestCheck_unknownIsNo(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.asService("gateway")
	for _, q := range [][3]string{
		{admin, "no.such.thing", acme}, {"nobody", "identity.staff.get", acme}, {admin, "identity.staff.get", "nowhere"},
		{admin, "identity.staff.get", "organizations/zeta"}, {"organizations/zeta/staff/admin", "identity.staff.get", acme},
	} {
		c.wantMay(t, false, q[0], q[1], q[2])
	}
	_, err := c.Check(t.Context(), &permissionv1.CheckRequest{Parent: "acme", Query: &permissionv1.CheckQuery{Subject: "s", Permission: "p", Resource: "r"}})
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
	_, err = r.as(sue).Check(t.Context(), &permissionv1.CheckRequest{Parent: acme, Query: &permissionv1.CheckQuery{Subject: "s", Permission: "p", Resource: "r"}})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
}

func TestBatchCheck_answersInOrderOnOneRevision(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		g := r.as(admin).grant(t, sue, "roles/viewer", acme+"/groups/g7")
		req := &permissionv1.BatchCheckRequest{Parent: acme}
		for i := range 1000 {
			req.Queries = append(req.Queries, &permissionv1.CheckQuery{
				Subject: sue, Permission: "groupchat.groups.get", Resource: fmt.Sprintf("%s/groups/g%d", acme, i%10),
			})
		}
		resp, err := r.asService("groupchat").BatchCheck(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for i, result := range resp.GetResults() {
			if result.GetAllowed() != (i%10 == 7) || result.GetRevision() != resp.GetResults()[0].GetRevision() {
				t.Fatalf("result %d: %v", i, result)
			}
			if result.GetAllowed() && (result.GetGrant() != g.GetName() || result.GetRole() != "roles/viewer") {
				t.Fatalf("result %d: %v", i, result)
			}
		}
		if len(resp.GetResults()) != 1000 {
			t.Errorf("%d results", len(resp.GetResults()))
		}
		req.Queries = append(req.Queries, req.Queries[0])
		_, err = r.asService("groupchat").BatchCheck(t.Context(), req)
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	})
}

// TestMirror_identityDecidesWhoASubjectIs follows an account and a team
// through what identity tells of them.
func TestMirror_identityDecidesWhoASubjectIs(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		in, gateway, sales := r.in, r.asService("gateway"), acme+"/teams/sales"
		await := func(want bool) {
			t.Helper()
			in.await(func() bool { return gateway.may(t, sue, "identity.customers.update", acme) == want })
		}
		member := &identityv1.TeamMemberChanged{Team: sales, Account: sue}
		gateway.wantMay(t, false, sue, "identity.customers.update", acme)
		in.identity.tell("guildhall.identity.team_member.created.v1", sales+"/members/sue", member)
		r.as(admin).grant(t, sales, "roles/customer.service", acme)
		await(true)
		in.identity.tell("guildhall.identity.account.state_changed.v1", sue, &identityv1.AccountStateChanged{State: "SUSPENDED"})
		await(false)
		gateway.wantMay(t, false, sue, "identity.sessions.list", sue)
		in.identity.tell("guildhall.identity.account.state_changed.v1", sue, &identityv1.AccountStateChanged{State: "ACTIVE"})
		await(true)
		in.identity.tell("guildhall.identity.team_member.deleted.v1", sales+"/members/sue", member)
		await(false)
		in.identity.tell("guildhall.identity.team_member.created.v1", sales+"/members/sue", member)
		await(true)
		in.identity.tell("guildhall.identity.team.deleted.v1", sales, &identityv1.TeamMemberChanged{})
		await(false)
		// Another team of that name begins with nothing.
		in.identity.tell("guildhall.identity.team_member.created.v1", sales+"/members/sue", member)
		in.identity.tell("guildhall.identity.team_member.created.v1", sales+"/members/tom", &identityv1.TeamMemberChanged{Team: sales, Account: acme + "/staff/tom"})
		r.as(admin).grant(t, sales, "roles/viewer", acme)
		in.await(func() bool { return gateway.may(t, sue, "groupchat.groups.get", acme) })
		gateway.wantMay(t, false, sue, "identity.customers.update", acme)
	})
}

func TestMirror_secondOrganizationRunsNothing(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	const zeta, boss = "organizations/zeta", "organizations/zeta/staff/boss"
	in.identity.tell("guildhall.identity.organization.created.v1", zeta, &identityv1.OrganizationCreated{Administrator: boss})
	c := r.asService("gateway")
	ask := func(permission, resource string) bool {
		resp, err := c.Check(t.Context(), &permissionv1.CheckRequest{
			Parent: zeta, Query: &permissionv1.CheckQuery{Subject: boss, Permission: permission, Resource: resource},
		})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetResult().GetAllowed()
	}
	in.await(func() bool { return ask("identity.staff.create", zeta) })
	if ask("identity.organizations.create", "installation") || ask("identity.staff.create", acme) {
		t.Error("the administrator of another organisation holds what is not its")
	}
	// He may not take it either, although he may grant.
	_, err := r.as(boss).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
		Parent: zeta, Grant: &permissionv1.Grant{Subject: boss, Role: "roles/operator", Resource: "installation"},
	})
	wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
}

// TestMirror_eventWithoutSenseStopsTheFeed: to pass it over could be to pass
// over a suspension.
func TestMirror_eventWithoutSenseStopsTheFeed(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	if err := r.service.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.identity.tell("guildhall.identity.account.state_changed.v1", sue, &identityv1.TeamMemberChanged{})
	in.await(func() bool { return r.service.Ready(context.Background()) != nil })
}

func TestChecker_servesItsOwnProcess(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	ask := func(resources ...string) error {
		_, err := r.service.Checker().Check(t.Context(), authz.Request{
			Caller: authn.Caller{Name: sue}, Permission: "identity.teams.get", Resources: resources,
		})
		return err
	}
	if err := ask(acme+"/teams/a", acme+"/teams/b"); err != nil {
		t.Error(err)
	}
	wantError(t, ask(acme+"/teams/a", "organizations/zeta/teams/b"), errs.Denied, "PERMISSION_DENIED")
	wantError(t, ask(), errs.Denied, "PERMISSION_DENIED")
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.counter("guildhall.permission.checks", "denied"); got == 0 {
		t.Error("checks are not counted")
	}
}

// TestCheck_withoutItsStoreIsNeverYes: on a store that others write to, what
// neither a lease nor a read confirms is not said.
func TestCheck_withoutItsStoreIsNeverYes(t *testing.T) {
	in := install(t, "postgres")
	in.config = permission.Config{LeaseLength: 200 * time.Millisecond, LeaseRenewal: 50 * time.Millisecond}
	r := in.start()
	in.seed(r)
	gateway := r.asService("gateway")
	gateway.wantMay(t, true, admin, "identity.staff.get", acme)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	closed := time.Now()
	for {
		began := time.Now()
		_, err := gateway.Check(t.Context(), &permissionv1.CheckRequest{
			Parent: acme, Query: &permissionv1.CheckQuery{Subject: admin, Permission: "identity.staff.get", Resource: acme},
		})
		if errs.Is(err, errs.Unavailable) {
			break
		}
		if err != nil || began.Sub(closed) > in.config.LeaseLength {
			t.Fatalf("got %v, want unavailable when the lease has run out", err)
		}
	}
	_, err := r.service.Checker().Check(t.Context(), authz.Request{Caller: authn.Caller{Name: admin}, Permission: "identity.staff.get", Resources: []string{acme}})
	wantError(t, err, errs.Unavailable, "PERMISSION_UNAVAILABLE")
}
