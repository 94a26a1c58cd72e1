package permission_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// people are the clients of change requests of one caller.
type people struct {
	permissionv1.PermissionChangeRequestServiceClient
	permissionv1.ApprovalPolicyServiceClient
	permissionv1.NoticeServiceClient
	name string
}

func (r *replica) people(account string) *people {
	conn := r.connect(account)
	return &people{
		PermissionChangeRequestServiceClient: permissionv1.NewPermissionChangeRequestServiceClient(conn),
		ApprovalPolicyServiceClient:          permissionv1.NewApprovalPolicyServiceClient(conn),
		NoticeServiceClient:                  permissionv1.NewNoticeServiceClient(conn), name: account,
	}
}

// wish is a request for the role viewer on a group.
func wish() *permissionv1.PermissionChangeRequest {
	return &permissionv1.PermissionChangeRequest{
		Justification: "covering for a colleague",
		Change: &permissionv1.PermissionChangeRequest_Grant{Grant: &permissionv1.WantedGrant{
			Role: "roles/viewer", Resource: acme + "/groups/g1",
		}},
	}
}

func (p *people) file(t testing.TB, requester string, in *permissionv1.PermissionChangeRequest) *permissionv1.PermissionChangeRequest {
	t.Helper()
	v, err := p.CreatePermissionChangeRequest(t.Context(), &permissionv1.CreatePermissionChangeRequestRequest{
		Parent: requester, PermissionChangeRequest: in,
	})
	if err != nil {
		t.Fatalf("CreatePermissionChangeRequest: %v", err)
	}
	return v
}

func (p *people) verify(t testing.TB, name string) error {
	t.Helper()
	_, err := p.VerifyPermissionChangeRequestIdentity(t.Context(), &permissionv1.VerifyPermissionChangeRequestIdentityRequest{
		Name: name, Method: permissionv1.IdentityProof_METHOD_IN_PERSON, Note: "saw the badge",
	})
	return err
}

func (p *people) approve(t testing.TB, name string) error {
	t.Helper()
	_, err := p.ApprovePermissionChangeRequest(t.Context(), &permissionv1.ApprovePermissionChangeRequestRequest{
		Name: name, Words: "ask the desk when in doubt",
	})
	return err
}

const boss = acme + "/staff/boss"

func TestChangeRequest_fromWishToAcknowledgement(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		r.as(admin).grant(t, boss, "roles/organization.admin", acme)
		mine, verifier, approver := r.people(sue), r.people(boss), r.people(admin)
		v := mine.file(t, sue, wish())
		if err := verifier.verify(t, v.GetName()); err != nil {
			t.Fatal(err)
		}
		if err := approver.approve(t, v.GetName()); err != nil {
			t.Fatal(err)
		}
		gateway := r.asService("gateway")
		gateway.wantMay(t, false, sue, "groupchat.groups.get", acme+"/groups/g1")
		applied, err := approver.ApplyPermissionChangeRequest(t.Context(), &permissionv1.ApplyPermissionChangeRequestRequest{Name: v.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, true, sue, "groupchat.groups.get", acme+"/groups/g1")
		told, err := mine.ListNotices(t.Context(), &permissionv1.ListNoticesRequest{Parent: sue, Filter: "acknowledged = false"})
		if err != nil || len(told.GetNotices()) != 1 || told.GetNotices()[0].GetName() != applied.GetNotice() {
			t.Fatalf("told %v, %v", told, err)
		}
		_, err = approver.AcknowledgeNotice(t.Context(), &permissionv1.AcknowledgeNoticeRequest{Name: applied.GetNotice()})
		wantError(t, err, errs.Denied, "RECIPIENT_ONLY")
		for range 2 {
			n, err := mine.AcknowledgeNotice(t.Context(), &permissionv1.AcknowledgeNoticeRequest{Name: applied.GetNotice()})
			if err != nil || n.GetAcknowledgeTime() == nil {
				t.Errorf("acknowledged %v, %v", n, err)
			}
		}
		after, err := mine.GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: v.GetName()})
		if err != nil || after.GetState() != permissionv1.PermissionChangeRequest_STATE_ACKNOWLEDGED {
			t.Errorf("after all %v, %v", after, err)
		}
		sum, err := approver.SummarizePermissionChangeRequests(t.Context(), &permissionv1.SummarizePermissionChangeRequestsRequest{Parent: acme})
		if err != nil || sum.GetTotal() != 1 || len(sum.GetStages()) != 5 {
			t.Errorf("summary %v, %v", sum, err)
		}
	})
}

