package complaint

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/portability"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// eraseChunk is how many complaints one transaction of an erasure empties.
const eraseChunk = 50

// Erase empties some of a customer's complaints; see erasure.Step.
func (c *Complaints) Erase(tx *change.Tx, customer string) (more bool, err error) {
	n := 0
	for rec, err := range c.complaints.Scan(tx, of(customer)) {
		if err != nil {
			return false, err
		}
		if rec.Value.GetEraseTime() != nil {
			continue
		}
		if n++; n > eraseChunk {
			return true, nil
		}
		if err := c.erase(tx, rec.Value); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (c *Complaints) erase(tx *change.Tx, old *feedbackv1.Complaint) error {
	v := proto.CloneOf(old)
	empty(v, timestamppb.New(tx.Time))
	if _, err := c.complaints.Update(tx, v, ""); err != nil {
		return err
	}
	erasure.Emptied(tx, "complaints")
	tx.Record(change.Change{
		Resource: v.GetName(), Type: "guildhall.feedback.complaint.erased.v1",
		Data:          &feedbackv1.ComplaintChanged{From: word(old.GetState()), To: word(v.GetState()), Reference: v.GetReference()},
		ChangedFields: change.ChangedFields(old, v),
	})
	return nil
}

// of selects the complaints of a customer, oldest first.
func of(customer string) kv.Query {
	return kv.Query{Index: "time", Prefix: kv.Key{kv.String(customer)}}
}

// empty leaves of a complaint the case: that there was one, of what kind, about whom
// of the staff, how it went, and what was found. All that was written goes, since
// anybody may have written of the person: the complainant's words, the enterprise's,
// the notes. An open case is over, because there is nobody left to answer.
func empty(v *feedbackv1.Complaint, now *timestamppb.Timestamp) {
	v.Subject, v.Verbatim, v.RemedySought, v.Resolution, v.Cause = "", "", "", "", ""
	for _, m := range v.GetHistory() {
		m.Note = ""
	}
	if from := v.GetState(); from != over(from) {
		v.State = over(from)
		v.History = append(v.History, &feedbackv1.ComplaintMove{Time: now, From: from, To: v.State})
	}
	v.EraseTime, v.UpdateTime = now, now
}

// over returns the state in which a case ends that nobody goes on with.
func over(from feedbackv1.Complaint_State) feedbackv1.Complaint_State {
	if from == resolved || from == closed {
		return closed
	}
	return withdrawn
}

// checkErased refuses to move a case that is all that is left.
func checkErased(v *feedbackv1.Complaint) error {
	if v.GetEraseTime() != nil {
		return errs.New(errs.Precondition, "CUSTOMER_ERASED", "the complainant was erased; the case stays as it is")
	}
	return nil
}

// Exported lists the complaints of a customer, oldest first, as ForComplainant shows
// them. A case whose complainant is erased is nobody's.
func (c *Complaints) Exported() portability.List {
	return portability.FromTable(c.complaints, of, func(rec kv.Record[*feedbackv1.Complaint], _ string) proto.Message {
		if rec.Value.GetEraseTime() != nil {
			return nil
		}
		return ForComplainant(view(rec))
	})
}
