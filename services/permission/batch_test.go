package permission_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestBatchChangeGrants_replacesAnAdministratorInOneCall(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		old := c.grant(t, sue, "roles/viewer", acme+"/groups/g1")
		old.ConsistencyToken = "" // of its creation
		resp, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{
			Parent: acme, Changes: []*permissionv1.GrantChange{
				remove(acme + "/grants/administrator"), create(sue, "roles/organization.admin", acme), remove(old.GetName()),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if g := resp.GetGrants(); len(g) != 3 || g[1].GetCreator() != admin || g[1].GetEtag() == "" || !proto.Equal(g[2], old) {
			t.Errorf("changed %v", g)
		}
		gateway.wantMay(t, true, sue, "permission.grants.create", acme)
		gateway.wantMay(t, false, admin, "permission.grants.create", acme)
		_, err = c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{
			Parent: acme, Changes: []*permissionv1.GrantChange{create(admin, "roles/viewer", acme)},
		})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}

func TestBatchChangeGrants_failsAsAWhole(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		old := c.grant(t, sue, "roles/viewer", acme)
		fact := &permissionv1.GrantFact{Subject: sue, Role: "roles/viewer", Resource: acme}
		other := &permissionv1.GrantFact{Subject: carl, Role: "roles/viewer", Resource: acme}
		must := &permissionv1.GrantPrecondition{Condition: &permissionv1.GrantPrecondition_MustExist{MustExist: fact}}
		lacks := &permissionv1.GrantPrecondition{Condition: &permissionv1.GrantPrecondition_MustExist{MustExist: other}}
		mustNot := &permissionv1.GrantPrecondition{Condition: &permissionv1.GrantPrecondition_MustNotExist{MustNotExist: fact}}
		stale := remove(old.GetName())
		stale.GetDelete().Etag = "another"
		for _, test := range []struct {
			last          *permissionv1.GrantChange
			preconditions []*permissionv1.GrantPrecondition
			revision      int64
			kind          errs.Kind
			reason, field string
		}{
			{last: create(sue, "roles/none", acme), kind: errs.NotFound, reason: "ROLE_NOT_FOUND", field: "changes[1].create.grant.role"},
			{last: create(sue, "roles/viewer", acme), kind: errs.Exists, reason: "GRANT_EXISTS", field: "changes[1].create.grant"},
			{last: stale, kind: errs.Conflict, reason: "ETAG_MISMATCH", field: "changes[1].delete.etag"},
			{last: remove("organizations/zeta/grants/g1"), kind: errs.Invalid, reason: "RESOURCE_NAME_INVALID", field: "changes[1].delete.name"},
			{last: remove(acme + "/grants/administrator"), kind: errs.Precondition, reason: "LAST_ADMINISTRATOR", field: "changes[1].delete"},
			{last: remove(old.GetName()), preconditions: []*permissionv1.GrantPrecondition{must, lacks}, kind: errs.Precondition, reason: "GRANT_EXPECTED", field: "preconditions[1].must_exist"},
			{last: remove(old.GetName()), preconditions: []*permissionv1.GrantPrecondition{mustNot}, kind: errs.Precondition, reason: "GRANT_UNEXPECTED", field: "preconditions[0].must_not_exist"},
			{last: remove(old.GetName()), revision: 1 << 40, kind: errs.Conflict, reason: "REVISION_MISMATCH", field: "revision"},
		} {
			_, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{
				Parent: acme, Changes: []*permissionv1.GrantChange{create(acme+"/staff/tom", "roles/viewer", acme), test.last},
				Preconditions: test.preconditions, Revision: test.revision,
			})
			wantField(t, err, test.kind, test.reason, test.field)
		}
		r.asService("gateway").wantMay(t, false, acme+"/staff/tom", readGroups, acme)
		r.asService("gateway").wantMay(t, true, sue, readGroups, acme)
	})
}

