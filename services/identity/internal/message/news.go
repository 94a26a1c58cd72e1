package message

import identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"

// AllFactors stands for all factors of an account among the values of Factor, which
// are names of factor types without their prefix else.
const AllFactors = "ALL"

// FactorName returns what a value of Factor is called in a language; "" of one that
// is not known.
func FactorName(language, value string) string {
	names := map[string][2]string{
		"TOTP":     {"an authenticator app", "身份验证器应用"},
		"PASSKEY":  {"a passkey", "通行密钥"},
		AllFactors: {"all second factors, with the recovery codes", "全部第二因素及恢复码"},
	}
	if language == Chinese {
		return names[value][1]
	}
	return names[value][0]
}

// englishNews is english for what accounts are told of their security.
func englishNews(kind identityv1.MessageKind) wording {
	switch kind {
	case FactorAdded:
		return wording{
			subject: "A new way to log in at {{organization}}",
			mail: `Since {{time}} your account at {{organization}} has one more way to prove that it is you: {{factor}}.

If that was you, you need not do anything. If not, tell {{organization}} at once: somebody else may be using your account.`,
			sms: `{{organization}}: {{factor}} was added to your account at {{time}}. If that was not you, tell us at once.`,
		}
	case FactorRemoved:
		return wording{
			subject: "A way to log in at {{organization}} was removed",
			mail: `At {{time}} this was removed from your account at {{organization}}: {{factor}}. It proves nothing any more.

If you did that or asked for it, you need not do anything. If not, tell {{organization}} at once: somebody else may be using your account.`,
			sms: `{{organization}}: removed from your account at {{time}}: {{factor}}. If you did not ask for it, tell us at once.`,
		}
	case CodesRegenerated:
		return wording{
			subject: "New recovery codes for your account at {{organization}}",
			mail: `The recovery codes of your account at {{organization}} were made anew at {{time}}. Those of before are of no use any more.

If that was you, you need not do anything. If not, tell {{organization}} at once: somebody else may be using your account.`,
			sms: `{{organization}}: your recovery codes were made anew at {{time}}. If that was not you, tell us at once.`,
		}
	case RecoveryCodeUsed:
		return wording{
			subject: "A recovery code of your account at {{organization}} was used",
			mail: `At {{time}} somebody used a recovery code of your account at {{organization}}, in place of your authenticator app or passkey.

If that was you, you need not do anything; make new codes when few are left. If not, tell {{organization}} at once: somebody else may be using your account.`,
			sms: `{{organization}}: a recovery code of your account was used at {{time}}. If that was not you, tell us at once.`,
		}
	case ErasureRequested:
		return wording{
			subject: "Your data at {{organization}} will be erased",
			mail: `{{organization}} was asked to erase your account and all that is kept of you. That begins at {{time}}, or later if the law forbids it for now. From then on nobody can undo it.

If you want that, you need not do anything. If you have changed your mind, or did not ask for it, withdraw the request before then: in your account, or by telling {{organization}}.`,
			sms: `{{organization}}: your data will be erased from {{time}} on, for good. If you do not want that, withdraw the request before then, or tell us.`,
		}
	case DataRequested:
		return wording{
			subject: "A copy of your data at {{organization}} was asked for",
			mail: `At {{time}} {{organization}} was asked for a copy of all that it keeps of you. It is being put together and can be fetched for some days, by you and by those at {{organization}} who answer such requests.

If you asked for it, you need not do anything. If not, tell {{organization}} at once: somebody else may be using your name.`,
			sms: `{{organization}}: a copy of all data about you was asked for at {{time}}. If that was not you, tell us at once.`,
		}
	}
	return wording{}
}

// chineseNews is chinese for what accounts are told of their security.
func chineseNews(kind identityv1.MessageKind) wording {
	switch kind {
	case FactorAdded:
		return wording{
			subject: "您在{{organization}}的账户新增了登录验证方式",
			mail: `您在{{organization}}的账户已于 {{time}} 新增一种验证方式：{{factor}}。

如果是您本人操作，无需理会。如果不是，请立即联系{{organization}}：可能有人正在使用您的账户。`,
			sms: `【{{organization}}】您的账户已于 {{time}} 新增验证方式：{{factor}}。如非本人操作，请立即联系我们。`,
		}
	case FactorRemoved:
		return wording{
			subject: "您在{{organization}}的账户移除了登录验证方式",
			mail: `您在{{organization}}的账户已于 {{time}} 移除：{{factor}}。此后不能再用其验证身份。

如果是您本人操作或要求的，无需理会。如果不是，请立即联系{{organization}}：可能有人正在使用您的账户。`,
			sms: `【{{organization}}】您的账户已于 {{time}} 移除：{{factor}}。如非您本人要求，请立即联系我们。`,
		}
	case CodesRegenerated:
		return wording{
			subject: "您在{{organization}}的恢复码已更新",
			mail: `您在{{organization}}的账户已于 {{time}} 生成新的恢复码，原有恢复码全部失效。

如果是您本人操作，无需理会。如果不是，请立即联系{{organization}}：可能有人正在使用您的账户。`,
			sms: `【{{organization}}】您的恢复码已于 {{time}} 更新。如非本人操作，请立即联系我们。`,
		}
	case RecoveryCodeUsed:
		return wording{
			subject: "您在{{organization}}的一个恢复码已被使用",
			mail: `您在{{organization}}的账户于 {{time}} 使用了一个恢复码，以代替身份验证器应用或通行密钥。

如果是您本人操作，无需理会；剩余恢复码不多时请重新生成。如果不是，请立即联系{{organization}}：可能有人正在使用您的账户。`,
			sms: `【{{organization}}】您的一个恢复码已于 {{time}} 被使用。如非本人操作，请立即联系我们。`,
		}
	case ErasureRequested:
		return wording{
			subject: "您在{{organization}}的数据将被删除",
			mail: `{{organization}}收到了删除您的账户及全部个人数据的请求。删除将于 {{time}} 开始；如法律要求暂时保留，则会推迟。删除一旦开始，便无法撤销。

如果这是您的意愿，无需理会。如果您改变了主意，或并非您本人请求，请在此之前撤回：可在您的账户中撤回，或联系{{organization}}。`,
			sms: `【{{organization}}】您的个人数据将于 {{time}} 起被永久删除。如不希望删除，请在此之前撤回请求或联系我们。`,
		}
	case DataRequested:
		return wording{
			subject: "有人请求了您在{{organization}}的个人数据副本",
			mail: `{{organization}}于 {{time}} 收到提供您全部个人数据副本的请求。副本正在整理，之后数日内可由您本人及{{organization}}负责答复此类请求的人员下载。

如果是您本人请求，无需理会。如果不是，请立即联系{{organization}}：可能有人冒用您的名义。`,
			sms: `【{{organization}}】有人于 {{time}} 请求您的全部个人数据副本。如非本人请求，请立即联系我们。`,
		}
	}
	return wording{}
}
