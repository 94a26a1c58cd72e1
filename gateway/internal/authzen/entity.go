package authzen

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
)

// object is a JSON object by its members' names. A map and not a struct:
// encoding/json would take "Subject" for "subject", and two readers of one
// request must not see two different questions.
type object map[string]json.RawMessage

// readBody reads a request.
func readBody(body []byte) (object, error) {
	if !utf8.Valid(body) {
		return nil, errs.New(errs.Invalid, problem.TextNotUTF8, "the body must be UTF-8")
	}
	if !json.Valid(body) {
		return nil, errs.New(errs.Invalid, problem.JSONMalformed, "send one JSON object as the body")
	}
	return readObject("", body)
}

// readObject reads an object; field is its place in the request.
func readObject(field string, text json.RawMessage) (object, error) {
	var o object
	if !startsWith(text, '{') || json.Unmarshal(text, &o) != nil {
		return nil, wrongType(field, "send a JSON object")
	}
	return o, nil
}

func startsWith(text json.RawMessage, open byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == open
}

// has reports whether the object has the member. null is the same as nothing.
func (o object) has(name string) bool {
	text, ok := o[name]
	return ok && !bytes.Equal(bytes.TrimSpace(text), []byte("null"))
}

// object returns a member that has to be there and an object.
func (o object) object(name string) (object, error) {
	if !o.has(name) {
		return nil, missing(name)
	}
	return readObject(name, o[name])
}

// text returns a member that has to be there, a string and not empty; in is
// the place of the object in the request, "" for the request itself.
func (o object) text(in, name string) (string, error) {
	field := strings.TrimPrefix(in+"."+name, ".")
	if !o.has(name) {
		return "", missing(field)
	}
	var s string
	if !startsWith(o[name], '"') || json.Unmarshal(o[name], &s) != nil {
		return "", wrongType(field, "send a string")
	}
	if s == "" {
		return "", missing(field)
	}
	return s, nil
}

// values returns a member that may be there and then is an object of
// anything; nil without it.
func (o object) values(field, name string) (*structpb.Struct, error) {
	if !o.has(name) {
		return nil, nil
	}
	s := &structpb.Struct{}
	if !startsWith(o[name], '{') || s.UnmarshalJSON(o[name]) != nil {
		return nil, wrongType(field, "send a JSON object")
	}
	return s, nil
}

// entity is a subject, a resource or an action. An action's name is its id,
// and it has no type.
type entity struct {
	kind, id   string
	properties *structpb.Struct
}

// The members of a request that a question is made of.
const (
	subject      = "subject"
	action       = "action"
	resource     = "resource"
	surroundings = "context"
)

var questionParts = [...]string{subject, action, resource, surroundings}

// entity reads a subject, a resource or an action. With searched, its id is
// what is looked for: one that is sent is ignored (section 8.4).
func (o object) entity(name string, searched bool) (e entity, err error) {
	members, err := o.object(name)
	if err != nil {
		return entity{}, err
	}
	id := "id"
	if name == action {
		id = "name"
	} else if e.kind, err = members.text(name, "type"); err != nil {
		return entity{}, err
	}
	if !searched {
		if e.id, err = members.text(name, id); err != nil {
			return entity{}, err
		}
	}
	e.properties, err = members.values(name+".properties", "properties")
	return e, err
}

func missing(field string) error {
	const message = "this is required"
	return errs.New(errs.Invalid, reasonInvalid, "a required part of the request is missing: "+field,
		errs.Field(field, "REQUIRED", message))
}

func wrongType(field, description string) error {
	if field == "" {
		return errs.New(errs.Invalid, problem.JSONValueInvalid, description)
	}
	return errs.InvalidField(field, problem.JSONValueInvalid, description)
}

// reasonInvalid is the suite's reason for a request with fields at fault.
const reasonInvalid = "VALIDATION_FAILED"
