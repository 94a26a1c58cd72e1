package problem

// chinesePasskeys are the texts of the reasons of passkeys, and of proving a session
// again.
var chinesePasskeys = map[string]text{
	"PASSKEY_INVALID": {"通行密钥无效", "收到的通行密钥不符合要求或已超时，请重新开始，并在设备上完成身份验证。"},
	"PASSKEY_EXISTS":  {"通行密钥已存在", "该通行密钥已经注册过，请创建一个新的。"},
	"PASSKEY_LIMIT":   {"通行密钥过多", "最多可有十个通行密钥，请先删除一个。"},
	"FACTOR_REQUIRED": {"需要第二验证方式", "该账户已设置第二验证方式，仅凭密码不足以验证身份，请使用第二验证方式。"},
	"PASSKEYS_OFF":    {"无法使用通行密钥", "通行密钥需要域名，而本系统未通过域名访问，因此无法使用。"},
}
