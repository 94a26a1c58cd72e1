// Package jsonbody says of JSON that does not fit a message where the fault is
// and what would fit.
//
// protojson decides what fits: no unknown field, none twice, no second value
// after the first. Its errors are words for developers of Go programs, without
// the field and in a form that changes on purpose. So a body that it refuses is
// looked at once more, here, against the message's descriptor; one that it
// takes costs nothing extra.
package jsonbody

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
)

// Explain returns why a body does not fit the message: Invalid with reason
// TEXT_NOT_UTF8, JSON_MALFORMED, JSON_FIELD_UNKNOWN, JSON_FIELD_TWICE or
// JSON_VALUE_INVALID, the field in JSON's spelling where there is one, and
// line, column (both from 1, in bytes) and offset (from 0) as metadata. Values
// are never quoted. Of a name that is no field of the message elsewhere says what to do
// with it; "" where it belongs nowhere. cause goes to the log.
func Explain(body []byte, t protoreflect.MessageType, elsewhere func(name string) string, cause error) *errs.Error {
	if at := firstInvalid(body); at >= 0 {
		return fault{problem.TextNotUTF8, "", "the body must be UTF-8", at}.at(body, cause)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		at := len(body)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = max(int(syntax.Offset)-1, 0) // Offset counts the byte at fault
		}
		return fault{problem.JSONMalformed, "", "the body is not one valid JSON value", at}.at(body, cause)
	}
	if f := inMessage(body, 0, t.New(), ""); f != nil {
		if f.reason == problem.JSONFieldUnknown {
			f.message = cmp.Or(elsewhere(f.field), f.message)
		}
		return f.at(body, cause)
	}
	return fault{problem.JSONValueInvalid, "", "the body does not fit the request's schema", 0}.at(body, cause)
}

func firstInvalid(body []byte) int {
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRune(body[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// fault is what is wrong, and at which byte.
type fault struct {
	reason, field, message string
	offset                 int
}

func (f fault) at(body []byte, cause error) *errs.Error {
	before := body[:min(f.offset, len(body))]
	column := len(before) - bytes.LastIndexByte(before, '\n')
	e := errs.New(errs.Invalid, f.reason, f.message,
		errs.Meta("line", strconv.Itoa(bytes.Count(before, []byte("\n"))+1)),
		errs.Meta("column", strconv.Itoa(column)),
		errs.Meta("offset", strconv.Itoa(len(before))),
		errs.Cause(cause))
	if f.field != "" {
		errs.Field(f.field, f.reason, f.message)(e)
	}
	return e
}

// inMessage looks for a fault in the JSON of a message. offset is where it
// begins in the body, path the field it is the value of.
func inMessage(text []byte, offset int, m protoreflect.Message, path string) *fault {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return &fault{problem.JSONValueInvalid, path, "send a JSON object", offset + leadingSpace(text)}
	}
	seen := map[protoreflect.Name]bool{} // fields, and oneofs by their names
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil // malformed JSON was found before
		}
		key, _ := token.(string)
		at := offset + int(dec.InputOffset()) - len(key) - 2
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil
		}
		name := join(path, key)
		field := fieldOf(m.Descriptor(), key)
		if field == nil {
			return &fault{problem.JSONFieldUnknown, name, "there is no such field; leave it out or correct its name", at}
		}
		if taken(seen, field) {
			return &fault{problem.JSONFieldTwice, name, "send this field, or one of its alternatives, only once", at}
		}
		if f := inField(value, offset+int(dec.InputOffset())-len(value), m, field, name); f != nil {
			return f
		}
	}
	return nil
}

func leadingSpace(text []byte) int { return len(text) - len(bytes.TrimLeft(text, " \t\r\n")) }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func fieldOf(m protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if field := m.Fields().ByJSONName(key); field != nil {
		return field
	}
	return m.Fields().ByTextName(key)
}

func taken(seen map[protoreflect.Name]bool, field protoreflect.FieldDescriptor) bool {
	name := field.Name()
	if oneof := field.ContainingOneof(); oneof != nil {
		name = oneof.Name()
	}
	again := seen[name]
	seen[name] = true
	return again
}

// inField looks for a fault in a field's value. Messages of ours are looked
// into; of the rest protojson says whether the value as a whole is right.
func inField(text []byte, offset int, m protoreflect.Message, field protoreflect.FieldDescriptor, path string) *fault {
	invalid := &fault{problem.JSONValueInvalid, path, "send " + expected(field), offset}
	switch {
	case string(text) == "null":
		return nil // protojson reads null as "not set"
	case field.IsList() && isOurs(field.Message()):
		return inList(text, offset, m, field, path)
	case !field.IsList() && !field.IsMap() && isOurs(field.Message()):
		return inMessage(text, offset, m.NewField(field).Message(), path)
	}
	name, _ := json.Marshal(field.JSONName()) // a string always encodes
	alone := fmt.Appendf(nil, "{%s:%s}", name, text)
	if err := protojson.Unmarshal(alone, m.New().Interface()); err != nil {
		return invalid
	}
	return nil
}

// inList looks for a fault in a list of messages.
func inList(text []byte, offset int, m protoreflect.Message, field protoreflect.FieldDescriptor, path string) *fault {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return &fault{problem.JSONValueInvalid, path, "send a list", offset}
	}
	for i := 0; dec.More(); i++ {
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil
		}
		at := offset + int(dec.InputOffset()) - len(value)
		element := m.NewField(field).List().NewElement().Message()
		if f := inMessage(value, at, element, fmt.Sprintf("%s[%d]", path, i)); f != nil {
			return f
		}
	}
	return nil
}
