package problem

// chineseStanding are the texts of the reasons of who may act at all.
var chineseStanding = map[string]text{
	"ACCOUNT_SUSPENDED":  {"账户已停用", "该账户目前不能使用，请联系管理员。"},
	"SESSION_ENDED":      {"会话已结束", "会话已结束，请重新登录。"},
	"SUSPENSION_PENDING": {"正在生效", "更改已保存，但尚未在所有服务生效；稍后会自动生效，重复同一请求可等待其完成。"},
}
