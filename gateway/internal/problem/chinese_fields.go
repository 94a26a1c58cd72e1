package problem

// chineseFields are the texts of the reasons of field policies.
var chineseFields = map[string]text{
	"FIELD_POLICY_EXISTS":    {"字段策略已存在", "该策略标识已被使用，或该数据类别在此资源上已有策略，请修改原有策略。"},
	"FIELD_POLICY_LIMIT":     {"字段策略过多", "本机构的字段策略已达上限，请合并部分策略。"},
	"FIELD_POLICY_NOT_FOUND": {"未找到字段策略", "字段策略不存在，或您无权查看。"},
	"DATA_CLASS_UNKNOWN":     {"数据类别未知", "没有该数据类别，请查看 ListDataClasses。"},
	"FIELD_RESTRICTED":       {"字段受限", "您的机构对您隐藏了部分数据，因此不能按其筛选，也不能修改；请去掉该字段后重试。"},
}
