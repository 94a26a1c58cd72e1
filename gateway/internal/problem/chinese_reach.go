package problem

// chineseReach are the texts of the reasons of contacts that people verify and
// change themselves.
var chineseReach = map[string]text{
	"CONTACT_UNSUPPORTED":     {"不支持此联系方式", "员工账户只能使用邮箱。"},
	"CONTACT_MISSING":         {"没有可验证的联系方式", "该账户没有此联系方式；请先提交新的联系方式。"},
	"CONTACT_CODES_THROTTLED": {"验证码请求过于频繁", "请使用最近收到的验证码，或稍后再试。"},
}
