package message

import identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"

// wording is the subject of a mail, its text, and the text of an SMS.
type wording struct{ subject, mail, sms string }

// BuiltIn returns the template that is used where an organisation has none.
func BuiltIn(kind identityv1.MessageKind, channel identityv1.MessageChannel, language string) *identityv1.MessageTemplate {
	words := english(kind)
	if language == Chinese {
		words = chinese(kind)
	}
	t := &identityv1.MessageTemplate{Kind: kind, Channel: channel, Language: language, Subject: words.subject, Text: words.mail}
	if channel == SMS {
		t.Subject, t.Text = "", words.sms
	}
	return t
}

// long: one text after the other.
func english(kind identityv1.MessageKind) wording {
	switch kind {
	case Invitation:
		return wording{
			subject: "Your account at {{organization}}",
			mail: `You can use your account at {{organization}} now. Your invitation code is:

{{code}}

Enter it where you log in, and choose a password. The code is valid for {{valid}}, and can be used once.

Give it to nobody: whoever has it can use your account. If you did not expect this message, you need not do anything.`,
			sms: `{{organization}}: your invitation code is {{code}}, valid for {{valid}}. Give it to nobody.`,
		}
	case PasswordChanged:
		return wording{
			subject: "Your password at {{organization}} was changed",
			mail: `The password of your account at {{organization}} was changed at {{time}}.

If that was you, you need not do anything. If not, tell {{organization}} at once: somebody else may be using your account.`,
			sms: `{{organization}}: your password was changed at {{time}}. If that was not you, tell us at once.`,
		}
	case PasswordReset:
		return wording{
			subject: "A new password for your account at {{organization}}",
			mail: `Somebody asked for a new password for your account at {{organization}}. To choose one, enter this code where you log in:

{{code}}

Or open this page, which has it:

{{link}}

It is valid for {{valid}}, and can be used once. When you use it, you are logged out everywhere.

Give it to nobody, whoever asks: who has it can take your account. If you did not ask for it, you need not do anything: your password stays as it is.`,
			sms: `{{organization}}: your code for a new password is {{code}}, valid for {{valid}}. Give it to nobody. If you did not ask, ignore this.`,
		}
	case ContactVerification:
		return wording{
			subject: "Confirm your contact at {{organization}}",
			mail: `Somebody says that an account at {{organization}} is reached here. To confirm it, enter this code where it was asked for:

{{code}}

It is valid for {{valid}}, and can be used once.

Give it to nobody, whoever asks. If you did not ask for it, you need not do anything: without the code nothing changes.`,
			sms: `{{organization}}: your confirmation code is {{code}}, valid for {{valid}}. Give it to nobody. If you did not ask, ignore this.`,
		}
	case ContactChanged:
		return wording{
			subject: "Where you are reached by {{organization}} was changed",
			mail: `Your account at {{organization}} has a new address or phone number since {{time}}: {{contact}}

Codes and messages go there from now on.

If that was you, you need not do anything. If not, tell {{organization}} at once: somebody else may be using your account.`,
			sms: `{{organization}}: your account is reached at {{contact}} since {{time}}. If that was not you, tell us at once.`,
		}
	case TaskReminder:
		return wording{
			subject: "A task of yours at {{organization}} waits",
			mail: `A task of yours at {{organization}} waits to be done by {{time}}.

Your list of tasks says what it is.`,
			sms: `{{organization}}: a task of yours waits to be done by {{time}}. See your list of tasks.`,
		}
	}
	return englishNews(kind)
}

// long: one text after the other.
func chinese(kind identityv1.MessageKind) wording {
	switch kind {
	case Invitation:
		return wording{
			subject: "您在{{organization}}的账户",
			mail: `您现在可以启用在{{organization}}的账户。您的邀请码是：

{{code}}

请在登录处输入邀请码并设置密码。邀请码{{valid}}内有效，只能使用一次。

请勿将邀请码告诉任何人：得到它的人可以使用您的账户。如果您没有等待这条消息，无需理会。`,
			sms: `【{{organization}}】您的邀请码是 {{code}}，{{valid}}内有效，请勿告诉他人。`,
		}
	case PasswordChanged:
		return wording{
			subject: "您在{{organization}}的密码已更改",
			mail: `您在{{organization}}的账户密码已于 {{time}} 更改。

如果是您本人操作，无需理会。如果不是，请立即联系{{organization}}：可能有人正在使用您的账户。`,
			sms: `【{{organization}}】您的密码已于 {{time}} 更改。如非本人操作，请立即联系我们。`,
		}
	case PasswordReset:
		return wording{
			subject: "重设您在{{organization}}的密码",
			mail: `有人请求重设您在{{organization}}的账户密码。如需重设，请在登录处输入以下验证码：

{{code}}

或打开以下页面，其中已填好验证码：

{{link}}

验证码{{valid}}内有效，只能使用一次。重设后，您在所有设备上的登录都会退出。

请勿将验证码告诉任何人，无论对方以何种理由索取：得到它的人可以夺取您的账户。如果不是您本人请求，无需理会，您的密码不会改变。`,
			sms: `【{{organization}}】您重设密码的验证码是 {{code}}，{{valid}}内有效，请勿告诉他人。如非本人操作，请忽略。`,
		}
	case ContactVerification:
		return wording{
			subject: "确认您在{{organization}}的联系方式",
			mail: `有人表示可以通过此地址联系{{organization}}的一个账户。如需确认，请在发起请求的页面输入以下验证码：

{{code}}

验证码{{valid}}内有效，只能使用一次。

请勿将验证码告诉任何人，无论对方以何种理由索取。如果不是您本人请求，无需理会：没有验证码，什么都不会改变。`,
			sms: `【{{organization}}】您确认联系方式的验证码是 {{code}}，{{valid}}内有效，请勿告诉他人。如非本人操作，请忽略。`,
		}
	case ContactChanged:
		return wording{
			subject: "您在{{organization}}的联系方式已更改",
			mail: `您在{{organization}}的账户已于 {{time}} 改用新的邮箱或手机号：{{contact}}

此后验证码和通知都会发送到那里。

如果是您本人操作，无需理会。如果不是，请立即联系{{organization}}：可能有人正在使用您的账户。`,
			sms: `【{{organization}}】您的账户已于 {{time}} 改用联系方式 {{contact}}。如非本人操作，请立即联系我们。`,
		}
	case TaskReminder:
		return wording{
			subject: "您在{{organization}}有一项待办任务",
			mail: `您在{{organization}}有一项任务需要在 {{time}} 前完成。

任务内容请查看您的任务列表。`,
			sms: `【{{organization}}】您有一项任务需要在 {{time}} 前完成，请查看任务列表。`,
		}
	}
	return chineseNews(kind)
}
