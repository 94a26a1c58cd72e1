package problem

// chineseMerges are the reasons of merges of customers.
var chineseMerges = map[string]text{
	"CUSTOMER_MERGED":           {"客户已合并", "该客户已合并到另一账户；请查询合并后的账户。"},
	"MERGE_RECORD_NOT_FOUND":    {"未找到合并记录", "该合并记录不存在，或您无权查看。"},
	"MERGE_RECORD_EXISTS":       {"合并记录已存在", "该合并记录标识已被使用。"},
	"MERGE_SAME_CUSTOMER":       {"不能与自身合并", "请指定两个不同的客户：一个保留，一个并入。"},
	"MERGE_FIELD_INVALID":       {"所选字段无效", "请选择重复客户已有的字段：display_name、email、phone、country、language，或如 attributes.points 的属性。"},
	"MERGE_SURVIVOR_NOT_ACTIVE": {"保留的客户不可用", "保留的客户已停用或已删除；请先启用，或对调合并方向。"},
	"MERGE_EXTERNAL_IDS_DIFFER": {"外部标识不同", "两位客户在其他系统中各有不同的 external_id；请先在该系统中合并，或清除错误的一个。"},
	"MERGE_ERASURE_OPEN":        {"存在未完结的删除请求", "其中一位客户已请求删除个人信息；请先处理该请求。"},
	"MERGE_RUNNING":             {"合并正在进行", "该客户的另一次合并仍在迁移数据；请在完成后重试。"},
	"MERGE_NOT_FINAL":           {"先前的合并仍可撤销", "另一账户曾并入该重复客户，且仍可撤销；请对调合并方向，或先撤销。"},
	"MERGE_NOT_LAST":            {"须先撤销较晚的合并", "之后又有其他账户并入保留的客户；请先撤销那次合并。"},
	"MERGE_FINAL":               {"合并已不可撤销", "撤销期限已过，或保留的客户已不存在，合并不能再撤销。"},
}
