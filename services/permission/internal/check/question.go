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
	return Results([]decide.Answer{a}, v)[0]
}

// Results shows answers of one revision, in their order.
func Results(answers []decide.Answer, v revision.Revision) []*permissionv1.CheckResult {
	shown, results := make([]permissionv1.CheckResult, len(answers)), make([]*permissionv1.CheckResult, len(answers))
	for i, a := range answers {
		r := &shown[i] // all in one piece of memory
		r.Allowed, r.Grant, r.Role, r.Revision, r.Denial = a.Allowed, a.Grant, a.Role, v.Number, a.Denial
		r.Rule, r.ApprovalSingleUse, r.Restricted = a.Rule, a.SingleUse, a.Restricted
		results[i] = r
	}
	return results
}
