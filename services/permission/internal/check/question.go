package check

import (
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/revision"
)

// Question reads a question.
func Question(q *permissionv1.CheckQuery) decide.Question {
	return decide.Question{
		Subject: q.GetSubject(), Permission: q.GetPermission(), Resource: q.GetResource(),
		Session: q.GetSession(), Attributes: q.GetAttributes(), Approval: q.GetApproval(),
		Filtering: q.GetFiltering(),
	}
}

// Result shows an answer of the revision.
func Result(a decide.Answer, v revision.Revision) *permissionv1.CheckResult {
	return &permissionv1.CheckResult{
		Allowed: a.Allowed, Grant: a.Grant, Role: a.Role, Revision: v.Number, Denial: a.Denial,
		Rule: a.Rule, ApprovalSingleUse: a.SingleUse,
	}
}
