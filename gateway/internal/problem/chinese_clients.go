package problem

// chineseClients are the reasons of service accounts, apps and their keys.
var chineseClients = map[string]text{
	"SERVICE_ACCOUNT_NOT_FOUND": {"服务账户不存在", "该服务账户不存在，或您无权查看。"},
	"SERVICE_ACCOUNT_EXISTS":    {"服务账户已存在", "该名称已被使用，请换一个名称。"},
	"CLIENT_KEY_NOT_FOUND":      {"密钥不存在", "该密钥不存在、已被吊销，或您无权查看。"},
	"CLIENT_KEY_EXISTS":         {"密钥已存在", "该名称已被使用，请换一个名称。"},
	"CLIENT_KEY_LIMIT":          {"密钥过多", "一个客户端最多同时有十个密钥，请先吊销一个。"},
	"CLIENT_KEY_PUBLIC_INVALID": {"公钥无效", "请发送一个用于签名的 JSON Web Key：Ed25519、P-256，或 2048 至 8192 位的 RSA。"},
	"CLIENT_KEY_PRIVATE":        {"请勿发送私钥", "只应发送公钥。该私钥已离开其所有者，请重新生成一对密钥。"},
	"CLIENT_KEY_EXPIRY_INVALID": {"到期时间无效", "请发送从现在起五年之内的时间，或不设到期时间。"},
	"INVALID_CLIENT":            {"客户端验证失败", "客户端不存在，或未能证明其身份。"},
	"INVALID_REQUEST":           {"请求无效", "请求缺少参数、参数重复或互相矛盾，请按 OAuth 2.0 的规定发送。"},
	"INVALID_SCOPE":             {"权限范围无效", "请只申请该客户端可用的权限范围。"},
	"INVALID_GRANT":             {"授权无效", "授权码或刷新令牌无效、已被使用，或属于其他客户端。"},
	"INVALID_REDIRECT_URI":      {"回调地址无效", "redirect_uri 不是该应用登记的地址之一。"},
	"AUTHORIZATION_INVALID":     {"授权请求无效", "授权请求有误，请从应用重新开始。"},
	"INSUFFICIENT_SCOPE":        {"权限范围不足", "该令牌缺少所需的权限范围 openid。"},
	"OAUTH_CLIENT_NOT_FOUND":    {"应用不存在", "该应用不存在，或您无权查看。"},
	"OAUTH_CLIENT_EXISTS":       {"应用已存在", "该名称已被使用，请换一个名称。"},
	"REDIRECT_URI_INVALID":      {"回调地址无效", "请发送不含片段的绝对地址：https、本机的 http，或公开应用自有的、含点的方案。"},
	"CLIENT_IS_PUBLIC":          {"公开应用没有密钥", "公开应用无法保守秘密，因此没有密钥。"},
	"UNAUTHORIZED_CLIENT":       {"客户端无权执行", "该客户端不能使用此方式，或令牌属于其他客户端。"},
	"UNSUPPORTED_GRANT_TYPE":    {"不支持的授权类型", "此处不提供该 grant_type。"},
	"CLIENT_KEY_EXPIRED":        {"密钥已过期", "该密钥已过期，请另行创建一个。"},
}
