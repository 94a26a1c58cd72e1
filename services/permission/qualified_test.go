package permission_test

import (
	"testing"
	"time"

	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// wantDenial fails unless the check is denied for the reason; unspecified is
// allowed.
func (c *client) wantDenial(t testing.TB, want permissionv1.Denial, subject, permission, resource string) {
	t.Helper()
	resp, err := c.Check(t.Context(), &permissionv1.CheckRequest{
		Parent: acme, Query: &permissionv1.CheckQuery{Subject: subject, Permission: permission, Resource: resource},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := resp.GetResult()
	if got.GetDenial() != want || got.GetAllowed() != (want == permissionv1.Denial_DENIAL_UNSPECIFIED) {
		t.Errorf("%s %s on %s: %v, want %s", subject, permission, resource, got, want)
	}
}

const (
	allowed     = permissionv1.Denial_DENIAL_UNSPECIFIED
	unqualified = permissionv1.Denial_DENIAL_UNQUALIFIED
)

func TestCheck_roleCountsWithItsCertificateOnly(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		course := c.course(t, "messages")
		c.grant(t, sue, "roles/customer.service", acme)
		check := func(want permissionv1.Denial, after time.Duration) {
			t.Helper()
			r.in.setClock(start.Add(after))
			gateway.wantDenial(t, want, sue, "groupchat.messages.create", group1)
		}
		check(allowed, 0)
		q := c.require(t, "roles/customer.service", acme+"/groups/*", course, 10*day)
		check(allowed, 10*day-1) // the grace period
		check(unqualified, 10*day)
		gateway.wantDenial(t, allowed, sue, "identity.customers.get", carl)      // it is required on groups
		gateway.wantDenial(t, unqualified, sue, "groupchat.messages.list", acme) // which all of acme includes
		r.in.setClock(start)
		rec := c.pass(t, c.enrol(t, sue, course))
		check(allowed, 10*day)
		check(allowed, 180*day-1)
		check(unqualified, 180*day) // whether or not a sweep came by
		check(allowed, 20*day)
		_, err := c.RevokeTrainingRecord(t.Context(), &permissionv1.RevokeTrainingRecordRequest{Name: rec.GetName(), Reason: "x"})
		if err != nil {
			t.Fatal(err)
		}
		check(unqualified, 20*day)
		must[*permissionv1.CertificationRequirement](t)(c.DeleteCertificationRequirement(t.Context(), &permissionv1.DeleteCertificationRequirementRequest{Name: q.GetName()}))
		check(allowed, 20*day)
	})
}

func TestCheck_eachMemberOfATeamNeedsTheCertificate(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		team := acme + "/teams/sales"
		c.grant(t, team, "roles/customer.service", acme)
		for _, member := range []string{sue, tom} {
			r.in.identity.tell("guildhall.identity.team_member.created.v1", team, &identityv1.TeamMemberChanged{Team: team, Account: member})
			r.in.await(func() bool { return gateway.may(t, member, "groupchat.messages.create", group1) })
		}
		course := c.course(t, "messages")
		c.require(t, "roles/customer.service", "", course, 0)
		c.pass(t, c.enrol(t, sue, course))
		gateway.wantDenial(t, allowed, sue, "groupchat.messages.create", group1)
		gateway.wantDenial(t, unqualified, tom, "groupchat.messages.create", group1)
	})
}

// TestCheck_managedRolesNeedCertificatesToo makes a group's administrator, who
// has to be trained, and holders of that role, who are none without.
func TestCheck_managedRolesNeedCertificatesToo(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway, groupchat := r.staffing(admin), r.asService("gateway"), r.asService("groupchat")
		must[*permissionv1.SetManagedGrantResponse](t)(groupchat.SetManagedGrant(t.Context(), &permissionv1.SetManagedGrantRequest{
			Subject: sue, Resource: group1, Role: "roles/group.admin", Version: 1,
		}))
		c.grant(t, group1+"#roles/group.admin", "roles/auditor", acme)
		course := c.course(t, "messages")
		c.require(t, "roles/group.admin", "", course, 0)
		gateway.wantDenial(t, unqualified, sue, "groupchat.members.create", group1)
		gateway.wantDenial(t, permissionv1.Denial_DENIAL_NO_GRANT, sue, "permission.grants.list", acme)
		c.pass(t, c.enrol(t, sue, course))
		gateway.wantDenial(t, allowed, sue, "groupchat.members.create", group1)
		gateway.wantDenial(t, allowed, sue, "permission.grants.list", acme)
	})
}

func TestCheck_purgedAccountLeavesNoCertificate(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		course := c.course(t, "messages")
		rec := c.pass(t, c.enrol(t, sue, course))
		r.in.identity.tell("guildhall.identity.account.purged.v1", sue, &identityv1.AccountStateChanged{State: "PURGED"})
		r.in.await(func() bool {
			_, err := c.GetTrainingRecord(t.Context(), &permissionv1.GetTrainingRecordRequest{Name: rec.GetName()})
			return err != nil
		})
		// Whoever has the name from now on.
		c.require(t, "roles/customer.service", "", course, 0)
		c.grant(t, sue, "roles/customer.service", acme)
		r.asService("gateway").wantDenial(t, unqualified, sue, "groupchat.messages.create", group1)
	})
}

// TestCheck_revokedCertificateIsNoneOnAnyReplica warms a replica, memory and
// Redis, and revokes through another.
func TestCheck_revokedCertificateIsNoneOnAnyReplica(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	one, two := in.start(), in.start()
	in.seed(one)
	c := one.staffing(admin)
	course := c.course(t, "messages")
	c.grant(t, sue, "roles/customer.service", acme)
	c.require(t, "roles/customer.service", "", course, 0)
	for range 5 {
		rec := c.pass(t, c.enrol(t, sue, course))
		two.asService("gateway").wantDenial(t, allowed, sue, "groupchat.messages.create", group1)
		must[*permissionv1.TrainingRecord](t)(c.RevokeTrainingRecord(t.Context(), &permissionv1.RevokeTrainingRecordRequest{Name: rec.GetName(), Reason: "x"}))
		two.asService("gateway").wantDenial(t, unqualified, sue, "groupchat.messages.create", group1)
	}
}
