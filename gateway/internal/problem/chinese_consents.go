package problem

// chineseConsents are the reasons of consents.
var chineseConsents = map[string]text{
	"CONSENT_PURPOSE_NOT_FOUND":  {"未找到联系目的", "该联系目的不存在，或您无权查看。"},
	"CONSENT_PURPOSE_EXISTS":     {"联系目的已存在", "该标识已被使用。"},
	"CONSENT_PURPOSE_LIMIT":      {"联系目的过多", "一个组织最多有 100 个联系目的。"},
	"CONSENT_PURPOSE_INCOMPLETE": {"联系目的不完整", "请填写名称、合法性基础、至少一个渠道，以及中英文文本。"},
	"CONSENT_PURPOSE_RETIRED":    {"联系目的已停用", "不再为该目的征求同意。"},
	"CONSENT_CHANNEL_UNKNOWN":    {"渠道不可用", "该联系目的没有所选渠道。"},
	"CONSENT_NOT_ASKED":          {"无需同意", "此类联系基于合同或法律要求，不征求同意。"},
	"CONSENT_VERSION_UNKNOWN":    {"文本版本不存在", "请填写已有的文本版本。"},
	"CONSENT_VERSION_OUTDATED":   {"文本已更新", "文本已变更，请让客户重新阅读后再确认。"},
	"CONSENT_EVIDENCE_MISSING":   {"缺少证据", "请说明证据存放在何处，或客户以何种方式表示。"},
	"CONSENT_TIME_INVALID":       {"时间无效", "请留空表示现在；员工可填写 1900 年之后的过去时间。"},
}
