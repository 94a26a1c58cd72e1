package permission_test

import (
	"fmt"
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
)

const (
	sales        = acme + "/teams/sales"
	readGroups   = "groupchat.groups.get"
	stateChanged = "guildhall.identity.account.state_changed.v1"
	purged       = "guildhall.identity.account.purged.v1"
	joined       = "guildhall.identity.team_member.created.v1"
)

func (id *identity) state(account, state string) {
	id.t.Helper()
	id.tell(stateChanged, account, &identityv1.AccountStateChanged{State: state})
}

func (id *identity) join(team, account string) {
	id.t.Helper()
	id.tell(joined, team+"/members/"+account[len(acme+"/staff/"):], &identityv1.TeamMemberChanged{Team: team, Account: account})
}

// TestPurge_whoeverGetsTheNameHoldsNothing gives sue more grants than one
// transaction deletes.
func TestPurge_whoeverGetsTheNameHoldsNothing(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			a := in.start()
			in.seed(a)
			manager, gateway := a.as(admin), a.asService("gateway")
			for i := range grant.EndChunk + 3 {
				manager.grant(t, sue, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, i))
			}
			manager.grant(t, sue, "roles/organization.admin", acme)
			gateway.wantMay(t, true, sue, "permission.grants.create", acme)
			in.identity.state(sue, "DELETED")
			in.identity.tell(purged, sue, &identityv1.AccountStateChanged{})
			in.identity.state(sue, "PENDING")
			in.identity.state(carl, "SUSPENDED") // heard of after the others, or before
			in.await(func() bool { return !gateway.may(t, sue, "permission.grants.create", acme) })
			in.await(func() bool { return gateway.may(t, sue, "identity.organizations.get", acme) })
			for i := range grant.EndChunk + 3 {
				gateway.wantMay(t, false, sue, readGroups, fmt.Sprintf("%s/groups/g%d", acme, i))
			}
			gateway.wantMay(t, false, sue, "permission.grants.create", acme)
			in.await(func() bool { return a.rows("endings") == 0 })
			manager.grant(t, sue, "roles/viewer", acme+"/groups/g1")
			gateway.wantMay(t, true, sue, readGroups, acme+"/groups/g1")
			gateway.wantMay(t, false, sue, readGroups, acme+"/groups/g2")
		})
	}
}

// rows counts what a raw table holds.
func (r *replica) rows(table string) (n int) {
	r.in.t.Helper()
	err := r.store.View(r.in.t.Context(), func(tx kv.Reader) error {
		n = 0
		for _, err := range tx.Scan(table, kv.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		r.in.t.Fatal(err)
	}
	return n
}

// TestResync_anEmptiedStoreBeginsAnew has the store of a second installation
// follow an identity that has long been there.
func TestResync_anEmptiedStoreBeginsAnew(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			in.identity.tell("guildhall.identity.organization.created.v1", acme, &identityv1.OrganizationCreated{Administrator: admin, Operator: true})
			in.identity.state(carl, "SUSPENDED")
			in.identity.join(sales, sue)
			a := in.start()
			gateway := a.asService("gateway")
			in.await(func() bool { return gateway.may(t, admin, "permission.grants.create", acme) })
			in.await(func() bool { return a.rows("standings") == 1 && a.rows("memberships") == 1 })
			gateway.wantMay(t, false, carl, "identity.organizations.get", acme)
			a.as(admin).grant(t, sales, "roles/viewer", acme)
			gateway.wantMay(t, true, sue, readGroups, acme)
		})
	}
}

// TestResync_segmentsAreFoundAgain has another feed take the place of the one
// that was followed; meanwhile a customer left a segment, another joined, and a
// segment is gone.
func TestResync_segmentsAreFoundAgain(t *testing.T) {
	in := install(t, "bolt")
	a := in.start()
	in.seed(a)
	const gold, old, dora = acme + "/segments/gold", acme + "/segments/old", acme + "/customers/dora"
	join := func(segment, customer string) {
		in.identity.tell("guildhall.identity.segment_member.created.v1", segment+"/members/x", &identityv1.SegmentMemberChanged{Segment: segment, Account: customer})
	}
	join(gold, carl)
	join(old, carl)
	in.await(func() bool { return a.rows("memberships") == 2 })
	manager := a.as(admin)
	manager.grant(t, gold, "roles/viewer", acme+"/groups/g1")
	manager.grant(t, old, "roles/viewer", acme+"/groups/g2")
	a.stop()

	before := in.identity.lists
	in.identity = startIdentity(t)
	l := in.identity.lists
	l.organizations, l.states, l.teams, l.segments = before.organizations, before.states, before.teams, before.segments
	delete(l.segments, old)
	l.segments[gold] = map[string]bool{dora: true}
	a = in.start()
	gateway := a.asService("gateway")
	in.await(func() bool { return gateway.may(t, dora, readGroups, acme+"/groups/g1") })
	gateway.wantMay(t, false, carl, readGroups, acme+"/groups/g1")
	gateway.wantMay(t, false, carl, readGroups, acme+"/groups/g2")
	resp, err := a.as(admin).ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, Filter: `subject = "` + old + `"`})
	if err != nil || len(resp.GetGrants()) != 0 {
		t.Errorf("a segment that is gone still has %v (%v)", resp.GetGrants(), err)
	}
}

