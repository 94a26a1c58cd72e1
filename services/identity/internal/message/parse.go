package message

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// reasonInvalid is the reason of a template that is none.
const reasonInvalid = "MESSAGE_TEMPLATE_INVALID"

// maxSMS is the most characters of the template of an SMS.
const maxSMS = 500

// piece is a part of a template: a text, or a variable.
type piece struct{ text, variable string }

// parse takes a template apart. The error says in public words what is wrong
// with it.
func parse(text string) ([]piece, error) {
	var out []piece
	for text != "" {
		before, rest, found := strings.Cut(text, "{{")
		if before != "" {
			out = append(out, piece{text: before})
		}
		if !found {
			return out, nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, fmt.Errorf("a {{ is not followed by }}")
		}
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
			return nil, fmt.Errorf("between {{ and }} stands the name of a variable and nothing else")
		}
		out, text = append(out, piece{variable: name}), after
	}
	return out, nil
}

// check refuses a template that could not be sent, or that would show what it
// must not. The error is Invalid (MESSAGE_TEMPLATE_INVALID).
func check(t *identityv1.MessageTemplate) error {
	if err := checkForm(t); err != nil {
		return err
	}
	known := variables(t.GetKind())
	inSubject := slices.DeleteFunc(slices.Clone(known), isSecret)
	if err := checkPart("subject", t.GetSubject(), inSubject, nil); err != nil {
		return err
	}
	return checkPart("text", t.GetText(), known, required(t.GetKind()))
}

// checkForm is check but for variables.
func checkForm(t *identityv1.MessageTemplate) error {
	subject, text := t.GetSubject(), t.GetText()
	switch {
	case t.GetChannel() == SMS && subject != "":
		return invalid("subject", "an SMS has no subject")
	case t.GetChannel() == Email && strings.TrimSpace(subject) == "":
		return invalid("subject", "a mail needs a subject")
	case strings.ContainsFunc(subject, unicode.IsControl):
		return invalid("subject", "send one line, without control characters")
	case strings.TrimSpace(text) == "":
		return invalid("text", "a message needs a text")
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return invalid("text", "send text without control characters other than line feeds and tabs")
	case t.GetChannel() == SMS && utf8.RuneCountInString(text) > maxSMS:
		return invalid("text", fmt.Sprintf("the text of an SMS has at most %d characters", maxSMS))
	}
	return nil
}

func checkPart(field, text string, known, needed []string) error {
	pieces, err := parse(text)
	if err != nil {
		return invalid(field, err.Error())
	}
	has := make(map[string]bool)
	for _, p := range pieces {
		if p.variable == "" {
			continue
		}
		if !slices.Contains(known, p.variable) {
			return invalid(field, fmt.Sprintf("{{%s}} is not known here; there are %s", p.variable, list(known)))
		}
		has[p.variable] = true
	}
	for _, v := range needed {
		if !has[v] {
			return invalid(field, fmt.Sprintf("without {{%s}} the message is of no use", v))
		}
	}
	return nil
}

func list(variables []string) string { return "{{" + strings.Join(variables, "}}, {{") + "}}" }

func invalid(field, text string) error {
	return errs.InvalidField("message_template."+field, reasonInvalid, text)
}
