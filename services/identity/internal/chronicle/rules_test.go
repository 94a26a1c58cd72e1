package chronicle

import (
	"testing"

	"google.golang.org/protobuf/types/known/anypb"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestComplaintRule_passesOverMoves: that a complaint goes with a merge carries other data
// than what happens to it, and is no news of the customer.
func TestComplaintRule_passesOverMoves(t *testing.T) {
	data, err := anypb.New(&feedbackv1.ComplaintMoved{})
	if err != nil {
		t.Fatal(err)
	}
	e := &eventv1.Event{Type: "guildhall.feedback.complaint.moved.v1", Subject: "organizations/acme/customers/c1/complaints/k1", Data: data}
	if customer, err := complaintRule(e, "moved", &identityv1.TimelineEvent{}); customer != "" || err != nil {
		t.Errorf("it is %q's, %v", customer, err)
	}
}
