package request

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

// Apply carries an approved request out. One that is carried out already comes
// back as it is, but for an approval for a single use, which two may not both
// believe to have used.
//
// Errors besides those of all moves are Precondition (APPROVAL_LAPSED) and
// those of grant.Create and grant.Delete.
func (s *Requests) Apply(tx *change.Tx, m Move) (*permissionv1.PermissionChangeRequest, error) {
	v, err := s.shelf.GetAt(tx, m.Name, m.Etag)
	if err != nil {
		return nil, err
	}
	if state := v.GetState(); v.GetApproval() == nil && (state == notified || state == acknowledged) {
		tx.Unchanged()
		return v, nil
	}
	return s.move(tx, m, "apply", states{approved}, func(mv *mover) error {
		if a := mv.v.GetApproval(); a != nil {
			if !a.GetSingleUse() {
				return errs.New(errs.Precondition, "ILLEGAL_STATE", "the approval counts until its time is over; it is not applied",
					errs.Meta("state", Word(approved)))
			}
			mv.to(m.By.Name, applied, "")
			return nil
		}
		return s.carryOut(tx, mv, m.By.Name)
	})
}

// Use is one act that takes an approval.
type Use struct {
	// Approval is the name of the change request.
	Approval                      string
	Subject, Permission, Resource string
}

// Use uses up an approval for a single use of exactly that. Errors are NotFound
// (CHANGE_REQUEST_NOT_FOUND, also for the approval of something else) and
// Precondition (ILLEGAL_STATE): it is used, over, or not for a single use.
func (s *Requests) Use(tx *change.Tx, u Use) error {
	v, found, err := s.shelf.Find(tx, u.Approval)
	if err != nil {
		return err
	}
	a := v.GetApproval()
	if !found || a == nil || v.GetSubject() != u.Subject || a.GetPermission() != u.Permission ||
		a.GetResource() != decide.SubjectMatter(u.Resource) {
		return errs.NotFoundName("CHANGE_REQUEST_NOT_FOUND", u.Approval)
	}
	_, err = s.Apply(tx, Move{Name: u.Approval, By: authn.Caller{Name: u.Subject}})
	return err
}

// carryOut changes the grants and tells the subject.
func (s *Requests) carryOut(tx *change.Tx, mv *mover, actor string) error {
	if err := s.stillApproved(tx, mv); err != nil {
		return err
	}
	text, err := s.changeGrants(tx, mv)
	if err != nil {
		return err
	}
	mv.to(actor, applied, "")
	// A team and a class read nothing; who asked for them is told.
	to := mv.v.GetSubject()
	if !subject.IsAccount(to) {
		to = Requester(mv.v.GetName())
	}
	mv.to(service, notified, "")
	return s.tell(mv, to, text)
}

// changeGrants makes or ends the grant, and returns what there is to say of it.
func (s *Requests) changeGrants(tx *change.Tx, mv *mover) (explanation, error) {
	if name := mv.v.GetRevoke(); name != "" {
		gone, v, err := s.Grants.Delete(tx, tx.Time, name, "")
		if err != nil {
			return explanation{}, err
		}
		mv.v.AppliedGrant = name
		mv.after = append(mv.after, grant.Effect{Before: gone, Revision: v})
		return s.explainGrant(tx, mv, gone, true)
	}
	g := grantFor(mv.v, wanted(mv.v), tx.NewID())
	approvals := mv.v.GetApprovals()
	g.Creator = approvals[len(approvals)-1].GetApprover()
	stored, v, err := s.Grants.Create(tx, tx.Time, g)
	if err != nil {
		return explanation{}, err
	}
	mv.v.AppliedGrant = stored.GetName()
	mv.after = append(mv.after, grant.Effect{After: stored, Revision: v})
	return s.explainGrant(tx, mv, stored, false)
}

// stillApproved asks again what was asked of each approver: one who has lost
// what he gave, or the say about it, no longer counts.
func (s *Requests) stillApproved(tx *change.Tx, mv *mover) error {
	count := 0
	for _, a := range mv.v.GetApprovals() {
		err := s.isApprover(tx, mv.policy, a.GetApprover())
		if err == nil && mv.policy.GetSeparateVerifier() && a.GetApprover() == mv.v.GetIdentity().GetVerifier() {
			continue
		}
		if err == nil {
			err = s.mayGive(tx, mv.v, a.GetApprover())
		}
		if err == nil {
			count++
		} else if !errs.Is(err, errs.Denied) {
			return err
		}
	}
	if count >= int(mv.policy.GetApprovalsNeeded()) {
		return nil
	}
	return errs.New(errs.Precondition, "APPROVAL_LAPSED",
		"an approver no longer holds what was given, or the policy now wants more approvals; cancel the request and file it anew")
}

// tell gives the account a notice about the request.
func (s *Requests) tell(mv *mover, account string, text explanation) error {
	n, err := s.Notices.Give(mv.tx, account, mv.v.GetName(), text.title, text.body)
	if err != nil {
		return err
	}
	mv.v.Notice = n.GetName()
	return nil
}

// explanation is what a notice says.
type explanation struct {
	title, body *permissionv1.LocalText
}
