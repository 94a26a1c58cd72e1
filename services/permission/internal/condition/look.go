package condition

import (
	"context"
	"slices"

	"cel.dev/cel-go/cel"
)

// Look is Run for an explanation: it also returns the variables that the
// expression asked for and that were absent, by name. They are names of the
// language and never values.
func (p *Programs) Look(ctx context.Context, expression string, r Request) (o Outcome, absent []string, err error) {
	program, err := p.language.Program(expression)
	if err != nil {
		return Failed, nil, nil
	}
	v := &observed{variables: variables{request: r}}
	if o, err = outcome(ctx, program, v, &v.variables); err != nil {
		return o, nil, err
	}
	slices.Sort(v.absent)
	return o, slices.Compact(v.absent), nil
}

// observed are variables that note which of them are absent.
type observed struct {
	variables
	absent []string
}

var _ cel.Activation = (*observed)(nil)

// ResolveName implements cel.Activation.
func (v *observed) ResolveName(name string) (any, bool) {
	value, ok := v.variables.ResolveName(name)
	if !ok {
		v.absent = append(v.absent, name)
	}
	return value, ok
}
