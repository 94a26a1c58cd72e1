package permission_test

import (
	"testing"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestAccess_listsPageByPage(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		lists := permissionv1.NewAccessServiceClient(r.connect(admin))
		for _, g := range []string{"g3", "g1", "g2"} {
			c.grant(t, sue, "roles/viewer", acme+"/groups/"+g)
		}
		var names []string
		for token := ""; ; {
			resp, err := lists.ListResources(t.Context(), &permissionv1.ListResourcesRequest{
				Parent: acme, Subject: sue, Permission: readGroups, Collection: acme + "/groups", PageSize: 2, PageToken: token,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range resp.GetResources() {
				names = append(names, one.GetName()[len(acme+"/groups/"):])
			}
			if token = resp.GetNextPageToken(); token == "" {
				break
			}
			// A token is its query's.
			_, err = lists.ListResources(t.Context(), &permissionv1.ListResourcesRequest{Parent: acme, Subject: carl, Permission: readGroups, PageToken: token})
			wantError(t, err, errs.Invalid, "PAGE_TOKEN_MISMATCH")
		}
		if len(names) != 3 || names[0] != "g1" || names[2] != "g3" {
			t.Errorf("listed %v", names)
		}
		who, err := lists.ListSubjects(t.Context(), &permissionv1.ListSubjectsRequest{Parent: acme, Permission: readGroups, Resource: acme + "/groups/g1"})
		if err != nil || len(who.GetSubjects()) != 2 || who.GetSubjects()[0].GetName() != admin || who.GetSubjects()[1].GetName() != sue {
			t.Errorf("who: %v, %v", who, err)
		}
		may, err := lists.ListEffectivePermissions(t.Context(), &permissionv1.ListEffectivePermissionsRequest{Parent: acme, Subject: sue, Resource: acme + "/groups/g1", PageSize: 1000})
		if err != nil || len(may.GetPermissions()) < 3 || may.GetRevision() != who.GetRevision() {
			t.Errorf("may: %v, %v", may, err)
		}
	})
}

func TestAccess_isToldToWhoMayHear(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		own, stranger := permissionv1.NewAccessServiceClient(r.connect(sue)), permissionv1.NewAccessServiceClient(r.connect("organizations/zeta/staff/admin"))
		mine := &permissionv1.ListResourcesRequest{Parent: acme, Subject: sue, Permission: readGroups}
		if _, err := own.ListResources(t.Context(), mine); err != nil {
			t.Errorf("what one may do oneself: %v", err)
		}
		if _, err := own.ListEffectivePermissions(t.Context(), &permissionv1.ListEffectivePermissionsRequest{Parent: acme, Subject: sue, Resource: sue}); err != nil {
			t.Errorf("what one may do oneself: %v", err)
		}
		_, err := own.ListResources(t.Context(), &permissionv1.ListResourcesRequest{Parent: acme, Subject: carl, Permission: readGroups})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = own.ListSubjects(t.Context(), &permissionv1.ListSubjectsRequest{Parent: acme, Permission: readGroups, Resource: acme})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = stranger.ListResources(t.Context(), mine)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = stranger.ListSubjects(t.Context(), &permissionv1.ListSubjectsRequest{Parent: acme, Permission: readGroups, Resource: acme})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		// The subject has to be of the organisation that is asked.
		_, err = own.ListResources(t.Context(), &permissionv1.ListResourcesRequest{Parent: "organizations/zeta", Subject: sue, Permission: readGroups})
		wantField(t, err, errs.Invalid, "SUBJECT_INVALID", "subject")
		_, err = permissionv1.NewAccessServiceClient(r.connect(admin)).ListResources(t.Context(), &permissionv1.ListResourcesRequest{Parent: acme, Subject: sales, Permission: readGroups})
		wantField(t, err, errs.Invalid, "SUBJECT_INVALID", "subject")
	})
}

func TestExplain_tellsOneselfNothingOfOthers(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		r.as(admin).grant(t, carl, "roles/viewer", acme+"/groups/g1")
		req := &permissionv1.ExplainRequest{Parent: acme, Query: &permissionv1.CheckQuery{Subject: sue, Permission: readGroups, Resource: acme + "/groups/g1"}}
		all, err := permissionv1.NewExplainServiceClient(r.connect(admin)).Explain(t.Context(), req)
		if err != nil || all.GetResult().GetAllowed() || all.GetResult().GetDenial() != permissionv1.Denial_DENIAL_NO_GRANT {
			t.Fatalf("explained %v, %v", all, err)
		}
		of := func(e *permissionv1.ExplainResponse) (others int) {
			for _, g := range e.GetNear() {
				if g.GetGap() == permissionv1.ExplainedGrant_GAP_SUBJECT {
					others++
				}
			}
			return others
		}
		own, err := permissionv1.NewExplainServiceClient(r.connect(sue)).Explain(t.Context(), req)
		if err != nil || of(own) != 0 || of(all) < 1 {
			t.Errorf("told sue %v, %v; the administrator %v", own, err, all)
		}
		_, err = permissionv1.NewExplainServiceClient(r.connect(carl)).Explain(t.Context(), req)
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = permissionv1.NewExplainServiceClient(r.connect("organizations/zeta/staff/admin")).Explain(t.Context(), req)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		req.Parent = "organizations/zeta"
		_, err = permissionv1.NewExplainServiceClient(r.connect(sue)).Explain(t.Context(), req)
		wantField(t, err, errs.Invalid, "SUBJECT_INVALID", "query.subject")
	})
}

