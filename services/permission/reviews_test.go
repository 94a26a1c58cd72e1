package permission_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestAccessReview_fromDraftToEvidence(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		r.as(admin).grant(t, tom, "roles/viewer", acme+"/groups/g1")
		c := permissionv1.NewAccessReviewServiceClient(r.connect(admin))
		reviewer := permissionv1.NewAccessReviewServiceClient(r.connect(sue))
		req := &permissionv1.CreateAccessReviewRequest{
			Parent: acme, RequestId: "7c1cf2a4-8a7f-4d0e-9a1e-3f1f0d2b9c56",
			AccessReview: &permissionv1.AccessReview{
				DisplayName: "groups", Reviewers: []string{sue}, Scope: &permissionv1.ReviewScope{Resource: acme + "/groups"},
				DueTime: timestamppb.New(time.Now().Add(time.Hour)), AutoCloseTime: timestamppb.New(time.Now().Add(2 * time.Hour)),
			},
		}
		v, err := c.CreateAccessReview(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.CreateAccessReview(t.Context(), req); err != nil || !proto.Equal(v, again) {
			t.Errorf("again %v, %v", again, err)
		}
		_, err = reviewer.StartAccessReview(t.Context(), &permissionv1.StartAccessReviewRequest{Name: v.GetName()})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = c.StartAccessReview(t.Context(), &permissionv1.StartAccessReviewRequest{Name: v.GetName(), Etag: "stale"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		if _, err := c.StartAccessReview(t.Context(), &permissionv1.StartAccessReviewRequest{Name: v.GetName()}); err != nil {
			t.Fatal(err)
		}
		mine, err := reviewer.ListAccessReviewItems(t.Context(), &permissionv1.ListAccessReviewItemsRequest{Parent: sue})
		if err != nil || len(mine.GetAccessReviewItems()) != 1 {
			t.Fatalf("to decide: %v, %v", mine, err)
		}
		decide := &permissionv1.DecideAccessReviewItemRequest{
			Name: mine.GetAccessReviewItems()[0].GetName(), Reviewer: sue, Reason: "left the desk",
			Decision: permissionv1.ReviewDecision_REVIEW_DECISION_REVOKE,
		}
		_, err = c.DecideAccessReviewItem(t.Context(), decide) // in her name
		wantError(t, err, errs.Denied, "NOT_THE_REVIEWER")
		zeta := permissionv1.NewAccessReviewServiceClient(r.connect("organizations/zeta/staff/z"))
		foreign := proto.CloneOf(decide)
		foreign.Reviewer = "organizations/zeta/staff/z"
		_, err = zeta.DecideAccessReviewItem(t.Context(), foreign)
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("from another organisation: %v", err)
		}
		if _, err := reviewer.DecideAccessReviewItem(t.Context(), decide); err != nil {
			t.Fatal(err)
		}
		closed, err := c.CloseAccessReview(t.Context(), &permissionv1.CloseAccessReviewRequest{Name: v.GetName()})
		if err != nil || closed.GetState() != permissionv1.AccessReview_STATE_CLOSED {
			t.Errorf("closed %v, %v", closed, err)
		}
		r.asService("gateway").wantMay(t, false, tom, "groupchat.groups.get", acme+"/groups/g1")
		for _, format := range []permissionv1.ExportAccessReviewEvidenceRequest_Format{
			permissionv1.ExportAccessReviewEvidenceRequest_FORMAT_CSV, permissionv1.ExportAccessReviewEvidenceRequest_FORMAT_JSON,
		} {
			stream, err := c.ExportAccessReviewEvidence(t.Context(), &permissionv1.ExportAccessReviewEvidenceRequest{Name: v.GetName(), Format: format})
			if err != nil {
				t.Fatal(err)
			}
			part, err := stream.Recv()
			if err != nil || !strings.Contains(part.GetData(), "left the desk") || len(part.GetChecksum()) != 64 {
				t.Errorf("%v: %v, %v", format, part, err)
			}
		}
	})
}
