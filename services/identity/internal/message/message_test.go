package message

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestBuiltIn_allAreTemplatesThatWouldBeTaken: of all kinds, on all channels, in
// both languages.
func TestBuiltIn_allAreTemplatesThatWouldBeTaken(t *testing.T) {
	for number, name := range identityv1.MessageKind_name {
		if number == 0 {
			continue
		}
		for _, channel := range []identityv1.MessageChannel{Email, SMS} {
			texts := map[string]bool{}
			for _, language := range []string{Chinese, English} {
				built := BuiltIn(identityv1.MessageKind(number), channel, language)
				if err := check(built); err != nil {
					t.Errorf("%s by %s in %s: %v", name, channel, language, err)
				}
				texts[built.GetText()] = true
			}
			if len(texts) != 2 {
				t.Errorf("%s by %s says the same in both languages", name, channel)
			}
		}
	}
}

func TestCheck_refusesWhatCannotBeSent(t *testing.T) {
	long := strings.Repeat("长", maxSMS)
	for name, c := range map[string]struct {
		kind          identityv1.MessageKind
		channel       identityv1.MessageChannel
		subject, text string
		field, says   string // "" when it is taken
	}{
		"good":                    {Invitation, Email, "Join {{organization}}", "{{code}} {{ valid }}", "", ""},
		"good SMS":                {Invitation, SMS, "", "{{code}}", "", ""},
		"braces that are no more": {Invitation, Email, "a } b }} { c", "{ {{code}} }", "", ""},
		"code in the subject":     {Invitation, Email, "{{code}}", "{{code}}", "subject", "is not known here; there are {{organization}}, {{valid}}"},
		"unknown":                 {Invitation, Email, "x", "{{code}} {{email}}", "text", "{{email}} is not known"},
		"another kind's":          {PasswordChanged, Email, "x", "{{code}}", "text", "{{code}} is not known"},
		"no code":                 {Invitation, SMS, "", "welcome", "text", "without {{code}}"},
		"open":                    {Invitation, Email, "x", "{{code}} {{", "text", "not followed"},
		"empty name":              {Invitation, Email, "x", "{{}}{{code}}", "text", "name of a variable"},
		"an expression":           {Invitation, Email, "x", "{{code | html}}", "text", "name of a variable"},
		"a call":                  {Invitation, Email, "x", `{{printf "%s" code}}`, "text", "name of a variable"},
		"a field":                 {Invitation, Email, "x", "{{.code}}", "text", "name of a variable"},
		"nested":                  {Invitation, Email, "x", "{{co{{code}}de}}", "text", "name of a variable"},
		"two lines of subject":    {Invitation, Email, "x\r\nBcc: eve@example.com", "{{code}}", "subject", "one line"},
		"a NUL":                   {Invitation, Email, "x", "{{code}}\x00", "text", "control characters"},
		"mail without subject":    {Invitation, Email, " ", "{{code}}", "subject", "needs a subject"},
		"SMS with subject":        {Invitation, SMS, "x", "{{code}}", "subject", "no subject"},
		"no text":                 {PasswordChanged, SMS, "", " \n", "text", "needs a text"},
		"SMS of the longest":      {PasswordChanged, SMS, "", long, "", ""},
		"SMS too long":            {PasswordChanged, SMS, "", long + "长", "text", "at most 500"},
	} {
		err := check(&identityv1.MessageTemplate{Kind: c.kind, Channel: c.channel, Language: English, Subject: c.subject, Text: c.text})
		if c.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != reasonInvalid {
			t.Errorf("%s: %v, want %s", name, err, reasonInvalid)
			continue
		}
		if v := errs.From(err).Violations[0]; v.Field != "message_template."+c.field || !strings.Contains(v.Description, c.says) {
			t.Errorf("%s: %v, want a fault of %s that says %q", name, v, c.field, c.says)
		}
	}
}

