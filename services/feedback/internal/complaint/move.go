package complaint

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// Move is one change of a complaint's state.
type Move struct {
	Name, Etag string
	// Actor is who makes the move, Note what is noted with it.
	Actor, Note string
}

// step is a legal move.
type step struct {
	verb string
	from []feedbackv1.Complaint_State
	to   feedbackv1.Complaint_State
	// byComplainant marks the complainant's own decisions. Staff may record
	// one that was told them, with a note that says how.
	byComplainant bool
}

const (
	received      = feedbackv1.Complaint_STATE_RECEIVED
	acknowledged  = feedbackv1.Complaint_STATE_ACKNOWLEDGED
	investigating = feedbackv1.Complaint_STATE_INVESTIGATING
	communicated  = feedbackv1.Complaint_STATE_COMMUNICATED
	resolved      = feedbackv1.Complaint_STATE_RESOLVED
	closed        = feedbackv1.Complaint_STATE_CLOSED
	withdrawn     = feedbackv1.Complaint_STATE_WITHDRAWN
)

// states is a list of states in the table of steps.
type states = []feedbackv1.Complaint_State

// Acknowledge tells the complainant that the complaint was received. The
// errors of all moves: NotFound COMPLAINT_NOT_FOUND, Conflict ETAG_MISMATCH,
// Precondition ILLEGAL_STATE and CUSTOMER_ERASED.
func (c *Complaints) Acknowledge(tx *change.Tx, m Move) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "acknowledge", from: states{received}, to: acknowledged}, nil)
}

// Investigate starts the investigation; an empty owner is the actor. Reason:
// OWNER_IS_SUBJECT.
func (c *Complaints) Investigate(tx *change.Tx, m Move, severity feedbackv1.Complaint_Severity, owner string) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "investigate", from: states{acknowledged}, to: investigating}, func(v *feedbackv1.Complaint) error {
		if owner == "" {
			owner = m.Actor
		}
		org, _ := resource.Organization(m.Name)
		if err := checkStaff("owner", org, owner); err != nil {
			return err
		}
		if owner == v.GetAbout() {
			return errs.InvalidField("owner", "OWNER_IS_SUBJECT", "whom a complaint is about cannot answer for it; name somebody else")
		}
		v.Severity, v.Owner = severity, owner
		return nil
	})
}

// Communicate tells the complainant the finding and what is offered.
func (c *Complaints) Communicate(tx *change.Tx, m Move, finding feedbackv1.Complaint_Finding, resolution string) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "communicate", from: states{investigating}, to: communicated}, func(v *feedbackv1.Complaint) error {
		v.Finding, v.Resolution = finding, resolution
		return nil
	})
}

// Accept records that the complainant agrees. Reason: NOTE_REQUIRED when
// somebody else records it without a note; the same for Dispute and Withdraw.
func (c *Complaints) Accept(tx *change.Tx, m Move) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "accept", from: states{communicated}, to: resolved, byComplainant: true}, nil)
}

// Dispute records that the complainant does not agree; it is investigated
// again, once. Reason: ALREADY_DISPUTED.
func (c *Complaints) Dispute(tx *change.Tx, m Move) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "dispute", from: states{communicated}, to: investigating, byComplainant: true}, func(v *feedbackv1.Complaint) error {
		for _, old := range v.GetHistory() {
			if old.GetFrom() == communicated && old.GetTo() == investigating {
				return errs.New(errs.Precondition, "ALREADY_DISPUTED", "it has been investigated again once; withdraw, accept, or take it to an outside body")
			}
		}
		return nil
	})
}

// Close closes a resolved complaint with its cause.
func (c *Complaints) Close(tx *change.Tx, m Move, cause string) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "close", from: states{resolved}, to: closed}, func(v *feedbackv1.Complaint) error {
		v.Cause = cause
		return nil
	})
}

// Reopen investigates a closed complaint again.
func (c *Complaints) Reopen(tx *change.Tx, m Move) (*feedbackv1.Complaint, error) {
	return c.move(tx, m, step{verb: "reopen", from: states{closed}, to: investigating}, nil)
}

// Withdraw records that the complainant takes the complaint back.
func (c *Complaints) Withdraw(tx *change.Tx, m Move) (*feedbackv1.Complaint, error) {
	open := states{received, acknowledged, investigating, communicated, resolved}
	return c.move(tx, m, step{verb: "withdraw", from: open, to: withdrawn, byComplainant: true}, nil)
}

func (c *Complaints) move(tx *change.Tx, m Move, s step, apply func(*feedbackv1.Complaint) error) (*feedbackv1.Complaint, error) {
	rec, err := c.get(tx, m.Name)
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(m.Etag); err != nil {
		return nil, err
	}
	v := proto.CloneOf(rec.Value)
	if err := checkErased(v); err != nil {
		return nil, err
	}
	if err := s.check(v.GetState(), m); err != nil {
		return nil, err
	}
	if apply != nil {
		if err := apply(v); err != nil {
			return nil, err
		}
	}
	from := v.GetState()
	v.State = s.to
	v.UpdateTime = timestamppb.New(tx.Time)
	v.History = append(v.History, &feedbackv1.ComplaintMove{
		Time: v.UpdateTime, Actor: m.Actor, From: from, To: s.to, Note: m.Note,
	})
	now, err := c.complaints.Update(tx, v, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource:      v.GetName(),
		Type:          "guildhall.feedback.complaint.state_changed.v1",
		Data:          &feedbackv1.ComplaintChanged{From: word(from), To: word(s.to), Reference: v.GetReference()},
		ChangedFields: change.ChangedFields(rec.Value, v),
	})
	return view(now), nil
}

// check reports why the move is not open.
func (s step) check(state feedbackv1.Complaint_State, m Move) error {
	if !slices.Contains(s.from, state) {
		return errs.New(errs.Precondition, "ILLEGAL_STATE",
			fmt.Sprintf("a complaint in state %s cannot be moved by %s", word(state), s.verb),
			errs.Meta("state", word(state)))
	}
	if s.byComplainant && m.Actor != Complainant(m.Name) && m.Note == "" {
		return errs.InvalidField("note", "NOTE_REQUIRED", "this is the complainant's decision; note how they told you")
	}
	return nil
}