func TestSimulateChecks_changesNothing(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		simulator := permissionv1.NewExplainServiceClient(r.connect(admin))
		req := &permissionv1.SimulateChecksRequest{
			Parent: acme, Queries: []*permissionv1.CheckQuery{{Subject: sue, Permission: readGroups, Resource: acme + "/groups/g1"}},
			CreateGrants: []*permissionv1.Grant{{Subject: sue, Role: "roles/viewer", Resource: acme}},
		}
		resp, err := simulator.SimulateChecks(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		one := resp.GetResults()[0]
		if one.GetBefore().GetAllowed() || !one.GetAfter().GetAllowed() || !one.GetChanged() || one.GetAfter().GetGrant() != "create_grants[0]" {
			t.Errorf("simulated %v", one)
		}
		r.asService("gateway").wantMay(t, false, sue, readGroups, acme+"/groups/g1")
		for field, change := range map[string]func(*permissionv1.SimulateChecksRequest){
			"delete_grants[0]": func(q *permissionv1.SimulateChecksRequest) { q.DeleteGrants = []string{"organizations/zeta/grants/g1"} },
			"roles[0].role": func(q *permissionv1.SimulateChecksRequest) {
				q.Roles = []*permissionv1.RoleProposal{{Role: "roles/viewer"}}
			},
			"create_grants[0].role": func(q *permissionv1.SimulateChecksRequest) { q.CreateGrants[0].Role = "roles/none" },
		} {
			bad := &permissionv1.SimulateChecksRequest{
				Parent: acme, Queries: req.GetQueries(), CreateGrants: []*permissionv1.Grant{{Subject: sue, Role: "roles/viewer", Resource: acme}},
			}
			change(bad)
			_, err := simulator.SimulateChecks(t.Context(), bad)
			if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != field {
				t.Errorf("%v with %v, want the field %s", err, v, field)
			}
		}
		_, err = permissionv1.NewExplainServiceClient(r.connect(sue)).SimulateChecks(t.Context(), req)
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = permissionv1.NewExplainServiceClient(r.connect("organizations/zeta/staff/admin")).SimulateChecks(t.Context(), req)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}

// TestAccess_knowsOfCertificates: what a role gives that needs one depends on
// who asks.
func TestAccess_knowsOfCertificates(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		lists := permissionv1.NewAccessServiceClient(r.connect(admin))
		course := c.course(t, "reading")
		must[*permissionv1.CertificationRequirement](t)(c.CreateCertificationRequirement(t.Context(), &permissionv1.CreateCertificationRequirementRequest{
			Parent:                   acme,
			CertificationRequirement: &permissionv1.CertificationRequirement{Role: "roles/viewer", Course: course.GetName()},
		}))
		g := r.as(admin).grant(t, acme+"/allStaff", "roles/viewer", acme+"/groups/g1")
		explained, err := permissionv1.NewExplainServiceClient(r.connect(admin)).Explain(t.Context(), &permissionv1.ExplainRequest{
			Parent: acme, Query: &permissionv1.CheckQuery{Subject: sue, Permission: readGroups, Resource: acme + "/groups/g1"},
		})
		if err != nil || len(explained.GetNear()) == 0 || explained.GetNear()[0].GetGrant() != g.GetName() ||
			explained.GetNear()[0].GetGap() != permissionv1.ExplainedGrant_GAP_QUALIFICATION {
			t.Errorf("explained %v, %v", explained, err)
		}
		mine := func() int {
			resp, err := lists.ListResources(t.Context(), &permissionv1.ListResourcesRequest{Parent: acme, Subject: sue, Permission: readGroups})
			if err != nil || !resp.GetMoreUnderConditions() {
				t.Errorf("listed %v, %v", resp, err)
			}
			return len(resp.GetResources())
		}
		if n := mine(); n != 0 {
			t.Errorf("%d resources without a certificate", n)
		}
		who, err := lists.ListSubjects(t.Context(), &permissionv1.ListSubjectsRequest{Parent: acme, Permission: readGroups, Resource: acme + "/groups/g1"})
		if err != nil || len(who.GetSubjects()) != 2 || !who.GetSubjects()[0].GetConditional() {
			t.Errorf("who: %v, %v", who, err)
		}
		c.pass(t, c.enrol(t, sue, course))
		if n := mine(); n != 1 {
			t.Errorf("%d resources with a certificate", n)
		}
	})
}
