package oauth

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/url"

	"golang.org/x/text/language"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

func parsePage() (*template.Template, error) { return template.New("page").Parse(pageHTML) }

// Page is what a person sees who is asked to let an app in.
type Page struct {
	// Fault is set of a page that asks nothing: the client or its address is
	// wrong, and the person is to be sent nowhere.
	Fault string
	// Client and Organization are what people call the app and whose it is.
	Client, Organization string
	Scopes               []string
	// Request are the parameters to send back, Token what proves that the page was
	// ours.
	Request url.Values
	Token   string
	// Identifier is what was typed before, Error why it did not do, Change that a
	// new password is needed.
	Identifier, Error string
	Change            bool
	// Options is what a browser asks for a passkey with, as JSON; "" takes none.
	Options string
	// Second is what is asked for once the password was right.
	Second Second
	// Language is "zh-CN" or "en", and Other the address of the page in the other.
	Language, Other string
}

// Forgotten returns where people go who have forgotten the password, with the
// request that they come back with.
func (p Page) Forgotten() string { return ForgottenPath + "?" + p.Request.Encode() }

// Text returns a text of the page's own.
func (p Page) Text(key string) string { return pageTexts[key][p.index()] }

// ScopeText says what a scope means.
func (p Page) ScopeText(scope string) string {
	if t, ok := scopeTexts[scope]; ok {
		return t[p.index()]
	}
	return scope
}

func (p Page) index() int {
	if p.Language == Chinese {
		return 1
	}
	return 0
}

// CSS returns the style, which is a constant of ours.
func (Page) CSS() template.CSS { return template.CSS(pageCSS) }

// The languages of the page.
const (
	English = "en"
	Chinese = "zh-CN"
)

// Language returns the one of the page: the first that is known of what the client
// asks for (ui_locales), and else of what the browser does.
func Language(locales, accept string) string {
	matcher := language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})
	for _, wish := range []string{locales, accept} {
		if wish == "" || len(wish) > 256 {
			continue
		}
		tags, _, err := language.ParseAcceptLanguage(replaceSpaces(wish))
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := matcher.Match(tags...); confidence > language.No {
			return []string{English, Chinese}[i]
		}
	}
	return English
}

// replaceSpaces makes a list of ui_locales one of Accept-Language.
func replaceSpaces(locales string) string {
	out := []rune(locales)
	for i, r := range out {
		if r == ' ' && i > 0 && out[i-1] != ',' {
			out[i] = ','
		}
	}
	return string(out)
}

// Policy returns the Content-Security-Policy of a page that leads to an address:
// nothing but its own style, the one script that it names, if any, and a form that
// goes to us and then there. Browsers hold the redirect after a form to form-action
// too.
func Policy(redirect, script string) string {
	sum := sha256.Sum256([]byte(pageCSS))
	to := ""
	if u, err := url.Parse(redirect); err == nil && u.Scheme != "" {
		to = " " + u.Scheme + ":"
		if u.Host != "" {
			to += "//" + u.Host
		}
	}
	load := "default-src 'none'; "
	if script != "" {
		load += "script-src " + script + "; "
	}
	return load + "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'" + to + "; base-uri 'none'; frame-ancestors 'none'"
}
