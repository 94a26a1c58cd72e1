package permission_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestCreateGrant_nobodyGivesWhatTheyLack(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		granter := c.role(t, "granter", "permission.grants.create", "identity.teams.get", "identity.teams.list")
		reader := c.role(t, "reader", "identity.teams.get", "identity.teams.list")
		c.grant(t, sue, granter.GetName(), acme)
		by := r.as(sue)
		by.grant(t, acme+"/staff/tom", reader.GetName(), acme+"/teams/t1")
		for _, give := range []*permissionv1.Grant{
			{Subject: sue, Role: "roles/organization.admin", Resource: acme},
			{Subject: acme + "/staff/tom", Role: "roles/customer.service", Resource: acme + "/groups/g1"},
			{Subject: sue, Role: "roles/operator", Resource: "installation"},
		} {
			_, err := by.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: give})
			wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		}
		// The administrator runs the installation and may pass that on.
		c.grant(t, acme+"/staff/tom", "roles/operator", "installation")
		r.asService("gateway").wantMay(t, true, acme+"/staff/tom", "identity.organizations.create", "installation")
		r.in.await(func() bool {
			resp, err := c.audit.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme, Filter: `actor = "` + sue + `"`})
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(resp.GetAuditEntries(), func(e *auditv1.AuditEntry) bool { return e.GetReason() == "GRANT_EXCEEDS_CALLER" })
		})
	})
}

func TestCreateGrant_retryIsTheSameGrant(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		req := &permissionv1.CreateGrantRequest{
			Parent: acme, RequestId: "7c1cf2a4-8a7f-4d0e-9a1e-3f1f0d2b9c55",
			Grant: &permissionv1.Grant{Subject: sue, Role: "roles/viewer", Resource: acme, Creator: "a lie", ManagedBy: "services/groupchat"},
		}
		first, err := c.CreateGrant(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if first.GetCreator() != admin || first.GetManagedBy() != "" {
			t.Errorf("created %v", first)
		}
		again, err := c.CreateGrant(t.Context(), req)
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("again %v, %v; want %v", again, err, first)
		}
		req.Grant.Resource = acme + "/groups/g1"
		_, err = c.CreateGrant(t.Context(), req)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
		req.Grant.Resource, req.RequestId = acme, ""
		_, err = c.CreateGrant(t.Context(), req)
		wantError(t, err, errs.Exists, "GRANT_EXISTS")
	})
}

func TestGrant_endsInTheSecondItSays(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		end := time.Now().Add(time.Hour).Truncate(time.Second)
		g, err := r.as(admin).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: sue, Role: "roles/viewer", Resource: acme, ExpireTime: timestamppb.New(end.Add(400 * time.Millisecond)),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !g.GetExpireTime().AsTime().Equal(end) {
			t.Errorf("ends at %v, want %v", g.GetExpireTime().AsTime(), end)
		}
		gateway := r.asService("gateway")
		r.in.setClock(end.Add(-time.Nanosecond))
		gateway.wantMay(t, true, sue, "groupchat.groups.get", acme)
		r.in.setClock(end)
		gateway.wantMay(t, false, sue, "groupchat.groups.get", acme)
	})
}

func TestGrants_otherTenantsAreNotThere(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		stranger := r.as("organizations/zeta/staff/admin")
		g := r.as(admin).grant(t, sue, "roles/viewer", acme)
		_, err := stranger.GetGrant(t.Context(), &permissionv1.GetGrantRequest{Name: g.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = stranger.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: g.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = stranger.ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = stranger.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: "organizations/zeta/staff/admin", Role: "roles/viewer", Resource: acme,
		}})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = r.as(admin).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: "organizations/zeta/staff/admin", Role: "roles/viewer", Resource: acme,
		}})
		wantError(t, err, errs.Invalid, "SUBJECT_INVALID")
	})
}

func TestGrants_needThePermission(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	for _, account := range []string{sue, carl} {
		_, err := r.as(account).ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	}
	_, err := r.as(sue).SetManagedGrant(t.Context(), &permissionv1.SetManagedGrantRequest{Subject: sue, Resource: acme + "/groups/g1", Role: "roles/group.owner", Version: 1})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	_, err = r.asService("feedback").SetManagedGrant(t.Context(), &permissionv1.SetManagedGrantRequest{Subject: sue, Resource: acme + "/groups/g1", Role: "roles/group.owner", Version: 1})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
}

