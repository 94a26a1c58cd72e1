package problem

// chineseThrottle are the texts of the reasons of guesses at passwords, and of
// passwords that come from elsewhere.
var chineseThrottle = map[string]text{
	"PASSWORD_HASH_INVALID": {"密码散列无效", "请提供 argon2id、argon2i、scrypt、bcrypt 或 PBKDF2 的标准散列，且其计算成本不能过高。"},
	"LOGIN_THROTTLED":       {"尝试次数过多", "尝试次数过多，请等待提示的时间后再试；已登录过的设备不受他人尝试的影响。"},
}
