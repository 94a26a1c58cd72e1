package problem

// chineseThrottle are the texts of the reasons of guesses at passwords.
var chineseThrottle = map[string]text{
	"LOGIN_THROTTLED": {"尝试次数过多", "尝试次数过多，请等待提示的时间后再试；已登录过的设备不受他人尝试的影响。"},
}
