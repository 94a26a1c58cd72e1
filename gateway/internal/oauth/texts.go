package oauth

// pageTexts are what the page says, in English and in Chinese.
var pageTexts = map[string][2]string{
	"title":             {"Log in", "登录"},
	"wants":             {"would like to:", "希望获得以下权限："},
	"log-in-to":         {"Log in with your account of", "使用您的账户登录："},
	"identifier":        {"Mail address", "邮箱地址"},
	"password":          {"Password", "密码"},
	"new":               {"New password, at least 15 characters", "新密码（至少 15 个字符）"},
	"change":            {"Your password was for one use. Choose a new one.", "您的密码仅供一次使用，请设置新密码。"},
	"code":              {"Code from your authenticator app", "身份验证器应用中的验证码"},
	"recovery":          {"Have you lost the device? Enter one of your recovery codes instead.", "设备不在身边？请输入一个恢复码。"},
	"recovery-code":     {"Recovery code", "恢复码"},
	"log-in-by-passkey": {"Sign in with a passkey", "使用通行密钥登录"},
	"prove-by-passkey":  {"Continue with a passkey", "使用通行密钥继续"},
	"or":                {"or", "或"},
	"passkey-failed":    {"No passkey was used. Try again, or log in the other way.", "未使用通行密钥，请重试或使用其他方式登录。"},
	"wrong-passkey":     {"This passkey is not good here, or the page was open for too long. Try again, or log in the other way.", "该通行密钥在此无效，或页面打开时间过长。请重试或使用其他方式登录。"},
	"wrong-code":        {"The code is not right, or was used before. Enter the one that is shown now.", "验证码不正确或已被使用，请输入当前显示的验证码。"},
	"again":             {"That took too long, or went wrong too often. Log in again.", "等待时间过长或错误次数过多，请重新登录。"},
	"allow":             {"Log in and allow", "登录并允许"},
	"deny":              {"Cancel", "取消"},
	"fault":             {"This link does not work", "此链接无法使用"},
	"explain":           {"The app that sent you here is not known, or asked for something it may not. You have not been logged in. Tell whoever runs the app.", "将您引导至此的应用不存在，或提出了不允许的请求。您尚未登录，请联系该应用的运营者。"},
	"stale":             {"This page was open for too long, or came from somewhere else. Try again.", "页面已过期或来源不正确，请重试。"},
	"failed":            {"The account or the password is not right, or the account may not log in.", "账户或密码不正确，或该账户不能登录。"},
	"weak":              {"Choose another new password: at least 15 characters, and hard to guess.", "请换一个新密码：至少 15 个字符，且不易猜到。"},
	"busy":              {"Too many people are logging in, or you have tried too often. Wait a moment and try again.", "当前登录人数过多或尝试过于频繁，请稍后再试。"},
	"away":              {"You cannot be logged in at the moment. Try again soon.", "暂时无法登录，请稍后再试。"},
	"forgotten":         {"Forgotten your password?", "忘记密码？"},
	"other":             {"中文", "English"},
}

// scopeTexts say what an app gets.
var scopeTexts = map[string][2]string{
	"openid":         {"know who you are", "确认您的身份"},
	"profile":        {"see your name and language", "查看您的姓名和语言"},
	"email":          {"see your mail address", "查看您的邮箱地址"},
	"phone":          {"see your phone number", "查看您的电话号码"},
	"offline_access": {"stay connected when you are away", "在您离开后保持连接"},
	"api":            {"do here whatever you may do", "以您的身份进行您可做的一切操作"},
}
