package request

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// Types of the events of requests.
const (
	stateChanged  = "guildhall.permission.change_request.state_changed.v1"
	approvalGiven = "guildhall.permission.change_request.approval_given.v1"
)

// Move is one act on a request.
type Move struct {
	Name, Etag string
	By         authn.Caller
	// Note is said with it.
	Note string
}

type states = []permissionv1.PermissionChangeRequest_State

// open are the states in which a request can still be ended.
func open() states { return states{submitted, verified, approved} }

// Verify records that the requester is who it seems and may ask. The errors of
// all moves: NotFound (CHANGE_REQUEST_NOT_FOUND), Conflict (ETAG_MISMATCH),
// Precondition (ILLEGAL_STATE). Here also Denied (SELF_VERIFICATION).
func (s *Requests) Verify(tx *change.Tx, m Move, method permissionv1.IdentityProof_Method) (*permissionv1.PermissionChangeRequest, error) {
	return s.move(tx, m, "verifyIdentity", states{submitted}, func(mv *mover) error {
		involved, err := s.involved(tx, mv.v, m.By.Name)
		if err != nil {
			return err
		}
		if involved {
			return errs.New(errs.Denied, "SELF_VERIFICATION", "whom a request concerns cannot confirm it; ask somebody else")
		}
		mv.v.Identity = &permissionv1.IdentityProof{
			Verifier: m.By.Name, Method: method, Note: m.Note, Time: timestamppb.New(tx.Time),
		}
		mv.to(m.By.Name, verified, "")
		return nil
	})
}

// Reject turns a request down, and tells its requester why. Also Denied
// (NOT_AN_APPROVER).
func (s *Requests) Reject(tx *change.Tx, m Move) (*permissionv1.PermissionChangeRequest, error) {
	return s.move(tx, m, "reject", states{submitted, verified}, func(mv *mover) error {
		if err := s.isApprover(tx, mv.policy, m.By.Name); err != nil {
			return err
		}
		mv.to(m.By.Name, rejected, m.Note)
		return s.tell(mv, Requester(m.Name), explainRejection(m.Note))
	})
}

// Withdraw takes a request back. Also Denied (REQUESTER_ONLY).
func (s *Requests) Withdraw(tx *change.Tx, m Move) (*permissionv1.PermissionChangeRequest, error) {
	return s.move(tx, m, "withdraw", open(), func(mv *mover) error {
		if m.By.Name != Requester(m.Name) && m.By.Name != mv.v.GetCreator() {
			return errs.New(errs.Denied, "REQUESTER_ONLY", "only who filed a request can withdraw it; cancel it instead")
		}
		mv.to(m.By.Name, withdrawn, m.Note)
		return nil
	})
}

// Cancel ends a request that nobody withdrew.
func (s *Requests) Cancel(tx *change.Tx, m Move) (*permissionv1.PermissionChangeRequest, error) {
	return s.move(tx, m, "cancel", open(), func(mv *mover) error {
		mv.to(m.By.Name, cancelled, m.Note)
		return nil
	})
}

// Expire ends a request whose stage is over. It says Unchanged when it is not:
// somebody was quicker.
func (s *Requests) Expire(tx *change.Tx, name string) error {
	v, found, err := s.shelf.Find(tx, name)
	if err != nil {
		return err
	}
	if !found || !overdue(v, tx.Time) {
		tx.Unchanged()
		return nil
	}
	mv := &mover{tx: tx, v: proto.CloneOf(v), old: v}
	mv.to(service, expired, "")
	_, err = s.save(mv)
	return err
}

// Acknowledge moves the request that a notice explains on. It leaves alone what
// is no request, or moved on already.
func (s *Requests) Acknowledge(tx *change.Tx, n *permissionv1.Notice, by string) error {
	if notice.Check(n.GetName()) != nil || CheckName(n.GetAbout()) != nil {
		return nil
	}
	v, found, err := s.shelf.Find(tx, n.GetAbout())
	if err != nil || !found || v.GetState() != notified || v.GetNotice() != n.GetName() {
		return err
	}
	mv := &mover{tx: tx, v: proto.CloneOf(v), old: v}
	mv.to(by, acknowledged, "")
	_, err = s.save(mv)
	return err
}

