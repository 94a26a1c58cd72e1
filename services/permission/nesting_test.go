package permission_test

import (
	"context"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	east        = acme + "/teams/east"
	teamUpdated = "guildhall.identity.team.updated.v1"
)

// place tells that a team is below another; "" is the top.
func (id *identity) place(team, parent string) {
	id.t.Helper()
	id.tell(teamUpdated, team, &identityv1.TeamChanged{Parent: parent})
}

// TestCatchUp_isTrueEverywhereWhenItReturns moves a team in identity, waits for
// one replica, and asks the other.
func TestCatchUp_isTrueEverywhereWhenItReturns(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	one, two := in.start(), in.start()
	in.seed(one)
	says, asks := one.asService("identity"), two.asService("groupchat")
	one.as(admin).grant(t, sales, "roles/viewer", acme)
	in.identity.join(east, sue)
	for range 10 {
		for _, parent := range []string{sales, ""} {
			in.identity.place(east, parent)
			if _, err := says.CatchUp(t.Context(), &permissionv1.CatchUpRequest{}); err != nil {
				t.Fatal(err)
			}
			asks.wantMay(t, parent == sales, sue, readGroups, acme)
		}
	}
	_, err := asks.CatchUp(t.Context(), &permissionv1.CatchUpRequest{})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
}

// TestCatchUp_neverSaysWhatItDoesNotKnow has a feed that cannot be applied.
func TestCatchUp_neverSaysWhatItDoesNotKnow(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	in.identity.place(east, acme+"/staff/sue")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.asService("identity").CatchUp(ctx, &permissionv1.CatchUpRequest{}); !errs.Is(err, errs.DeadlineExceeded) {
		t.Errorf("CatchUp behind an event that stops the feed: %v", err)
	}
}

// TestDeleteTeam_thoseBelowAreWhereItWas: what is denied above them reaches them
// before identity's word on where they are does.
func TestDeleteTeam_thoseBelowAreWhereItWas(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway, city := r.as(admin), r.asService("gateway"), acme+"/teams/city"
		r.in.identity.join(city, sue)
		r.in.identity.place(city, east)
		r.in.identity.place(east, sales)
		c.grant(t, sue, "roles/viewer", acme)
		c.grant(t, east, "roles/customer.service", acme)
		c.mustGive(t, &permissionv1.Grant{Subject: sales, Role: "roles/viewer", Resource: groupOne, Effect: deny})
		r.in.await(func() bool { return gateway.may(t, sue, "identity.customers.update", carl) })
		gateway.wantMay(t, false, sue, readGroups, groupOne)
		r.in.identity.tell("guildhall.identity.team.deleted.v1", east, &identityv1.TeamChanged{})
		if _, err := r.asService("identity").CatchUp(t.Context(), &permissionv1.CatchUpRequest{}); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, false, sue, "identity.customers.update", carl)
		gateway.wantMay(t, false, sue, readGroups, groupOne)
		gateway.wantMay(t, true, sue, readGroups, acme+"/groups/g2")
	})
}

// TestCheckCover_ofWhatIsDenied is what identity asks before it takes anybody
// out from under a denial.
func TestCheckCover_ofWhatIsDenied(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	chief, identity, tom := r.as(admin), r.asService("identity"), acme+"/staff/tom"
	in.identity.place(east, sales)
	chief.grant(t, tom, "roles/customer.service", acme)
	covered := func(actor, target string) bool {
		t.Helper()
		resp, err := identity.CheckCover(t.Context(), &permissionv1.CheckCoverRequest{Parent: acme, Actor: actor, Subject: target, Denied: true})
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetCovered() == (resp.GetPermission() != "") {
			t.Errorf("covered %t, and %q is lacking", resp.GetCovered(), resp.GetPermission())
		}
		return resp.GetCovered()
	}
	chief.grant(t, sales, "roles/organization.admin", acme)
	if !covered(sue, sales) {
		t.Error("what is given to a team counts as denied")
	}
	chief.mustGive(t, &permissionv1.Grant{Subject: sales, Role: "roles/customer.service", Resource: acme, Effect: deny})
	in.await(func() bool { return !covered(sue, east) })
	for actor, want := range map[string]bool{admin: true, tom: true, sue: false} {
		for _, target := range []string{sales, east} {
			if got := covered(actor, target); got != want {
				t.Errorf("%s may lift what is denied to %s: %t, want %t", actor, target, got, want)
			}
		}
	}
	// Who is denied it too cannot lift it, holding it otherwise or not.
	in.identity.join(sales, tom)
	in.await(func() bool { return !covered(tom, sales) })
}
