package servetest

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// Merge is the merge in whose name Move moves.
const Merge = "organizations/acme/mergeRecords/m1"

// Move moves a customer to another, or brings back what it has moved. It wants a
// complete receipt, and the same one once more, and returns it with its counts by
// kind.
func Move(t testing.TB, c Subjects, from, to string, undo bool) (receipt *subjectv1.MoveReceipt, counts map[string]int64) {
	t.Helper()
	req := &subjectv1.MoveSubjectRequest{
		Merge: Merge, From: from, To: to, Undo: undo, KeepUntil: timestamppb.New(time.Now().Add(time.Hour)),
	}
	for range 2 {
		resp, err := c.MoveSubject(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if receipt != nil && !proto.Equal(receipt, resp.GetReceipt()) {
			t.Errorf("a second call gives %v, want %v", resp.GetReceipt(), receipt)
		}
		receipt = resp.GetReceipt()
	}
	if receipt.GetFrom() != from || receipt.GetTo() != to || receipt.GetCompleteTime() == nil || receipt.GetUndone() != undo {
		t.Errorf("the receipt is %v", receipt)
	}
	counts = map[string]int64{}
	for _, k := range receipt.GetKinds() {
		counts[k.GetKind()] = k.GetCount()
	}
	return receipt, counts
}

// refusesMoves wants a move to name two customers and a merge of one organisation.
func refusesMoves(t testing.TB, c Subjects, customer string) {
	t.Helper()
	for field, req := range map[string]*subjectv1.MoveSubjectRequest{
		"from":  {Merge: Merge, From: "organizations/acme/staff/bo", To: customer},
		"to":    {Merge: Merge, From: customer, To: customer},
		"merge": {Merge: "organizations/rival/mergeRecords/m1", From: customer, To: customer + "-2"},
	} {
		_, err := c.MoveSubject(t.Context(), req)
		if v := errs.From(err).Violations; !errs.Is(err, errs.Invalid) || len(v) != 1 || v[0].Field != field {
			t.Errorf("a move of %v: %v, want %s refused", req, err, field)
		}
	}
	_, err := c.MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{Merge: Merge, From: customer, To: "organizations/rival/customers/mei"})
	if errs.ReasonOf(err) != "SUBJECT_INVALID" {
		t.Errorf("a move to another organisation: %v, want SUBJECT_INVALID", err)
	}
}