func TestChangeRequest_whoMayWhat(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		mine, approver := r.people(sue), r.people(admin)
		v := mine.file(t, sue, wish())
		for _, other := range []string{acme + "/staff/tom", carl} {
			_, err := r.people(other).GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: v.GetName()})
			wantError(t, err, errs.Denied, "PERMISSION_DENIED")
			_, err = r.people(other).CreatePermissionChangeRequest(t.Context(), &permissionv1.CreatePermissionChangeRequestRequest{Parent: sue, PermissionChangeRequest: wish()})
			wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		}
		wantError(t, mine.approve(t, v.GetName()), errs.Denied, "PERMISSION_DENIED")
		_, err := r.people("organizations/zeta/staff/z").GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: v.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = approver.GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: sue + "/permissionChangeRequests/none"})
		wantError(t, err, errs.NotFound, "CHANGE_REQUEST_NOT_FOUND")
		_, err = approver.GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: sue + "/other/none"})
		wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")

		// An administrator's own request is as much another's to approve.
		own := approver.file(t, admin, wish())
		if err := r.people(admin).verify(t, own.GetName()); errs.ReasonOf(err) != "SELF_VERIFICATION" {
			t.Errorf("verified by itself: %v", err)
		}
		r.as(admin).grant(t, boss, "roles/organization.admin", acme)
		if err := r.people(boss).verify(t, own.GetName()); err != nil {
			t.Fatal(err)
		}
		wantError(t, approver.approve(t, own.GetName()), errs.Denied, "SELF_APPROVAL")
		r.in.await(func() bool {
			resp, err := r.as(admin).audit.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme, Filter: `actor = "` + admin + `"`})
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(resp.GetAuditEntries(), func(e *auditv1.AuditEntry) bool { return e.GetReason() == "SELF_APPROVAL" })
		})
	})
}

func TestChangeRequest_retriesAndEtags(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	mine := r.people(sue)
	req := &permissionv1.CreatePermissionChangeRequestRequest{
		Parent: sue, PermissionChangeRequest: wish(), RequestId: "7c1cf2a4-8a7f-4d0e-9a1e-3f1f0d2b9c55",
	}
	first, err := mine.CreatePermissionChangeRequest(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	again, err := mine.CreatePermissionChangeRequest(t.Context(), req)
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("again %v, %v", again, err)
	}
	req.PermissionChangeRequest.Justification = "another"
	_, err = mine.CreatePermissionChangeRequest(t.Context(), req)
	wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
	_, err = mine.CreatePermissionChangeRequest(t.Context(), &permissionv1.CreatePermissionChangeRequestRequest{Parent: sue, PermissionChangeRequest: &permissionv1.PermissionChangeRequest{}})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")

	_, err = mine.WithdrawPermissionChangeRequest(t.Context(), &permissionv1.WithdrawPermissionChangeRequestRequest{Name: first.GetName(), Etag: "stale"})
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	gone, err := mine.WithdrawPermissionChangeRequest(t.Context(), &permissionv1.WithdrawPermissionChangeRequestRequest{Name: first.GetName(), Etag: first.GetEtag()})
	if err != nil || gone.GetState() != permissionv1.PermissionChangeRequest_STATE_WITHDRAWN {
		t.Errorf("withdrawn %v, %v", gone, err)
	}
	_, err = r.people(admin).ApplyPermissionChangeRequest(t.Context(), &permissionv1.ApplyPermissionChangeRequestRequest{Name: first.GetName()})
	wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
}