// TestResync_serviceAccountsAreFoundAgain has another feed take the place of the
// one that was followed; meanwhile one program was suspended, another enabled,
// and one is gone.
func TestResync_serviceAccountsAreFoundAgain(t *testing.T) {
	in := install(t, "bolt")
	a := in.start()
	in.seed(a)
	const build, deploy, old = acme + "/serviceAccounts/build", acme + "/serviceAccounts/deploy", acme + "/serviceAccounts/old"
	in.identity.state(build, "SUSPENDED")
	in.await(func() bool { return a.rows("standings") == 1 })
	for _, program := range []string{build, deploy, old} {
		a.as(admin).grant(t, program, "roles/viewer", acme)
	}
	a.stop()

	before := in.identity.lists
	in.identity = startIdentity(t)
	l := in.identity.lists
	l.organizations, l.states = before.organizations, before.states
	l.states[build], l.states[deploy] = "ACTIVE", "SUSPENDED"
	l.purged[old] = true
	a = in.start()
	gateway := a.asService("gateway")
	in.await(func() bool { return gateway.may(t, build, readGroups, acme) })
	in.await(func() bool { return !gateway.may(t, deploy, readGroups, acme) })
	gateway.wantMay(t, false, old, readGroups, acme)
}

// TestResync_aLostPlaceIsFoundAgain has another feed take the place of the one
// that was followed, with other facts.
func TestResync_aLostPlaceIsFoundAgain(t *testing.T) {
	in := install(t, "bolt")
	a := in.start()
	in.seed(a)
	manager, gateway := a.as(admin), a.asService("gateway")
	const bob, ann, field, west = acme + "/staff/bob", acme + "/staff/ann", acme + "/teams/field", acme + "/teams/west"
	const north = acme + "/teams/north"
	in.identity.state(carl, "SUSPENDED")
	in.identity.join(sales, sue)
	in.identity.join(field, ann)
	// Of three teams below others one goes to the top, one below another that
	// did not know it, and one was below a team that is gone.
	nested := map[string]string{east: acme + "/staff/e", west: acme + "/staff/w", north: acme + "/staff/n"}
	for team, account := range nested {
		in.identity.join(team, account)
		in.identity.place(team, sales)
	}
	in.identity.place(north, field)
	in.await(func() bool {
		return a.rows("standings") == 1 && a.rows("memberships") == 5 && a.rows("team_parents") == 3
	})
	manager.grant(t, sales, "roles/viewer", acme)
	manager.grant(t, field, "roles/viewer", acme)
	manager.grant(t, bob, "roles/viewer", acme)
	manager.grant(t, sales, "roles/auditor", groupOne)
	gateway.wantMay(t, true, nested[west], readGroups, acme)
	manager.revoke(t, acme+"/grants/all-staff")
	a.stop()

	before := in.identity.lists
	in.identity = startIdentity(t)
	l := in.identity.lists
	l.organizations, l.states, l.teams = before.organizations, before.states, before.teams
	l.states[sue] = "SUSPENDED"
	l.states[carl] = "ACTIVE"
	l.purged[bob] = true
	delete(l.teams, field)
	l.teams[sales][ann] = true
	l.parents = map[string]string{east: sales, north: west}
	a = in.start()
	gateway = a.asService("gateway")
	in.await(func() bool { return gateway.may(t, carl, "identity.organizations.get", acme) })
	in.await(func() bool { return gateway.may(t, ann, readGroups, acme) })
	in.await(func() bool { return a.rows("team_parents") == 2 })
	gateway.wantMay(t, true, nested[east], readGroups, acme)
	gateway.wantMay(t, false, nested[west], readGroups, acme)
	gateway.wantMay(t, false, nested[north], readGroups, acme)
	gateway.wantMay(t, true, admin, "permission.grants.create", acme)
	gateway.wantMay(t, false, sue, readGroups, acme)
	gateway.wantMay(t, false, bob, readGroups, acme)
	// The seed that people deleted does not come back.
	for _, subject := range []string{field, bob, acme + "/allStaff"} {
		resp, err := a.as(admin).ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, Filter: `subject = "` + subject + `"`})
		if err != nil || len(resp.GetGrants()) != 0 {
			t.Errorf("%s still has %v (%v)", subject, resp.GetGrants(), err)
		}
	}
	// Events of the new feed take effect.
	in.identity.state(ann, "SUSPENDED")
	in.await(func() bool { return !gateway.may(t, ann, readGroups, acme) })
}
