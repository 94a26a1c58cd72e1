package problem

// chinesePolicies are the texts of policy as code.
var chinesePolicies = map[string]text{
	"POLICY_INVALID":                     {"策略文件有误", "策略文件中有多处错误，每处的位置见 violations。"},
	"POLICY_ITEM_REPEATED":               {"内容重复", "策略文件中同一项出现了两次，请只保留一处。"},
	"POLICY_ITEM_OWNED":                  {"属于其他策略", "该项由另一份策略文件管理，请从其中一份中删除。"},
	"POLICY_ROLE_BUILT_IN":               {"内置角色不可更改", "内置角色不能修改；请直接授予，或另建自定义角色。"},
	"POLICY_PLAN_OUTDATED":               {"计划已过期", "自生成计划以来情况已有变化，请重新生成计划后再决定。"},
	"POLICY_ASSERTION_FAILED":            {"断言不成立", "应用后的结果与策略文件中的断言不符，未作任何更改。"},
	"POLICY_TOO_LARGE":                   {"内容过多", "该组织的授权超过一份策略文件可容纳的数量，请只处理某一策略所管理的部分。"},
	"RESOURCE_TYPE_COLLECTION_IMMUTABLE": {"集合不可更改", "资源类型的集合创建后不能更改，请另建资源类型。"},
}
