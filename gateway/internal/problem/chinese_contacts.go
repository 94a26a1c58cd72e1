package problem

// chineseContacts are the texts of the reasons of messages to people.
var chineseContacts = map[string]text{
	"DELIVERY_NOT_FOUND":         {"投递记录不存在", "该投递记录不存在，或不在您可见的范围内。"},
	"DELIVERY_EXPIRED":           {"消息已失效", "消息内容已失效，不能再次发送；请重新生成，例如重新发出邀请。"},
	"SUPPRESSION_NOT_FOUND":      {"停发记录不存在", "该停发记录不存在，或不在您可见的范围内。"},
	"MESSAGE_TEMPLATE_NOT_FOUND": {"消息模板不存在", "该消息模板不存在，或不在您可见的范围内。"},
	"MESSAGE_TEMPLATE_EXISTS":    {"消息模板已存在", "该名称已被使用，或同一类型、渠道和语言的模板已存在；请修改已有的模板。"},
	"PASSWORD_RESET_INVALID":     {"重设密码的验证码无效", "验证码无效、已使用或已过期，请重新获取。"},
	"MESSAGE_TEMPLATE_INVALID":   {"消息模板无效", "请检查标题和正文：只能使用该类消息的变量，且验证码须出现在正文中、不得出现在标题中。"},
}
