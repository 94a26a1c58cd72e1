package problem

// chineseFactors are the texts of the reasons of second factors, of logins that wait
// for one, and of calls that want a fresh proof.
var chineseFactors = map[string]text{
	"FACTOR_NOT_FOUND":      {"验证方式不存在", "该验证方式不存在、已被删除，或不属于您。"},
	"FACTOR_LIMIT":          {"验证方式过多", "最多可同时使用两个身份验证器应用，请先删除一个。"},
	"ENROLLMENT_NOT_FOUND":  {"没有待确认的绑定", "没有待确认的身份验证器应用，或已超过时限，请重新开始绑定。"},
	"CODE_INVALID":          {"验证码不正确", "验证码不正确或已被使用，请发送当前显示的验证码，并检查设备时间是否准确。"},
	"CHALLENGE_INVALID":     {"登录已失效", "本次登录已超时或已结束，请重新登录。"},
	"NO_SECOND_FACTOR":      {"尚无第二验证方式", "恢复码用于代替丢失的第二验证方式，请先添加一个。"},
	"PASSWORD_NEEDS_FACTOR": {"请先设置更强的密码", "该密码过短或容易被猜到，只能与第二验证方式同时使用；请改用至少 15 个字符且不易猜到的密码。"},
	"STEP_UP_REQUIRED":      {"需要重新验证身份", "该操作需要您在近期验证过身份，请重新验证后再试。"},
	"OWN_LOGIN_REQUIRED":    {"应用不能代为操作", "应用不能代您执行该操作，请直接登录本系统后操作。"},
}