// mover is a request on the move: what it becomes, step by step.
type mover struct {
	tx     *change.Tx
	v, old *permissionv1.PermissionChangeRequest
	policy *permissionv1.ApprovalPolicy
	moves  []*permissionv1.ChangeRequestMove
	// after are told once the move itself is recorded.
	after []grant.Effect
}

// to moves the request to a state.
func (m *mover) to(actor string, state permissionv1.PermissionChangeRequest_State, note string) {
	step := &permissionv1.ChangeRequestMove{
		Time: timestamppb.New(m.tx.Time), Actor: actor, From: m.v.GetState(), To: state, Note: note,
	}
	m.v.State, m.v.UpdateTime = state, step.Time
	m.v.History = append(m.v.History, step)
	m.moves = append(m.moves, step)
	m.v.StageDeadline = nil
	if within := stageOf(m.policy, state); within != nil {
		// What is wanted no longer needs no answer.
		m.v.StageDeadline = timestamppb.New(earlier(m.tx.Time.Add(within.AsDuration()), untilOf(m.v)))
	}
}

// stageOf returns how long a request may stay in a state; nil is for ever.
func stageOf(p *permissionv1.ApprovalPolicy, state permissionv1.PermissionChangeRequest_State) *durationpb.Duration {
	switch state {
	case submitted:
		return p.GetVerifyWithin()
	case verified:
		return p.GetApproveWithin()
	case approved:
		return p.GetApplyWithin()
	default:
		return nil
	}
}

// data is what events carry of a move.
func (m *mover) data(step *permissionv1.ChangeRequestMove) *permissionv1.ChangeRequestChanged {
	data := &permissionv1.ChangeRequestChanged{To: Word(step.GetTo()), Subject: m.v.GetSubject(), Grant: m.v.GetAppliedGrant()}
	if step.GetFrom() != 0 {
		data.From = Word(step.GetFrom())
	}
	return data
}

// record tells of moves. The first of an act has the audit entry, with the fields
// that changed, if it has any; the others only their events.
func (m *mover) record(moves []*permissionv1.ChangeRequestMove, fields ...string) {
	for _, step := range moves {
		c := change.Change{Resource: m.v.GetName(), Type: stateChanged, Data: m.data(step), Covered: step != m.moves[0]}
		if !c.Covered {
			c.ChangedFields = fields
		}
		m.tx.Record(c)
	}
}

// move makes one act on a request that is in one of the states.
func (s *Requests) move(tx *change.Tx, m Move, verb string, from states, act func(*mover) error) (*permissionv1.PermissionChangeRequest, error) {
	v, err := s.shelf.GetAt(tx, m.Name, m.Etag)
	if err != nil {
		return nil, err
	}
	state := v.GetState()
	if overdue(v, tx.Time) {
		state = expired // the sweep is late
	}
	if !slices.Contains(from, state) {
		return nil, illegal(verb, state)
	}
	mv := &mover{tx: tx, v: proto.CloneOf(v), old: v}
	if mv.policy, err = s.policyOf(tx, mv.v); err != nil {
		return nil, err
	}
	if err := act(mv); err != nil {
		return nil, err
	}
	return s.save(mv)
}

func illegal(verb string, state permissionv1.PermissionChangeRequest_State) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE",
		fmt.Sprintf("a request in state %s cannot be moved by %s", Word(state), verb), errs.Meta("state", Word(state)))
}

// save stores what the request became and records it.
func (s *Requests) save(m *mover) (*permissionv1.PermissionChangeRequest, error) {
	saved, err := s.shelf.Put(m.tx, m.v)
	if err != nil {
		return nil, err
	}
	if m.v.GetApproval() != nil && (m.old.GetState() == approved) != (m.v.GetState() == approved) {
		// Checks that want an approval hear of it like of a grant.
		if _, err := revision.Bump(m.tx, organizationOf(m.v.GetName()), m.tx.Time, subject.Approvals(m.v.GetSubject())); err != nil {
			return nil, err
		}
	}
	m.record(m.moves, change.ChangedFields(m.old, m.v)...)
	for _, e := range m.after {
		e.Record(m.tx)
	}
	return saved, nil
}

// overdue reports whether the time of the request's stage is over.
func overdue(v *permissionv1.PermissionChangeRequest, now time.Time) bool {
	return v.GetStageDeadline() != nil && !now.Before(v.GetStageDeadline().AsTime())
}