// TestRender_valuesAreNoTemplates: a value is text, wherever it stands and
// whatever is in it.
func TestRender_valuesAreNoTemplates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"{{code}}", "{{", "}}", "<script>", `"`, "&", "'>", "\r\n", "\x00", "\u2028", "Bcc: x@example.com", "王", "a"})
		value := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "value"), "")
		made, err := Render(BuiltIn(Invitation, Email, English), Values{Organization: value, Code: "SECRET", Valid: "1 day"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(made.Subject, "\r\n\x00") || strings.Contains(made.Subject, "SECRET") {
			t.Errorf("the subject is %q", made.Subject)
		}
		if strings.Count(made.Plain, "SECRET") != 1 {
			t.Errorf("the text has the code more than once: %q", made.Plain)
		}
		if strings.Contains(made.HTML, "<script>") || strings.Count(made.HTML, "<strong") != 1 {
			t.Errorf("the value is markup in %q", made.HTML)
		}
	})
}

func TestRender_paragraphsAndLines(t *testing.T) {
	made, err := Render(&identityv1.MessageTemplate{
		Kind: Invitation, Channel: Email, Language: Chinese, Subject: "{{organization}}", Text: "a\nb\n{{code}}\nc\n\n\nd <e>\n\n{{code}}\n",
	}, Values{Organization: "A & B", Code: "1"})
	if err != nil {
		t.Fatal(err)
	}
	const code = `<strong style="font-family:monospace;font-size:120%">1</strong>`
	for _, want := range []string{`<html lang="zh-CN">`, "<title>A &amp; B</title>", "<p>a<br>b<br>" + code + "<br>c</p>\n<p>d &lt;e&gt;</p>\n<p>" + code} {
		if !strings.Contains(made.HTML, want) {
			t.Errorf("the HTML lacks %q:\n%s", want, made.HTML)
		}
	}
	if made.Subject != "A & B" || made.Plain != "a\nb\n1\nc\n\n\nd <e>\n\n1\n" {
		t.Errorf("subject %q, text %q", made.Subject, made.Plain)
	}
}

func TestDuration_inWholeUnitsRoundedDown(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		7 * 24 * time.Hour: {"7天", "7 days"}, 25 * time.Hour: {"1天", "1 day"}, 10 * time.Minute: {"10分钟", "10 minutes"},
		time.Hour: {"1小时", "1 hour"}, 119 * time.Second: {"1分钟", "1 minute"}, 30 * time.Second: {"0分钟", "0 minutes"},
	} {
		if got := [2]string{Duration(Chinese, d), Duration(English, d)}; got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestLanguage_ofThePersonThenOfTheOrganization(t *testing.T) {
	for _, c := range [][3]string{{"en", "zh-CN", "en"}, {"", "zh-CN", "zh-CN"}, {"", "", "en"}, {"fr", "zh-CN", "zh-CN"}} {
		if got := Language(c[0], c[1]); got != c[2] {
			t.Errorf("Language(%q, %q) is %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// TestSupersedes_whatSaysTheSameOrIsVoid: a new code voids the one before, news of the
// same is as good with the later time, and what says something else goes beside it.
func TestSupersedes_whatSaysTheSameOrIsVoid(t *testing.T) {
	early, late := Values{Time: "08:00"}, Values{Time: "09:00"}
	for name, c := range map[string]struct {
		kind        identityv1.MessageKind
		now, before Values
		want        bool
	}{
		"another code":                 {PasswordReset, Values{Code: "2"}, Values{Code: "1"}, true},
		"news that came twice":         {CodesRegenerated, late, early, true},
		"news of one and another":      {FactorAdded, Values{Factor: "PASSKEY"}, Values{Factor: "TOTP"}, false},
		"the same reminder":            {TaskReminder, early, early, true},
		"a reminder of something else": {TaskReminder, late, early, false},
	} {
		if got := Supersedes(c.kind, c.now, c.before); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	if len(early) != 1 {
		t.Error("the values were changed")
	}
}