func TestListChangeRequests_pagesAndFilters(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		tom := acme + "/staff/tom"
		for i := range 5 {
			v := r.people(sue).file(t, sue, wish())
			if i < 2 {
				if err := r.people(admin).verify(t, v.GetName()); err != nil {
					t.Fatal(err)
				}
			}
		}
		other := wish()
		other.Subject = sue
		r.people(tom).file(t, tom, other)
		list := func(by, parent, filter string) (names []string) {
			t.Helper()
			req := &permissionv1.ListPermissionChangeRequestsRequest{Parent: parent, Filter: filter, PageSize: 2}
			for {
				resp, err := r.people(by).ListPermissionChangeRequests(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range resp.GetPermissionChangeRequests() {
					names = append(names, v.GetName())
				}
				if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
					return names
				}
			}
		}
		for _, test := range []struct {
			by, parent, filter string
			want               int
		}{
			{admin, acme, "", 6}, {sue, sue, "", 5}, {admin, acme, "state = IDENTITY_VERIFIED", 2},
			{admin, acme, `subject = "` + sue + `"`, 6}, {tom, tom, `subject = "` + sue + `" AND state = SUBMITTED`, 1},
			{admin, acme, `approver = "` + admin + `"`, 2}, {admin, acme, `approver = "` + sue + `"`, 0},
		} {
			got := list(test.by, test.parent, test.filter)
			if slices.Sort(got); len(slices.Compact(got)) != test.want {
				t.Errorf("%s %s: %d, want %d", test.parent, test.filter, len(got), test.want)
			}
		}
		for _, filter := range []string{"state = GONE", `approver = "x"`, `approver = "` + admin + `" AND state = SUBMITTED`} {
			_, err := r.people(admin).ListPermissionChangeRequests(t.Context(), &permissionv1.ListPermissionChangeRequestsRequest{Parent: acme, Filter: filter})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
	})
}

func TestApprovalPolicies_lifeOfAPolicy(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.people(admin)
		create := func(p *permissionv1.ApprovalPolicy) (*permissionv1.ApprovalPolicy, error) {
			return c.CreateApprovalPolicy(t.Context(), &permissionv1.CreateApprovalPolicyRequest{Parent: acme, ApprovalPolicy: p})
		}
		p, err := create(&permissionv1.ApprovalPolicy{Role: "roles/auditor", ApprovalsNeeded: 2, VerifyWithin: durationpb.New(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = create(&permissionv1.ApprovalPolicy{Role: "roles/auditor"})
		wantError(t, err, errs.Exists, "APPROVAL_POLICY_EXISTS")
		_, err = create(&permissionv1.ApprovalPolicy{Role: "roles/king"})
		wantError(t, err, errs.NotFound, "ROLE_NOT_FOUND")
		_, err = create(&permissionv1.ApprovalPolicy{Approvers: []string{"organizations/zeta/staff/z"}})
		wantError(t, err, errs.Invalid, "APPROVER_INVALID")
		_, err = r.people(sue).CreateApprovalPolicy(t.Context(), &permissionv1.CreateApprovalPolicyRequest{Parent: acme, ApprovalPolicy: &permissionv1.ApprovalPolicy{}})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")

		p.ApprovalsNeeded, p.Support = 3, &permissionv1.LocalText{ZhCn: "见培训平台", En: "see the academy"}
		updated, err := c.UpdateApprovalPolicy(t.Context(), &permissionv1.UpdateApprovalPolicyRequest{ApprovalPolicy: p})
		if err != nil || updated.GetApprovalsNeeded() != 3 || updated.GetVerifyWithin().AsDuration() != time.Hour {
			t.Errorf("updated %v, %v", updated, err)
		}
		_, err = c.UpdateApprovalPolicy(t.Context(), &permissionv1.UpdateApprovalPolicyRequest{ApprovalPolicy: p})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = c.UpdateApprovalPolicy(t.Context(), &permissionv1.UpdateApprovalPolicyRequest{
			ApprovalPolicy: updated, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"role"}},
		})
		wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
		for i := range 3 {
			if _, err := create(&permissionv1.ApprovalPolicy{Role: []string{"", "roles/viewer", "roles/staff"}[i]}); err != nil {
				t.Fatal(fmt.Sprint(i), err)
			}
		}
		page, err := c.ListApprovalPolicies(t.Context(), &permissionv1.ListApprovalPoliciesRequest{Parent: acme, PageSize: 3})
		if err != nil || len(page.GetApprovalPolicies()) != 3 || page.GetNextPageToken() == "" {
			t.Errorf("page %v, %v", page, err)
		}
		if _, err := c.DeleteApprovalPolicy(t.Context(), &permissionv1.DeleteApprovalPolicyRequest{Name: p.GetName(), Etag: updated.GetEtag()}); err != nil {
			t.Error(err)
		}
		_, err = c.GetApprovalPolicy(t.Context(), &permissionv1.GetApprovalPolicyRequest{Name: p.GetName()})
		wantError(t, err, errs.NotFound, "APPROVAL_POLICY_NOT_FOUND")
	})
}
