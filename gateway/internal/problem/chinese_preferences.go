package problem

// chinesePreferences are the reasons of what interests customers.
var chinesePreferences = map[string]text{
	"PREFERENCE_NOT_FOUND":        {"未找到偏好", "偏好不存在，或您无权查看。"},
	"PREFERENCE_EXISTS":           {"偏好已存在", "客户已就该主题表明过偏好，请修改原有偏好。"},
	"PREFERENCE_LIMIT":            {"偏好过多", "每位客户最多保留 200 条偏好，请先删除不再需要的。"},
	"PREFERENCE_TOPIC_INVALID":    {"主题无效", "主题须为 1 至 63 个小写字母、数字或中间的连字符，例如 hiking。"},
	"PREFERENCE_STRENGTH_MISSING": {"缺少偏好强度", "请填写 -1 至 1 之间且不为 0 的强度；没有偏好时请删除该条。"},
	"PREFERENCE_EVIDENCE_INVALID": {"依据无效", "请指明同一客户的记录，权重在 -1 至 1 之间且不为 0，时间不晚于明天。"},
	"PROFILING_OPTED_OUT":         {"客户拒绝画像", "该客户不同意对其进行画像，不能记录推断依据。"},
}
