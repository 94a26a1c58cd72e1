package problem

// chineseGrants are the texts of the reasons of conditions of grants, and of
// the properties that they look at.
var chineseGrants = map[string]text{
	"CONDITION_INVALID":    {"条件无效", "授权条件不是有效的表达式，出错位置见说明。"},
	"CONDITION_TOO_COSTLY": {"条件过于复杂", "授权条件的计算量过大，请简化表达式。"},
	"PROPERTIES_TOO_LARGE": {"属性过大", "属性的大小或层级超过了上限。"},
	"PROPERTIES_NOT_FOUND": {"未找到属性", "该名称没有保存的属性，或您无权查看。"},
}
