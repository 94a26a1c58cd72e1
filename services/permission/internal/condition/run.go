package condition

import (
	"context"
	"errors"
	"maps"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/types/known/structpb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Outcome is what a run of an expression came to.
type Outcome uint8

const (
	// Failed says nothing of the request: a variable was absent or of another
	// type, or the run cost too much.
	Failed Outcome = iota
	// Met and NotMet are true and false.
	Met
	NotMet
)

// Request is what an expression is run on.
type Request struct {
	Time                      time.Time
	Subject, Resource, Action string
	// Attributes are what the caller sent; nil is nothing.
	Attributes *permissionv1.Attributes
	// Stored returns what is stored for a name, nil for nothing. It is called
	// only for what an expression looks at.
	Stored func(name string) (*structpb.Struct, error)
}

// Run runs an expression. The error is that of Stored, or that ctx has ended;
// the outcome is Failed with it.
func (p *Programs) Run(ctx context.Context, expression string, r Request) (Outcome, error) {
	program, err := p.language.Program(expression)
	if err != nil {
		return Failed, nil
	}
	v := &variables{request: r}
	return outcome(ctx, program, v, v)
}

// outcome runs a program on an activation of the variables.
func outcome(ctx context.Context, program cel.Program, on cel.Activation, v *variables) (Outcome, error) {
	result, _, err := program.ContextEval(ctx, on)
	switch {
	case v.err != nil:
		return Failed, v.err
	case ctx.Err() != nil:
		return Failed, context.Cause(ctx)
	case err != nil:
		return Failed, nil
	case result == types.True:
		return Met, nil
	case result == types.False:
		return NotMet, nil
	default:
		return Failed, nil
	}
}

// variables resolves the variables of one run.
type variables struct {
	request Request
	err     error // of Stored, which ResolveName cannot return
}

var _ cel.Activation = (*variables)(nil)

// Parent implements cel.Activation.
func (v *variables) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation. An attribute that was not sent is
// absent; properties that are not there are an empty map.
func (v *variables) ResolveName(name string) (any, bool) {
	a := v.request.Attributes
	switch name {
	case requestTime:
		return v.request.Time, true
	case requestAddress:
		return text(a.GetAddress())
	case requestMessageType:
		return text(a.GetMessageType())
	case requestCustomerLevel:
		return text(a.GetCustomerLevel())
	case subjectName:
		return v.request.Subject, true
	case resourceName:
		return v.request.Resource, true
	case actionName:
		return v.request.Action, true
	case subjectProperties:
		return v.properties(v.request.Subject, a.GetSubject())
	case resourceProperties:
		return v.properties(v.request.Resource, a.GetResource())
	case actionProperties:
		return orEmpty(a.GetAction()), true
	case contextVariable:
		return orEmpty(a.GetContext()), true
	}
	return nil, false
}

func text(s string) (any, bool) { return s, s != "" }

// properties returns what is stored for the name, under what was sent.
func (v *variables) properties(name string, sent *structpb.Struct) (any, bool) {
	if v.request.Stored == nil {
		return orEmpty(sent), true
	}
	stored, err := v.request.Stored(name)
	if err != nil {
		v.err = errors.Join(v.err, err)
		return nil, false
	}
	switch {
	case len(stored.GetFields()) == 0:
		return orEmpty(sent), true
	case len(sent.GetFields()) == 0:
		return stored, true
	}
	both := maps.Clone(stored.GetFields())
	maps.Copy(both, sent.GetFields())
	return &structpb.Struct{Fields: both}, true
}

func orEmpty(s *structpb.Struct) *structpb.Struct {
	if s == nil {
		return &structpb.Struct{}
	}
	return s
}
