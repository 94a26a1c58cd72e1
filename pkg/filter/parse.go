package filter

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type parser struct {
	scanner
	token  token
	fields []Field
}

func (p *parser) next() { p.token = p.scan() }

// term reads field operator value and leaves the token behind it current.
func (p *parser) term() (Term, error) {
	name, _, _ := strings.Cut(p.token.text, ":") // times hold colons: they are part of words
	i := slices.IndexFunc(p.fields, func(f Field) bool { return p.token.kind == word && f.Name == name })
	if i < 0 {
		return Term{}, invalid(p.token.pos, "name one of the fields "+names(p.fields))
	}
	field := p.fields[i]
	p.pos = p.token.pos + len(name)
	p.token = p.operator()
	if p.token.kind != operator {
		return Term{}, invalid(p.token.pos, "write an operator after "+field.Name)
	}
	t := Term{Field: field.Name, Op: Op(p.token.text)}
	if fault := field.refuses(t.Op); fault != "" {
		return Term{}, invalid(p.token.pos, fault)
	}
	p.next()
	if fault := p.value(field, &t); fault != "" {
		return Term{}, invalid(p.token.pos, fault)
	}
	p.next()
	return t, nil
}

// refuses returns why the field does not take the operator; "" when it does.
func (f Field) refuses(op Op) string {
	switch {
	case f.Type == Words && op != Has:
		return "the field " + f.Name + " takes : only"
	case f.Type == Time && op == Has:
		return "the field " + f.Name + " takes =, <, <=, > and >="
	case f.Type != Words && f.Type != Time && op != Equal:
		return "the field " + f.Name + " takes = only"
	}
	return ""
}

// value sets the value of t from the current token and returns what is wrong
// with it, never quoting it: it may be personal.
func (p *parser) value(f Field, t *Term) (fault string) {
	if p.token.kind == broken {
		return "close the quoted text; inside it write \\\" and \\\\ for \" and \\"
	}
	if p.token.kind != word && p.token.kind != quoted {
		return "write a value after the operator; quote it if it holds other than letters, digits and . _ - : +"
	}
	var err error
	switch f.Type {
	case Enum:
		if !slices.Contains(f.Values, p.token.text) {
			return f.Name + " is one of " + strings.Join(f.Values, ", ")
		}
		t.Text = p.token.text
	case Bool:
		if t.Bool = p.token.text == "true"; !t.Bool && p.token.text != "false" {
			return f.Name + " is true or false"
		}
	case Int:
		if t.Int, err = strconv.ParseInt(p.token.text, 10, 64); err != nil {
			return f.Name + " is a whole number"
		}
	case Time:
		if t.Time, err = time.Parse(time.RFC3339Nano, p.token.text); err != nil {
			return f.Name + " is an RFC 3339 time, as in 2026-01-02T15:04:05Z"
		}
		t.Time = t.Time.UTC()
	default:
		if !utf8.ValidString(p.token.text) {
			return "send UTF-8"
		}
		t.Text = p.token.text
	}
	return ""
}

func names(fields []Field) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Name
	}
	return strings.Join(out, ", ")
}

type kind uint8

const (
	end kind = iota
	word
	quoted
	operator
	broken // a quoted text without an end, or with an unknown escape
	other  // anything else
)

type token struct {
	kind kind
	text string
	pos  int // of its first byte, from 0
}

type scanner struct {
	text string
	pos  int
}

// operator is scan where an operator stands.
func (s *scanner) operator() token {
	s.skipSpace()
	if !strings.HasPrefix(s.text[s.pos:], ":") {
		return s.scan()
	}
	s.pos++
	return token{kind: operator, text: ":", pos: s.pos - 1}
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *scanner) scan() token {
	s.skipSpace()
	start := s.pos
	if start == len(s.text) {
		return token{kind: end, pos: start}
	}
	switch c := s.text[start]; {
	case wordByte(c):
		for s.pos < len(s.text) && wordByte(s.text[s.pos]) {
			s.pos++
		}
		return token{kind: word, text: s.text[start:s.pos], pos: start}
	case c == '"' || c == '\'':
		return s.quoted(c)
	case c == '=':
		s.pos++
		return token{kind: operator, text: "=", pos: start}
	case c == '<' || c == '>':
		s.pos++
		if strings.HasPrefix(s.text[s.pos:], "=") {
			s.pos++
		}
		return token{kind: operator, text: s.text[start:s.pos], pos: start}
	}
	s.pos++
	return token{kind: other, pos: start}
}

func (s *scanner) quoted(quote byte) token {
	start := s.pos
	var b strings.Builder
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		if c == quote {
			s.pos++
			return token{kind: quoted, text: b.String(), pos: start}
		}
		if c == '\\' {
			s.pos++
			if s.pos == len(s.text) || (s.text[s.pos] != quote && s.text[s.pos] != '\\') {
				break
			}
			c = s.text[s.pos]
		}
		b.WriteByte(c)
	}
	s.pos = len(s.text)
	return token{kind: broken, pos: start}
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-:+", c) >= 0
}
