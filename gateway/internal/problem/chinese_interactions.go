package problem

// chineseInteractions are the reasons of interactions with customers.
var chineseInteractions = map[string]text{
	"INTERACTION_NOT_FOUND":      {"未找到互动记录", "互动记录不存在，或您无权查看。"},
	"INTERACTION_CONFLICT":       {"互动记录冲突", "已有相同来源和编号、但内容不同的互动记录；请更正原记录，或先删除它。"},
	"INTERACTION_SOURCE_INVALID": {"来源不完整", "请同时填写来源及其编号。"},
	"INTERACTION_TIME_INVALID":   {"互动时间无效", "请填写开始时间，须在 1900 年之后，且不晚于明天。"},
	"INTERACTION_LOCKED":         {"互动记录已锁定", "该记录已超过可更正的期限，请另写一条记录加以更正。"},
	"INTERACTION_MONTHS_INVALID": {"月份无效", "请填写月份，例如 2026-02；结束月份须晚于开始月份，最多相隔 60 个月。"},
	"STAFF_MEMBER_NOT_ACTIVE":    {"员工不可用", "该员工已停用或已删除，请选择其他员工。"},
	"COMPLAINT_MISMATCH":         {"投诉不符", "请指定同一客户的投诉。"},
}
