package problem

// chineseRights are the reasons of requests about one's own data and of legal holds.
var chineseRights = map[string]text{
	"DATA_SUBJECT_REQUEST_NOT_FOUND": {"未找到个人信息请求", "该请求不存在，或您无权查看。"},
	"DATA_SUBJECT_REQUEST_EXISTS":    {"请求已存在", "该请求标识已被使用。"},
	"DATA_SUBJECT_REQUEST_LIMIT":     {"请求过多", "该客户的请求已达保存上限；请直接联系企业。"},
	"DATA_SUBJECT_REQUEST_OPEN":      {"已有未完结的请求", "该客户已有同类请求尚未完结；请先答复或撤回该请求。"},
	"DATA_SUBJECT_REQUEST_ENDED":     {"请求已结束", "该请求已经完成、被拒绝或撤回，不能再变更。"},
	"DATA_SUBJECT_REQUEST_OVERDUE":   {"已过答复期限", "法定期限已过；只有在到期之前才能延长。"},
	"ERASURE_BEGUN":                  {"删除已经开始", "个人信息的删除已经开始，无法停止。"},
	"ERASURE_FULFILS_ITSELF":         {"删除会自动完成", "撤回期结束后系统自动删除个人信息，并自行标记完成。"},
	"SUBJECT_DATA_NOT_READY":         {"数据尚未备齐", "个人信息副本尚未汇总完成，或该请求不是查阅请求；请稍后再试。"},
	"SUBJECT_DATA_EXPIRED":           {"数据副本已过期", "个人信息副本已过保存期；如需查阅，请重新提出请求。"},
	"CUSTOMER_ERASED":                {"客户已被删除", "该客户的个人信息已全部删除，仅保留名称。"},
	"LEGAL_HOLD":                     {"受法律保全限制", "该客户的数据处于法律保全之中，须先解除保全。"},
	"LEGAL_HOLD_NOT_FOUND":           {"未找到法律保全", "该法律保全不存在，或您无权查看。"},
	"LEGAL_HOLD_EXISTS":              {"法律保全已存在", "该法律保全标识已被使用。"},
	"LEGAL_HOLD_LIMIT":               {"法律保全过多", "该客户有效的法律保全已达上限。"},
	"LEGAL_HOLD_ENDED":               {"法律保全已结束", "该法律保全已到期结束。"},
	"HOLD_TIME_INVALID":              {"结束时间无效", "法律保全的结束时间必须在将来；不填则直至解除。"},
}
