package conf

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// masked is how a secret is printed.
const masked = "****"

// Print writes the sections as YAML with secrets masked: what `config print`
// and /configz show.
func Print(w io.Writer, sections ...Section) error { return emit(w, sections, false) }

// Default writes the sections as Print does, with each key's doc, type and
// environment variable as comments: a file to start from. Pass sections that
// were not loaded.
func Default(w io.Writer, sections ...Section) error { return emit(w, sections, true) }

func emit(w io.Writer, sections []Section, comments bool) error {
	s, err := newSchema(sections)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, name := range strings.Split(sectionNames(sections), ", ") {
		if comments && i > 0 {
			b.WriteByte('\n')
		}
		s.branchTo(&b, name, comments)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// branchTo writes the fields under a path: its own first, then its branches.
func (s *schema) branchTo(b *strings.Builder, path string, comments bool) {
	depth := strings.Count(path, ".")
	indent := strings.Repeat("  ", depth)
	if doc := s.parents[path]; comments && doc != "" {
		fmt.Fprintf(b, "%s# %s\n", indent, doc)
	}
	fmt.Fprintf(b, "%s%s:\n", indent, path[strings.LastIndex(path, ".")+1:])
	seen := map[string]bool{}
	for _, f := range s.fields {
		rest, ok := strings.CutPrefix(f.path, path+".")
		if !ok {
			continue
		}
		child, _, deeper := strings.Cut(rest, ".")
		switch {
		case !deeper:
			f.writeTo(b, indent+"  ", comments)
		case !seen[child]:
			seen[child] = true
			s.branchTo(b, path+"."+child, comments)
		}
	}
}

func (f *field) writeTo(b *strings.Builder, indent string, comments bool) {
	name := f.path[strings.LastIndex(f.path, ".")+1:]
	if comments {
		note := typeName(f.value.Type())
		if len(f.enum) > 0 {
			note = strings.Join(f.enum, " | ")
		}
		fmt.Fprintf(b, "%s# %s (%s; %s)\n", indent, f.doc, note, envName(f.path))
	}
	if isMap(f.value.Type()) && f.value.Len() > 0 {
		fmt.Fprintf(b, "%s%s:\n", indent, name)
		for _, key := range slices.Sorted(mapKeys(f.value)) {
			value := f.mask(f.value.MapIndex(reflect.ValueOf(key)).String())
			fmt.Fprintf(b, "%s  %s: %s\n", indent, quote(key), quote(value))
		}
		return
	}
	fmt.Fprintf(b, "%s%s: %s\n", indent, name, f.masked())
}

func mapKeys(v reflect.Value) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, k := range v.MapKeys() {
			if !yield(k.String()) {
				return
			}
		}
	}
}

// masked returns the value in YAML's flow style, secrets hidden.
func (f *field) masked() string { return f.flow(f.value) }

func (f *field) flow(v reflect.Value) string {
	t := v.Type()
	switch {
	case t == durationType:
		return durationText(time.Duration(v.Int()))
	case t == sizeType:
		return Size(v.Int()).String()
	case isMap(t):
		return "{}"
	case t.Kind() == reflect.Slice && !isText(t):
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = f.flow(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case isStruct(t):
		var parts []string
		for i := range v.NumField() {
			sf := t.Field(i)
			if name, _, _ := strings.Cut(sf.Tag.Get("yaml"), ","); name != "" && sf.IsExported() {
				inner := &field{secret: f.secret}
				if sf.Tag.Get("secret") != "" {
					inner.secret = secretAll
				}
				parts = append(parts, name+": "+inner.flow(v.Field(i)))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case isText(t):
		return quote(f.mask(textOf(v)))
	case t.Kind() == reflect.String:
		return quote(f.mask(v.String()))
	}
	if f.secret != secretNo {
		return quote(masked)
	}
	return fmt.Sprint(v.Interface())
}

// durationText leaves the zero parts out of "1h0m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func textOf(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}

// mask hides a secret. An empty value is shown: that it is not set is worth
// knowing.
func (f *field) mask(text string) string {
	switch {
	case text == "" || f.secret == secretNo:
		return text
	case f.secret == secretURL:
		return maskURL(text)
	}
	return masked
}

// holdsSecret reports whether a value, or one of a list's, would be masked.
func (f *field) holdsSecret(text string) bool {
	parts := []string{text}
	if f.value.Kind() == reflect.Slice {
		parts = strings.Split(text, ",")
	}
	return slices.ContainsFunc(parts, func(part string) bool {
		return strings.Contains(f.mask(strings.TrimSpace(part)), masked)
	})
}

// maskURL hides the password of a URL, also one among its parameters. What is
// no URL is hidden whole: it may be a DSN of another form.
func maskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return masked
	}
	shown := u.Scheme + "://"
	if name := u.User.Username(); name != "" {
		shown += name
	}
	if _, ok := u.User.Password(); ok {
		shown += ":" + masked
	}
	if u.User != nil {
		shown += "@"
	}
	shown += u.Host + u.Path
	var parameters []string
	for key, values := range u.Query() {
		value := strings.Join(values, ",")
		if strings.Contains(strings.ToLower(key), "pass") {
			value = masked
		}
		parameters = append(parameters, key+"="+value)
	}
	if len(parameters) > 0 {
		slices.Sort(parameters)
		shown += "?" + strings.Join(parameters, "&")
	}
	return shown
}

var plainText = regexp.MustCompile(`^[A-Za-z/.][\w./-]*$`)

// quote writes a string as a YAML scalar: plain where that is surely a string,
// else double-quoted, for which JSON's form is valid YAML.
func quote(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".", ".nan", ".inf":
		return strconv.Quote(s)
	}
	if plainText.MatchString(s) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
