package authzen

import (
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// decision is the answer to one question (section 5.5).
type decision struct {
	Decision bool             `json:"decision"`
	Context  *decisionContext `json:"context,omitempty"`
}

// decisionContext says why not. The specification leaves its form open; its
// own examples have reason_user, texts by language, and error.
type decisionContext struct {
	// Reason is a guildhall.permission.v1.Denial by its name; after a
	// re-evaluation it may be a reason of the access request profile.
	Reason string `json:"reason,omitempty"`
	// ReasonUser says the same in words that a person may be shown.
	ReasonUser map[string]string `json:"reason_user,omitempty"`
	// Grant is the grant that denies, or that would allow if its condition
	// held.
	Grant string `json:"grant,omitempty"`
	// AccessRequest says that what is denied can be asked for, and how.
	AccessRequest *offer `json:"access_request,omitempty"`
	// Approval is the approval that was sent along, of a decision of yes: it
	// ends with it.
	Approval *approvalEnd `json:"approval,omitempty"`
	// NextAction says what to do after a no in spite of an approval, and
	// RetryAfter in how many seconds.
	NextAction string `json:"next_action,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
	// Error says why an element of a batch could not be asked.
	Error *failure `json:"error,omitempty"`
}

type failure struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// failed is the decision about what could not be asked.
func failed(status int, message string) *decision {
	return &decision{Context: &decisionContext{Error: &failure{status, message}}}
}

// decided is the decision that the permission service made.
func decided(r *permissionv1.CheckResult) *decision {
	d := &decision{Decision: r.GetAllowed()}
	if denial := r.GetDenial(); !d.Decision && denial != permissionv1.Denial_DENIAL_UNSPECIFIED {
		d.Context = &decisionContext{Reason: denial.String(), ReasonUser: reasons[denial], Grant: r.GetGrant()}
	}
	return d
}

type approvalEnd struct {
	ID            string `json:"id"`
	ApprovedUntil string `json:"approved_until"`
}

// reasons are the texts of denials. What suspends an account, or which grant
// decides, is for administrators and not said here.
var reasons = map[permissionv1.Denial]map[string]string{
	permissionv1.Denial_DENIAL_NO_GRANT:           both("You do not have the permission that this needs.", "您没有执行此操作所需的权限。"),
	permissionv1.Denial_DENIAL_DENIED_BY_GRANT:    both("This is not permitted to you.", "此操作已被禁止。"),
	permissionv1.Denial_DENIAL_CONDITION_NOT_MET:  both("This is not permitted under the present circumstances.", "当前条件下不允许执行此操作。"),
	permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED:  both("The account may not act at present.", "该账号目前不能执行任何操作。"),
	permissionv1.Denial_DENIAL_SESSION_ENDED:      both("The session has ended; log in again.", "登录会话已结束，请重新登录。"),
	permissionv1.Denial_DENIAL_SUBJECT_UNKNOWN:    both("The account is not known here.", "此处没有该账号。"),
	permissionv1.Denial_DENIAL_PERMISSION_UNKNOWN: both("The action is not known for this kind of resource.", "该类资源没有此操作。"),
	permissionv1.Denial_DENIAL_RESOURCE_FOREIGN:   both("The resource is not known here.", "此处没有该资源。"),
	permissionv1.Denial_DENIAL_UNQUALIFIED:        both("This takes a valid certificate that you do not have.", "此操作需要有效的资质证书。"),
	permissionv1.Denial_DENIAL_SEPARATED:          both("This does not go together with your other duties.", "此操作与您的其他职责相互排斥。"),
	permissionv1.Denial_DENIAL_APPROVAL_NEEDED:    both("This takes the approval of a second person.", "此操作需要另一人审批。"),
}

func both(english, chinese string) map[string]string {
	return map[string]string{"en": english, "zh-CN": chinese}
}
