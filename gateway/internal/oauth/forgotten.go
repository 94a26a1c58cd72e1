package oauth

import (
	_ "embed"
	"html/template"
	"net/url"
	"strings"

	"guildhall.dev/pkg/errs"
)

// ForgottenPath is where people get past a password that they have forgotten: from
// the login page, with its request, or from the link in a message, with its code.
const ForgottenPath = "/oauth2/password"

//go:embed forgotten.html
var forgottenHTML string

// Steps of the page.
const (
	// Ask asks who it is, Choose for the code and a new password; then it is Done.
	Ask    = "ask"
	Choose = "choose"
	Done   = "done"
)

// Forgotten is what a person sees who has forgotten the password. It is the same for
// whoever is an account and whoever is none.
type Forgotten struct {
	Step string
	// Request are the parameters of the login that it began with, which go around with
	// the page; without them it cannot ask who it is, nor lead back.
	Request url.Values
	// Token proves that the page was ours.
	Token string
	// Code is what a link has brought, Error why something did not do.
	Code, Error string
	// Language is "zh-CN" or "en".
	Language string
}

// Organization returns the one that people log in to, "" of a request without one:
// that of the app.
func (p Forgotten) Organization() string {
	organization, _, found := strings.Cut(p.Request.Get("client_id"), "/oauthClients/")
	if !found {
		return ""
	}
	return organization
}

// Login returns the address of the login page that it began with, "" for none. It is
// always our own.
func (p Forgotten) Login() string {
	if p.Organization() == "" {
		return ""
	}
	return AuthorizePath + "?" + p.Request.Encode()
}

// Bound is what the token of the page is bound to: no login page has the same.
func (p Forgotten) Bound() url.Values {
	out := url.Values{"page": {ForgottenPath}}
	for name, values := range p.Request {
		out[name] = values
	}
	return out
}

// Text returns a text of the page.
func (p Forgotten) Text(key string) string {
	return forgottenTexts[key][Page{Language: p.Language}.index()]
}

// CSS returns the style, which is the login page's.
func (Forgotten) CSS() template.CSS { return Page{}.CSS() }

// WhyNot returns the text of the page for a password that was not set; "" when it was.
func WhyNot(err error) string {
	e := errs.From(err)
	switch {
	case e.Reason == "SUSPENSION_PENDING":
		return "" // it is set; what was open ends on its own
	case e.Reason == "PASSWORD_RESET_INVALID":
		return "void"
	case strings.HasPrefix(e.Reason, "PASSWORD_"):
		return "weak"
	case e.Kind == errs.Invalid:
		return "void"
	case e.Kind == errs.Exhausted:
		return "busy"
	}
	return "away"
}

// forgottenTexts are what the page says, in English and in Chinese.
var forgottenTexts = map[string][2]string{
	"title":      {"New password", "重设密码"},
	"ask":        {"Tell us who you are, and we send you a code with which you set a new password.", "请告诉我们您的账户，我们会发送验证码供您设置新密码。"},
	"identifier": {"Mail address or phone number", "邮箱地址或手机号"},
	"send":       {"Send the code", "发送验证码"},
	"sent":       {"If there is such an account with a password, a code is on its way to it. It is valid for an hour.", "如果该账户存在且设有密码，验证码正在发送，一小时内有效。"},
	"code":       {"Code", "验证码"},
	"new":        {"New password, at least 15 characters", "新密码（至少 15 个字符）"},
	"set":        {"Set the password", "设置密码"},
	"done":       {"Your new password is set, and you are logged out everywhere.", "新密码已设置，您在所有设备上的登录均已退出。"},
	"login":      {"Back to the login", "返回登录"},
	"lost":       {"Go back to where you wanted to log in, and begin from there.", "请返回您要登录的页面重新开始。"},
	"stale":      {"This page was open for too long, or came from somewhere else. Try again.", "页面已过期或来源不正确，请重试。"},
	"void":       {"The code is not valid. Perhaps a newer one is on its way, or it was used before.", "验证码无效：可能已有更新的验证码，或该验证码已被使用。"},
	"weak":       {"Choose another password: at least 15 characters, and hard to guess.", "请换一个密码：至少 15 个字符，且不易猜到。"},
	"busy":       {"There were too many tries. Wait a moment and try again.", "尝试过于频繁，请稍后再试。"},
	"away":       {"That does not work at the moment. Try again soon.", "暂时无法处理，请稍后再试。"},
}