func TestBatchChangeGrants_givesNothingThatTheCallerLacks(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		bulk := c.role(t, "bulk", "permission.grants.batchChange")
		granter := c.role(t, "granter", "permission.grants.create", "identity.teams.get")
		teams := c.role(t, "teams", "identity.teams.get")
		given := c.grant(t, carl, "roles/viewer", acme)
		c.grant(t, sue, bulk.GetName(), acme)
		batch := func(changes ...*permissionv1.GrantChange) error {
			_, err := r.as(sue).BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: changes})
			return err
		}
		// To do much at once is no way around the permission to do one of it.
		wantError(t, batch(create(carl, teams.GetName(), acme)), errs.Denied, "PERMISSION_DENIED")
		wantError(t, batch(remove(given.GetName())), errs.Denied, "PERMISSION_DENIED")
		c.grant(t, sue, granter.GetName(), acme)
		wantField(t, batch(create(carl, teams.GetName(), acme), create(sue, "roles/organization.admin", acme)),
			errs.Denied, "GRANT_EXCEEDS_CALLER", "changes[1].create")
		if err := batch(create(carl, teams.GetName(), acme), create(carl, teams.GetName(), acme+"/teams/t1")); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchChangeGrants_retryIsTheSameBatch(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		req := &permissionv1.BatchChangeGrantsRequest{
			Parent: acme, RequestId: "7c1cf2a4-8a7f-4d0e-9a1e-3f1f0d2b9c55",
			Changes: []*permissionv1.GrantChange{create(sue, "roles/viewer", acme)},
		}
		first, err := c.BatchChangeGrants(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.BatchChangeGrants(t.Context(), req)
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("again %v, %v; want %v", again, err, first)
		}
		req.Changes[0] = create(sue, "roles/auditor", acme)
		_, err = c.BatchChangeGrants(t.Context(), req)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
		_, err = r.as("organizations/zeta/staff/admin").BatchChangeGrants(t.Context(), req)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}

// TestBatchChangeGrants_reachesEverySubject makes and takes back a grant to each
// form of a subject, and looks at once.
func TestBatchChangeGrants_reachesEverySubject(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		r.in.identity.join(sales, sue)
		c.grant(t, sales, "roles/auditor", acme+"/groups/team")
		r.in.await(func() bool { return gateway.may(t, sue, "permission.grants.list", acme+"/groups/team") })
		c.grant(t, sue, "roles/auditor", acme+"/groups/held")
		subjects := []string{
			sue, sales, acme + "/allStaff", acme + "/everyone", acme + "/groups/held#roles/auditor",
		}
		on := func(i int) string { return fmt.Sprintf("%s/groups/g%d", acme, i) }
		var given, taken []*permissionv1.GrantChange
		for i, subject := range subjects {
			gateway.wantMay(t, false, sue, readGroups, on(i))
			given = append(given, create(subject, "roles/viewer", on(i)))
		}
		made, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: given})
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range made.GetGrants() {
			gateway.wantMay(t, true, sue, readGroups, on(i))
			taken = append(taken, remove(g.GetName()))
		}
		if _, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: taken}); err != nil {
			t.Fatal(err)
		}
		for i := range subjects {
			gateway.wantMay(t, false, sue, readGroups, on(i))
		}
	})
}

// TestBatchChangeGrants_liftsNoDenialOfMore: to take back a denial is to give.
func TestBatchChangeGrants_liftsNoDenialOfMore(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		clerk := c.role(t, "clerk", "permission.grants.batchChange", "permission.grants.delete", "permission.grants.purge")
		c.grant(t, sue, clerk.GetName(), acme)
		deny := create(sue, "roles/organization.admin", acme+"/groups/g1")
		deny.GetCreate().Grant.Effect = permissionv1.Effect_EFFECT_DENY
		made, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: []*permissionv1.GrantChange{deny}})
		if err != nil {
			t.Fatal(err)
		}
		name := made.GetGrants()[0].GetName()
		_, err = r.as(sue).BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: []*permissionv1.GrantChange{remove(name)}})
		if !errs.Is(err, errs.Denied) {
			t.Errorf("lifted in a batch: %v", err)
		}
		_, err = r.as(sue).PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: `resource = "` + acme + `/groups/g1"`, Force: true})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		// Nor may a denial leave nobody in charge.
		bar := create(acme+"/everyone", "roles/organization.admin", acme)
		bar.GetCreate().Grant.Effect = permissionv1.Effect_EFFECT_DENY
		_, err = c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: []*permissionv1.GrantChange{create(carl, "roles/viewer", acme), bar}})
		wantField(t, err, errs.Precondition, "LAST_ADMINISTRATOR", "changes[1].create")
	})
}

