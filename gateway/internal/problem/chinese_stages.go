package problem

// chineseStages are the reasons of stages of customers.
var chineseStages = map[string]text{
	"STAGE_MOVE_FORBIDDEN":       {"不能这样变更阶段", "客户不能从当前阶段直接变为所选阶段。"},
	"STAGE_HAS_PURCHASES":        {"客户已有购买记录", "已购买的客户不能退回为潜在客户。如果订单有误，请先删除订单。"},
	"STAGE_PERIODS_INVALID":      {"期限无效", "期限至少为一天，流失期限须长于风险期限；0 秒表示不启用。"},
	"STAGE_REPORT_DATES_INVALID": {"日期无效", "请填写完整的日期，结束日期须晚于开始日期，且相距不超过 366 天。"},
}
