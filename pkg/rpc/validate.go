package rpc

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
)

// maxViolations bounds the faults named in one answer.
const maxViolations = 50

// Validator checks messages against the protovalidate rules in their protos.
// It is safe for concurrent use. Rules are compiled when a message type is
// first seen, so keep one for the life of the process.
type Validator struct {
	rules protovalidate.Validator
	times timekeeper
}

// Recognizer is an implementation of a gRPC service whose requests are so many,
// and so much alike, that it tells by itself that one breaks no rule of its
// proto. The validator looks at each field by reflection, which is a twentieth
// of what a permission check costs.
type Recognizer interface {
	// Recognizes reports whether the request certainly breaks no rule. When it
	// does not say so, the validator looks, and says what is wrong.
	Recognizes(request proto.Message) bool
}

// NewValidator returns a validator.
func NewValidator() (*Validator, error) {
	v, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("making the validator: %w", err)
	}
	return &Validator{rules: v}, nil
}

// Validate checks the whole message. The interceptors have done that to every
// request, but to an Update only within its mask: a handler calls it on the
// merged resource, where rules that span fields can be judged.
//
// The error is Invalid with reason VALIDATION_FAILED and a violation for each
// fault, whose reason is the rule's id in UPPER_SNAKE ("STRING_MIN_LEN").
//
// A time or duration that is none is one too (TIME_INVALID).
func (v *Validator) Validate(m proto.Message) error {
	if err := violations(v.rules.Validate(m)); err != nil {
		return err
	}
	return v.times.check(m)
}

// validateRequest is Validate, except that of a standard update's resource
// only the masked fields are checked.
func (v *Validator) validateRequest(method string, m proto.Message) error {
	shape, ok := updateOf(method, m.ProtoReflect().Descriptor())
	if !ok {
		return v.Validate(m)
	}
	filter, err := shape.filter(m.ProtoReflect())
	if err != nil {
		return err
	}
	if filter == nil {
		return v.Validate(m)
	}
	if err := violations(v.rules.Validate(m, protovalidate.WithFilter(filter))); err != nil {
		return err
	}
	return v.times.check(m)
}

func violations(err error) error {
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return fmt.Errorf("validating a message: %w", err) // a rule that does not compile or run
	}
	e := errs.New(errs.Invalid, "VALIDATION_FAILED", "the request breaks the rules of its fields")
	for _, v := range invalid.Violations[:min(len(invalid.Violations), maxViolations)] {
		field := protovalidate.FieldPathString(v.Proto.GetField())
		errs.Field(field, upperSnake(v.Proto.GetRuleId()), v.Proto.GetMessage())(e)
	}
	return e
}

// upperSnake turns a rule's id, as in "string.min_len", into a reason.
func upperSnake(id string) string {
	if id == "" {
		return "VALIDATION_FAILED"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		default:
			return '_'
		}
	}, id)
}
