package problem

// chineseSegments are the texts of the reasons of segments, tags and attributes
// of customers.
var chineseSegments = map[string]text{
	"SEGMENT_EXISTS":                 {"客户分群已存在", "该客户分群标识已被使用。"},
	"SEGMENT_NOT_FOUND":              {"未找到客户分群", "客户分群不存在，或您无权查看。"},
	"SEGMENT_LIMIT":                  {"客户分群过多", "机构的客户分群已达上限，请先删除一些。"},
	"SEGMENT_ENDING":                 {"同名分群正在清理", "同名的旧客户分群仍在清理，请稍后重试。"},
	"SEGMENT_NOT_RULE":               {"分群没有规则", "该客户分群是固定名单，没有可计算的规则。"},
	"SEGMENT_NOT_FIXED":              {"分群由规则决定", "该客户分群的成员由规则决定，请修改规则或客户资料。"},
	"SEGMENT_MEMBER_EXISTS":          {"客户已在分群中", "该客户已在此分群中。"},
	"SEGMENT_MEMBER_NOT_FOUND":       {"客户不在分群中", "该客户不在此分群中。"},
	"RULE_INVALID":                   {"规则无效", "分群规则不是有效的表达式，出错位置见说明。"},
	"RULE_TOO_COSTLY":                {"规则过于复杂", "分群规则的计算量过大，请简化表达式。"},
	"TAG_GROUP_EXISTS":               {"标签组已存在", "该标签组标识已被使用。"},
	"TAG_GROUP_NOT_FOUND":            {"未找到标签组", "标签组不存在，或您无权查看。"},
	"TAG_GROUP_LIMIT":                {"标签组过多", "机构的标签组已达上限，请先删除一些。"},
	"TAG_GROUP_NOT_EMPTY":            {"标签组不为空", "请先删除该组中的标签。"},
	"TAG_EXISTS":                     {"标签已存在", "该标签标识已被使用。"},
	"TAG_NOT_FOUND":                  {"未找到标签", "标签不存在，或您无权查看。"},
	"TAG_LIMIT":                      {"标签过多", "该标签组的标签已达上限，请先删除一些。"},
	"TAG_IN_USE":                     {"标签使用中", "仍有客户使用该标签，请先移除。"},
	"TAGS_EXCLUSIVE":                 {"标签互斥", "该标签组中的标签，一位客户只能有一个。"},
	"CLASSIFICATION_LIMIT":           {"标签或属性过多", "一位客户的标签或属性过多，或总长度过大。"},
	"ATTRIBUTE_DEFINITION_EXISTS":    {"属性已定义", "该属性标识已被使用。"},
	"ATTRIBUTE_DEFINITION_NOT_FOUND": {"未找到属性定义", "属性定义不存在，或您无权查看。"},
	"ATTRIBUTE_DEFINITION_LIMIT":     {"属性定义过多", "机构的属性定义已达上限。"},
	"ATTRIBUTE_ID_INVALID":           {"属性标识无效", "属性标识须以字母开头，且不能是规则语言的保留字。"},
	"ATTRIBUTE_BOUNDS_INVALID":       {"属性范围无效", "属性的取值范围与其类型不符，或没有任何值能满足。"},
	"ATTRIBUTE_UNKNOWN":              {"未知属性", "没有这个属性，请先定义。"},
	"ATTRIBUTE_RETIRED":              {"属性已停用", "该属性已停用，不再接受新值。"},
	"ATTRIBUTE_VALUE_INVALID":        {"属性值无效", "属性值与其定义不符，要求见说明。"},
}
