package provider

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	message "github.com/emersion/go-message"

	text "guildhall.dev/services/identity/internal/message"
)

// letter is a message with all that mail servers choke on.
func letter() Letter {
	return Letter{
		Delivery: "organizations/acme/deliveries/d1", ID: "d1", Channel: text.Email, Kind: text.Invitation, Language: "zh-CN", To: "ada@example.com",
		Text: text.Text{Subject: "您在王府的账户", Plain: "代码：\n\nX1\n.\n..\n" + strings.Repeat("长", 2000), HTML: "<p>代码</p>"},
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func (p *postOffice) provider(t *testing.T, change func(*SMTPConfig)) *SMTP {
	t.Helper()
	cfg := p.config
	if change != nil {
		change(&cfg)
	}
	s, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSMTP_sendsWhatProgramsCanRead(t *testing.T) {
	for _, security := range []string{STARTTLS, TLS, Clear} {
		t.Run(security, func(t *testing.T) {
			office := newPostOffice(t, security)
			if err := office.provider(t, nil).Send(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			got := office.received()
			if len(got) != 1 || got[0].from != "no-reply@acme.example" || got[0].to != "ada@example.com" || got[0].secure != (security != Clear) {
				t.Fatalf("it has %+v", got)
			}
			m, err := mail.ReadMessage(strings.NewReader(got[0].body))
			if err != nil {
				t.Fatal(err)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
			if err != nil || subject != letter().Text.Subject {
				t.Errorf("the subject is %q (%v)", subject, err)
			}
			for field, want := range map[string]string{
				"Message-Id": "<d1@acme.example>", "Date": "Fri, 02 Jan 2026 03:04:05 +0000", "To": "<ada@example.com>",
				"Auto-Submitted": "auto-generated", "Content-Language": "zh-CN", "From": `"Acme, Inc." <no-reply@acme.example>`,
			} {
				if got := m.Header.Get(field); got != want {
					t.Errorf("%s is %q, want %q", field, got, want)
				}
			}
			if plain, html := parts(t, got[0].body); plain != letter().Text.Plain || html != letter().Text.HTML {
				t.Errorf("it says %q and %q", plain, html)
			}
		})
	}
}

// parts returns the plain text and the HTML of a mail.
func parts(t *testing.T, body string) (plain, html string) {
	t.Helper()
	e, err := message.Read(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	alternatives := e.MultipartReader()
	if kind, _, _ := e.Header.ContentType(); kind != "multipart/alternative" || alternatives == nil {
		t.Fatalf("the mail is %s", kind)
	}
	var texts []string
	for range 2 {
		part, err := alternatives.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.ReplaceAll(string(b), "\r\n", "\n"))
	}
	return texts[0], texts[1]
}

// TestSMTP_nothingAddsAHeaderOrARecipient: mail header injection, by what is in
// the address, the subject and the text.
func TestSMTP_nothingAddsAHeaderOrARecipient(t *testing.T) {
	office := newPostOffice(t, Clear)
	p := office.provider(t, nil)
	for _, to := range []string{
		"ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com", "Eve <eve@example.com>", "ada@example.com\nRCPT TO:<eve@example.com>",
		"<ada@example.com>", "", "ada", "@example.com", "ada@example.com\x00", "a b@example.com",
	} {
		l := letter()
		l.To = to
		if err := p.Send(t.Context(), l); !errors.Is(err, ErrRefused) {
			t.Errorf("to %q: %v, want a refusal", to, err)
		} else if strings.Contains(err.Error(), "eve") {
			t.Errorf("the error quotes the address: %v", err)
		}
	}
	for _, bad := range []string{"x\r\nBcc: eve@example.com", "x\r\n\r\nbody", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com"} {
		l := letter()
		l.Text.Subject, l.Text.Plain, l.Language = bad, "\r\n.\r\nMAIL FROM:<eve@example.com>\r\n"+bad, "en"
		if err := p.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range office.received() {
		m, err := mail.ReadMessage(strings.NewReader(got.body))
		if err != nil || m.Header.Get("Bcc") != "" || got.to != "ada@example.com" || got.from != "no-reply@acme.example" {
			t.Errorf("it has %+v (%v)", got, err)
		}
	}
	if n := len(office.received()); n != 4 {
		t.Errorf("it has %d mails, want 4", n)
	}
}

func TestSMTP_tellsRefusalsFromFaults(t *testing.T) {
	office := newPostOffice(t, STARTTLS)
	office.answers["gone@example.com"] = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no gone@example.com here"}
	office.answers["full@example.com"] = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "full@example.com is over quota"}
	for name, c := range map[string]struct {
		to      string
		change  func(*SMTPConfig)
		refused bool
		says    string
	}{
		"nobody there":    {"gone@example.com", nil, true, "550 5.1.1"},
		"over quota":      {"full@example.com", nil, false, "452 4.2.2"},
		"wrong password":  {"ada@example.com", func(c *SMTPConfig) { c.Username, c.Password = "acme", "wrong" }, false, "535"},
		"unknown CA":      {"ada@example.com", func(c *SMTPConfig) { c.CAFile = "" }, false, "certificate"},
		"another's name":  {"ada@example.com", func(c *SMTPConfig) { c.Host = "localhost" }, false, "certificate"},
		"nobody listens":  {"ada@example.com", func(c *SMTPConfig) { c.Port = 1 }, false, "refused"},
		"TLS from begin?": {"ada@example.com", func(c *SMTPConfig) { c.Security = TLS }, false, ""},
	} {
		l := letter()
		l.To = c.to
		err := office.provider(t, c.change).Send(t.Context(), l)
		if err == nil || errors.Is(err, ErrRefused) != c.refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want refused %t and %q", name, err, c.refused, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "@") {
			t.Errorf("%s: the error quotes an address: %v", name, err)
		}
	}
	if n := len(office.received()); n != 0 {
		t.Errorf("it has %d mails", n)
	}
}

// TestSMTP_neverGoesOnInClear: a server, or who sits before it, that offers no TLS
// gets neither the password nor the mail.
func TestSMTP_neverGoesOnInClear(t *testing.T) {
	office := newPostOffice(t, Clear)
	err := office.provider(t, func(c *SMTPConfig) { c.Security = STARTTLS }).Send(t.Context(), letter())
	if err == nil || len(office.received()) != 0 {
		t.Errorf("sent in clear: %v", err)
	}
}

func TestSMTP_logsInAndEndsWithItsContext(t *testing.T) {
	office := newPostOffice(t, STARTTLS)
	p := office.provider(t, func(c *SMTPConfig) { c.Username, c.Password = "acme", "open sesame" })
	if err := p.Send(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	if got := office.received(); len(got) != 1 || got[0].login != "acme" {
		t.Errorf("it has %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Send(ctx, letter()); err == nil {
		t.Error("sent for nobody")
	}
}