func TestListGrants_pagesAndFilters(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		want := []string{acme + "/grants/administrator", acme + "/grants/all-customers", acme + "/grants/all-staff", acme + "/grants/operator"}
		var got []string
		for token := ""; ; {
			resp, err := c.ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, PageSize: 3, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range resp.GetGrants() {
				got = append(got, g.GetName())
			}
			if token = resp.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		resp, err := c.ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, Filter: `resource = "installation"`})
		if err != nil || len(resp.GetGrants()) != 1 || resp.GetGrants()[0].GetRole() != "roles/operator" {
			t.Errorf("got %v, %v", resp, err)
		}
		for _, filter := range []string{`creator = "x"`, `subject = "a" AND role = "b"`, `subject = ""`, `subject`} {
			_, err := c.ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, Filter: filter})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
	})
}

func TestSetManagedGrant_membersMayWhenItReturns(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		chat, gateway := r.asService("groupchat"), r.asService("gateway")
		set := func(role string, version int64) *permissionv1.SetManagedGrantResponse {
			resp, err := chat.SetManagedGrant(t.Context(), &permissionv1.SetManagedGrantRequest{
				Subject: carl, Resource: acme + "/groups/g1", Role: role, Version: version,
			})
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		set("roles/group.member", 1)
		gateway.wantMay(t, true, carl, "groupchat.messages.create", acme+"/groups/g1/messages/-")
		set("roles/group.admin", 2)
		gateway.wantMay(t, true, carl, "groupchat.members.create", acme+"/groups/g1/members/-")
		set("", 4)
		gateway.wantMay(t, false, carl, "groupchat.messages.create", acme+"/groups/g1/messages/-")
		if got := set("roles/group.owner", 3).GetVersion(); got != 4 {
			t.Errorf("a late word: version %d, want 4", got)
		}
		gateway.wantMay(t, false, carl, "groupchat.messages.create", acme+"/groups/g1/messages/-")

		set("roles/group.member", 5)
		list, err := r.as(admin).ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, Filter: `subject = "` + carl + `"`})
		if err != nil || len(list.GetGrants()) != 1 || list.GetGrants()[0].GetManagedBy() != "services/groupchat" {
			t.Fatalf("grants %v, %v", list, err)
		}
		_, err = r.as(admin).DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: list.GetGrants()[0].GetName()})
		wantError(t, err, errs.Precondition, "GRANT_MANAGED")
	})
}

func TestDeleteGrant_keepsTheLastAdministrator(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	_, err := r.as(admin).DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: acme + "/grants/administrator"})
	wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
	r.as(admin).grant(t, sue, "roles/organization.admin", acme)
	r.as(admin).revoke(t, acme+"/grants/administrator")
	_, err = r.as(admin).ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
}

// TestGrants_leaveTheirTrace reads the events and the audit log of a change.
func TestGrants_leaveTheirTrace(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		g := r.as(admin).grant(t, sue, "roles/viewer", acme)
		r.as(admin).revoke(t, g.GetName())
		stream, err := r.asService("feedback").events.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme, StopAtEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		var types []string
		for {
			resp, err := stream.Recv()
			if err != nil {
				break
			}
			for _, e := range resp.GetEvents() {
				if e.GetSubject() != g.GetName() {
					continue
				}
				types = append(types, e.GetType())
				var data permissionv1.GrantChanged
				if err := e.GetData().UnmarshalTo(&data); err != nil || data.GetSubject() != sue || data.GetRevision() == 0 {
					t.Errorf("data %v, %v", &data, err)
				}
			}
		}
		if want := []string{"guildhall.permission.grant.created.v1", "guildhall.permission.grant.deleted.v1"}; !slices.Equal(types, want) {
			t.Errorf("events %v, want %v", types, want)
		}
		resp, err := r.as(admin).audit.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme, Filter: `resource = "` + g.GetName() + `"`})
		if err != nil || len(resp.GetAuditEntries()) != 2 || resp.GetAuditEntries()[0].GetActor() != admin {
			t.Errorf("audit %v, %v", resp, err)
		}
		verified, err := r.as(admin).audit.VerifyAuditChain(t.Context(), &auditv1.VerifyAuditChainRequest{Parent: acme})
		if err != nil || !verified.GetIntact() {
			t.Errorf("verify %v, %v", verified, err)
		}
	})
}
