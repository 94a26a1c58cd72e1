// Package condition compiles and runs the conditions of grants: expressions of
// the Common Expression Language (cel.dev) that are true or false of one
// request.
//
// An expression is checked when it is written: its types, and what it could
// cost at most; see package expression. It is run under the same bound, and ends
// with the call that it is run for. What variables there are is said at message
// Condition of the API; the language's own functions and inNetwork are all that
// it can call, so that it is a function of its variables and of nothing else.
//
// A run has three outcomes and not two. That an expression failed, because
// something it needs is not known, is neither yes nor no: package decide says
// what becomes of it.
package condition

import (
	"fmt"

	"guildhall.dev/pkg/expression"
)

// Programs compiles expressions, each text once. It is safe for concurrent
// use.
type Programs struct {
	language *expression.Language
}

// New returns programs without any.
func New() (*Programs, error) {
	language, err := expression.New(expression.Config{
		Options: options(), Field: "grant.condition.expression",
		Invalid: "CONDITION_INVALID", TooCostly: "CONDITION_TOO_COSTLY",
	})
	if err != nil {
		return nil, fmt.Errorf("condition: %w", err)
	}
	return &Programs{language: language}, nil
}

// Check returns Invalid on field "grant.condition.expression" for an expression
// that cannot be a condition: CONDITION_INVALID with the place of the fault in
// it, or CONDITION_TOO_COSTLY.
func (p *Programs) Check(expression string) error {
	_, err := p.language.Program(expression)
	return err
}
