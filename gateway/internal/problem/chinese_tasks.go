package problem

// chineseTasks are the reasons of tasks, absences and the working calendar.
var chineseTasks = map[string]text{
	"TASK_NOT_FOUND":           {"未找到任务", "任务不存在，或您无权查看。"},
	"TASK_EXISTS":              {"任务已存在", "该任务标识已被使用。"},
	"TASK_ENDED":               {"任务已结束", "任务已完成或已取消，请新建任务。"},
	"TASK_TITLE_MISSING":       {"缺少任务标题", "请说明需要做什么。"},
	"ASSIGNEE_NOT_ACTIVE":      {"员工不可用", "该员工已停用或已删除，请选择其他员工。"},
	"ASSIGNEE_UNCHANGED":       {"任务执行人未变", "请选择原执行人以外的员工。"},
	"DUE_TIME_AMBIGUOUS":       {"截止时间重复", "请只填写工作日天数或截止时间之一。"},
	"DUE_TIME_MISSING":         {"缺少截止时间", "设置提醒或重复规则时需要截止时间。"},
	"DUE_TIME_INVALID":         {"截止时间无效", "请填写距今十年以内的时间。"},
	"NO_BUSINESS_DAY":          {"找不到工作日", "工作日历在截止时间前后一年内没有工作日，请修改日历，或保留休息日。"},
	"RECURRENCE_INVALID":       {"重复规则无效", "请使用支持的重复规则，例如 FREQ=WEEKLY;BYDAY=MO,TH。"},
	"SNOOZE_TIME_INVALID":      {"提醒时间无效", "请填写一年以内的将来时间。"},
	"WORKING_CALENDAR_INVALID": {"工作日历无效", "请检查假期、调休上班日和下班时间。"},
	"ABSENCE_NOT_FOUND":        {"未找到缺勤记录", "缺勤记录不存在，或您无权查看。"},
	"ABSENCE_EXISTS":           {"缺勤记录已存在", "该缺勤记录标识已被使用。"},
	"ABSENCE_LIMIT":            {"缺勤记录过多", "该员工的缺勤记录已达上限，请删除一些已结束的记录。"},
	"ABSENCE_OVERLAP":          {"缺勤时间重叠", "该时间段内已有缺勤记录，请修改原记录。"},
	"ABSENCE_TIME_INVALID":     {"缺勤时间无效", "请填写开始时间和之后两年以内的结束时间。"},
	"SUBSTITUTE_INVALID":       {"代理人无效", "不能由本人代理，请选择同事或留空。"},
}
