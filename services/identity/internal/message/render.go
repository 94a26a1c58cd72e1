package message

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
	"unicode"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Text is a message that can be sent.
type Text struct {
	// Subject is one line, "" of an SMS.
	Subject string
	// Plain has line feeds alone as line ends.
	Plain string
	// HTML is a whole document, "" of an SMS.
	HTML string
}

// Values are those of a template's variables.
type Values map[string]string

// Render fills a template in. A variable without a value is left out. The error
// is for a template that check would have refused.
func Render(t *identityv1.MessageTemplate, values Values) (Text, error) {
	subject, err := parse(t.GetSubject())
	if err != nil {
		return Text{}, fmt.Errorf("message: the subject of a stored template: %w", err)
	}
	text, err := parse(t.GetText())
	if err != nil {
		return Text{}, fmt.Errorf("message: the text of a stored template: %w", err)
	}
	out := Text{Subject: oneLine(fill(subject, values)), Plain: fill(text, values)}
	if t.GetChannel() != Email {
		return out, nil
	}
	var b bytes.Buffer
	err = layout().Execute(&b, page{Language: t.GetLanguage(), Title: out.Subject, Paragraphs: paragraphs(text, values)})
	out.HTML = b.String()
	return out, err
}

func fill(pieces []piece, values Values) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
		b.WriteString(plain(values[p.variable]))
	}
	return b.String()
}

// plain takes control characters out of a value: no value is more than a line,
// nor steers a terminal.
func plain(value string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, value)
}

// oneLine makes a header field of a text, whatever is in it.
func oneLine(s string) string { return strings.TrimSpace(plain(s)) }

// page is what the HTML part is made of.
type page struct {
	Language, Title string
	Paragraphs      [][]span
}

// span is a part of a paragraph. Code says that it is to be copied, Link that it is
// to be followed.
type span struct {
	Text  string
	Code  bool
	Link  bool
	Break bool // a line ends before it
}

// paragraphs breaks a filled template at its blank lines.
func paragraphs(pieces []piece, values Values) [][]span {
	var out [][]span
	var now []span
	end := func() {
		if len(now) > 0 {
			out, now = append(out, now), nil
		}
	}
	for _, p := range pieces {
		if p.variable != "" {
			now = append(now, span{Text: plain(values[p.variable]), Code: p.variable == Code, Link: p.variable == Link})
			continue
		}
		lines := strings.Split(p.text, "\n")
		for i, line := range lines {
			switch breaks := i > 0 && len(now) > 0; {
			case line == "" && i > 0 && i < len(lines)-1:
				end()
			case line != "" || breaks:
				now = append(now, span{Text: line, Break: breaks})
			}
		}
	}
	end()
	return out
}

// layout is the one form of all HTML parts. The package escapes what is put into
// it, by where it is put.
func layout() *template.Template {
	return template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}">
<head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body style="font-family:sans-serif;line-height:1.5;max-width:36em">
{{- range .Paragraphs}}
<p>{{range .}}{{if .Break}}<br>{{end}}{{if .Code}}<strong style="font-family:monospace;font-size:120%">{{.Text}}</strong>{{else if .Link}}<a href="{{.Text}}">{{.Text}}</a>{{else}}{{.Text}}{{end}}{{end}}</p>
{{- end}}
</body>
</html>
`))
}
