package request

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Approve gives one approval; give is the grant that answers a request for
// access, or nil. The last approval that the policy wants moves the request to
// APPROVED, and on if the policy applies at once.
//
// Errors besides those of all moves are Denied (SELF_APPROVAL, NOT_AN_APPROVER,
// GRANT_EXCEEDS_CALLER), Precondition (ALREADY_APPROVED), Invalid
// (GRANT_REQUIRED, GRANT_INSUFFICIENT, GRANT_OUTLASTS_REQUEST,
// PROPOSAL_DIFFERS), those of grant.Check
// and, when it is applied at once, those of Apply.
func (s *Requests) Approve(tx *change.Tx, m Move, give *permissionv1.WantedGrant) (*permissionv1.PermissionChangeRequest, error) {
	return s.move(tx, m, "approve", states{verified}, func(mv *mover) error {
		if err := s.propose(tx, mv, give); err != nil {
			return err
		}
		if err := s.mayDecide(tx, mv.v, mv.policy, m.By.Name); err != nil {
			return err
		}
		if g := wanted(mv.v); g != nil {
			if err := s.Grants.Check(tx, tx.Time, grantFor(mv.v, g, "")); err != nil {
				return err
			}
		}
		if err := s.mayGive(tx, mv.v, m.By.Name); err != nil {
			return err
		}
		mv.v.Approvals = append(mv.v.Approvals, &permissionv1.ChangeApproval{
			Approver: m.By.Name, Time: timestamppb.New(tx.Time), Words: m.Note,
		})
		mv.v.ApprovalsNeeded = mv.policy.GetApprovalsNeeded()
		if len(mv.v.GetApprovals()) < int(mv.v.GetApprovalsNeeded()) {
			tx.Record(change.Change{
				Resource: mv.v.GetName(), Type: approvalGiven, ChangedFields: []string{"approvals"},
				Data: &permissionv1.ChangeRequestChanged{To: Word(mv.v.GetState()), Subject: mv.v.GetSubject()},
			})
			return nil
		}
		mv.to(m.By.Name, approved, "")
		return s.approved(tx, mv)
	})
}

// approved does what follows from the last approval.
func (s *Requests) approved(tx *change.Tx, mv *mover) error {
	if mv.v.GetApproval() != nil {
		mv.v.ApprovedUntil = approvedUntil(mv.v, tx.Time)
		mv.v.StageDeadline = mv.v.GetApprovedUntil()
		return s.tell(mv, mv.v.GetSubject(), explainApproval(mv.v, mv.policy))
	}
	if mv.policy.GetApplyOnApproval() {
		return s.carryOut(tx, mv, mv.v.GetApprovals()[len(mv.v.GetApprovals())-1].GetApprover())
	}
	return nil
}

// propose settles which grant a request for access leads to.
func (s *Requests) propose(tx *change.Tx, mv *mover, give *permissionv1.WantedGrant) error {
	access := mv.v.GetAccess()
	before := wanted(mv.v)
	switch {
	case access != nil && before == nil && give == nil:
		return errs.InvalidField("grant", "GRANT_REQUIRED", "the request asks for access; send the grant that gives it")
	case give == nil:
		return nil
	case access == nil || before != nil:
		if before == nil || !proto.Equal(before, give) {
			return errs.InvalidField("grant", "PROPOSAL_DIFFERS", "leave the grant out, or send the one that the request has; reject it to change it")
		}
		return nil
	}
	set, err := s.Roles.Set(tx, give.GetRole())
	if err != nil {
		return err
	}
	asked, _ := s.Roles.Catalogue().Lookup(access.GetPermission())
	if !set.Has(asked) || !covers(give.GetResource(), access.GetResource()) {
		return errs.InvalidField("grant", "GRANT_INSUFFICIENT", "the grant does not give what is asked for; name a role that has the permission, on the resource or above it")
	}
	if outlasts(give, access.GetUntil()) {
		return errs.InvalidField("grant.expire_time", "GRANT_OUTLASTS_REQUEST", "the request says until when it wants this; let the grant end by then")
	}
	mv.v.Proposal = give
	mv.policy, err = s.policyOf(tx, mv.v) // now that it has a role
	return err
}

// covers reports whether a grant on one name reaches the other.
func covers(above, name string) bool {
	return name == above || strings.HasPrefix(name, above+"/")
}

// mayDecide refuses whom the request concerns, who has approved it already, and
// who is no approver by the policy.
func (s *Requests) mayDecide(r kv.Reader, v *permissionv1.PermissionChangeRequest, p *permissionv1.ApprovalPolicy, account string) error {
	involved, err := s.involved(r, v, account)
	if err != nil {
		return err
	}
	if involved {
		return errs.New(errs.Denied, "SELF_APPROVAL", "whom a request concerns cannot approve it; ask somebody else")
	}
	if p.GetSeparateVerifier() && account == v.GetIdentity().GetVerifier() {
		return errs.New(errs.Denied, "SELF_APPROVAL", "who confirmed the requester's identity cannot approve the request too; ask somebody else")
	}
	if slices.ContainsFunc(v.GetApprovals(), func(a *permissionv1.ChangeApproval) bool { return a.GetApprover() == account }) {
		return errs.New(errs.Precondition, "ALREADY_APPROVED", "you have approved it; it takes another person's approval")
	}
	return s.isApprover(r, p, account)
}

// involved reports whether a request is the account's own affair: it asks, it
// filed it, it is the subject or in the team that is.
func (s *Requests) involved(r kv.Reader, v *permissionv1.PermissionChangeRequest, account string) (bool, error) {
	if slices.Contains([]string{Requester(v.GetName()), v.GetCreator(), v.GetSubject()}, account) {
		return true, nil
	}
	if !subject.IsTeam(v.GetSubject()) {
		return false, nil
	}
	return s.Subjects.IsIn(r, account, v.GetSubject())
}

// isApprover returns Denied (NOT_AN_APPROVER) unless the policy lets the
// account decide.
func (s *Requests) isApprover(r kv.Reader, p *permissionv1.ApprovalPolicy, account string) error {
	names := p.GetApprovers()
	if len(names) == 0 || slices.Contains(names, account) {
		return nil
	}
	for _, name := range names {
		if !subject.IsTeam(name) {
			continue
		}
		if is, err := s.Subjects.IsIn(r, account, name); err != nil || is {
			return err
		}
	}
	return errs.New(errs.Denied, "NOT_AN_APPROVER", "the approval policy names others to decide about this")
}

// mayGive returns Denied (GRANT_EXCEEDS_CALLER) unless the account could do by
// hand what the request asks for.
func (s *Requests) mayGive(tx *change.Tx, v *permissionv1.PermissionChangeRequest, account string) error {
	by := authn.Caller{Name: account}
	now := tx.Time.Unix() + 1
	switch {
	case v.GetRevoke() != "":
		return s.MayGive(tx, by, organizationOf(v.GetName()), []string{deleteGrants}, now)
	case v.GetApproval() != nil:
		return s.MayGive(tx, by, v.GetApproval().GetResource(), []string{v.GetApproval().GetPermission()}, now)
	}
	g := wanted(v)
	given, err := s.Roles.Get(tx, g.GetRole())
	if err != nil {
		return err
	}
	needed, err := s.Roles.Expand(tx, organizationOf(v.GetName()), given)
	if err != nil {
		return err
	}
	return s.MayGive(tx, by, g.GetResource(), append(needed, createGrants), g.GetExpireTime().GetSeconds())
}
