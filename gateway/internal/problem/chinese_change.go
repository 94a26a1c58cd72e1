package problem

// chineseChange are the texts of the reasons of change requests, access reviews
// and separation of duties.
var chineseChange = map[string]text{
	"CHANGE_REQUEST_EXISTS":     {"申请已存在", "该申请标识已被使用。"},
	"CHANGE_REQUEST_NOT_FOUND":  {"未找到申请", "申请不存在，或您无权查看。"},
	"CHANGE_REQUIRED":           {"缺少申请内容", "请说明申请的内容：授权、收回、访问或操作审批。"},
	"SELF_VERIFICATION":         {"不能自行核实", "申请的相关人员不能核实该申请，请由他人核实。"},
	"SELF_APPROVAL":             {"不能自行审批", "申请的相关人员不能审批该申请，请由他人审批。"},
	"ALREADY_APPROVED":          {"您已审批过", "您已审批过该申请，还需要其他人审批。"},
	"NOT_AN_APPROVER":           {"不是审批人", "审批规则指定了其他审批人。"},
	"GRANT_REQUIRED":            {"需要指定授权", "该申请只说明了所需的访问，请指定要给予的授权。"},
	"GRANT_INSUFFICIENT":        {"授权不足", "该授权不包含所申请的操作或资源。"},
	"PROPOSAL_DIFFERS":          {"与申请不一致", "所填授权与申请中的不同；如需更改，请驳回后重新申请。"},
	"APPROVAL_LAPSED":           {"审批已失效", "有审批人已不再具备相应权限，或审批规则已变更，请重新申请。"},
	"REQUESTER_ONLY":            {"仅限申请人", "只有申请人可以撤回申请。"},
	"RANGE_TOO_LARGE":           {"时间范围过大", "该时间范围内的记录过多，请缩短范围。"},
	"NOTICE_NOT_FOUND":          {"未找到通知", "通知不存在，或您无权查看。"},
	"RECIPIENT_ONLY":            {"仅限本人", "只有通知的接收人可以确认。"},
	"APPROVAL_POLICY_EXISTS":    {"审批规则已存在", "该规则标识已被使用，或该角色已有审批规则。"},
	"APPROVAL_POLICY_NOT_FOUND": {"未找到审批规则", "审批规则不存在，或您无权查看。"},
	"APPROVER_INVALID":          {"审批人无效", "审批人必须是本机构的账户或团队。"},
	"SEPARATION_VIOLATION":      {"违反职责分离", "该授权会使同一人兼有互斥的职责，详情见 metadata。"},
}