// TestBatchChangeGrants_thousand has the size that a batch may have, and stays
// well within the time of a call.
func TestBatchChangeGrants_thousand(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		reader := c.role(t, "reader", "identity.teams.get", readGroups)
		var changes []*permissionv1.GrantChange
		for i := range 1000 {
			changes = append(changes, create(fmt.Sprintf("%s/staff/s%d", acme, i), reader.GetName(), fmt.Sprintf("%s/groups/g%d", acme, i%10)))
		}
		resp, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: changes})
		if err != nil {
			t.Fatal(err)
		}
		r.asService("gateway").wantMay(t, true, acme+"/staff/s999", readGroups, acme+"/groups/g9")
		purge := &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: `role = "` + reader.GetName() + `"`, Revision: resp.GetRevision(), Force: true}
		gone, err := c.PurgeGrants(t.Context(), purge)
		if err != nil || gone.GetPurgeCount() != 1000 || gone.GetMore() || len(gone.GetPurgeSample()) != 100 {
			t.Errorf("purged %d, more %t, %d names, %v", gone.GetPurgeCount(), gone.GetMore(), len(gone.GetPurgeSample()), err)
		}
		changes = append(changes, changes[0])
		_, err = c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: changes})
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	})
}

func TestPurgeGrants_saysFirstAndDeletesThen(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		for i := range 3 {
			c.grant(t, sue, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, i))
		}
		c.grant(t, sue, "roles/auditor", acme)
		req := &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: `subject = "` + sue + `" AND role = "roles/viewer"`}
		first, err := c.PurgeGrants(t.Context(), req)
		if err != nil || first.GetPurgeCount() != 3 || len(first.GetPurgeSample()) != 3 || first.GetMore() {
			t.Fatalf("would purge %v, %v", first, err)
		}
		r.asService("gateway").wantMay(t, true, sue, readGroups, acme+"/groups/g1")
		c.grant(t, sue, "roles/viewer", acme+"/groups/g3")
		req.Force, req.Revision = true, first.GetRevision()
		_, err = c.PurgeGrants(t.Context(), req)
		wantField(t, err, errs.Conflict, "REVISION_MISMATCH", "revision")
		req.Revision, req.RequestId = 0, "9d1c2f6e-57c5-4b58-8f0f-0c2f8f1c1a11"
		for range 2 { // the second is a retry
			gone, err := c.PurgeGrants(t.Context(), req)
			if err != nil || gone.GetPurgeCount() != 4 || gone.GetRevision() <= first.GetRevision() {
				t.Errorf("purged %v, %v", gone, err)
			}
		}
		req.RequestId = ""
		if gone, err := c.PurgeGrants(t.Context(), req); err != nil || gone.GetPurgeCount() != 0 {
			t.Errorf("purged %v, %v", gone, err)
		}
		r.asService("gateway").wantMay(t, false, sue, readGroups, acme+"/groups/g1")
		r.asService("gateway").wantMay(t, true, sue, "permission.grants.list", acme)
	})
}

func TestPurgeGrants_refuses(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		for _, filter := range []string{`creator = "x"`, `subject = ""`, ` `, `subject = "a" OR role = "b"`} {
			_, err := c.PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: filter, Force: true})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
		_, err := c.PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Force: true})
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
		_, err = c.PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: "*", Force: true})
		if !errs.Is(err, errs.Precondition) || !strings.HasPrefix(errs.ReasonOf(err), "LAST_") {
			t.Errorf("purged all: %v", err)
		}
		_, err = r.as(sue).PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: "*"})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = r.as("organizations/zeta/staff/admin").PurgeGrants(t.Context(), &permissionv1.PurgeGrantsRequest{Parent: acme, Filter: "*"})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}
