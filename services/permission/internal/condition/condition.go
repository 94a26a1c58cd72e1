// Package condition compiles and runs the conditions of grants: expressions of
// the Common Expression Language (cel.dev) that are true or false of one
// request.
//
// An expression is checked when it is written: its types, and what it could
// cost at most. It is run under the same bound, and ends with the call that it
// is run for. What variables there are is said at message Condition of the
// API; the language's own functions and inNetwork are all that it can call, so
// that it is a function of its variables and of nothing else.
//
// A run has three outcomes and not two. That an expression failed, because
// something it needs is not known, is neither yes nor no: package decide says
// what becomes of it.
package condition

import (
	"fmt"
	"math"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"

	"guildhall.dev/pkg/errs"
)

const (
	// MaxLength is the most characters of an expression.
	MaxLength = 2000
	// MaxCost bounds a run, in CEL's units: about the visits of the
	// expression's nodes and each tenth character that is compared. A run that
	// costs as much takes about a millisecond.
	MaxCost = 10_000
	// maxPrograms is how many expressions stay compiled. The grants of an
	// organisation share a few.
	maxPrograms = 4096
)

// field is where a request carries the expression.
const field = "grant.condition.expression"

// Programs compiles expressions, each text once. It is safe for concurrent
// use.
type Programs struct {
	env *cel.Env

	mu       sync.RWMutex
	compiled map[string]compiled
}

// compiled is what became of an expression: a program, or the reason why there
// is none.
type compiled struct {
	program cel.Program
	err     error
}

// New returns programs without any.
func New() (*Programs, error) {
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("condition: the environment: %w", err)
	}
	return &Programs{env: env, compiled: make(map[string]compiled)}, nil
}

// Check returns Invalid on field "grant.condition.expression" for an expression
// that cannot be a condition: CONDITION_INVALID with the place of the fault in
// it, or CONDITION_TOO_COSTLY.
func (p *Programs) Check(expression string) error { return p.get(expression).err }

// get returns the expression compiled. Expressions that came from a store were
// checked when they were written, but perhaps by another version.
func (p *Programs) get(expression string) compiled {
	p.mu.RLock()
	known, ok := p.compiled[expression]
	p.mu.RUnlock()
	if ok {
		return known
	}
	var fresh compiled
	fresh.program, fresh.err = p.compile(expression)
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.compiled {
		if len(p.compiled) < maxPrograms {
			break
		}
		delete(p.compiled, other) // any: the order of a map is random
	}
	p.compiled[expression] = fresh
	return fresh
}

func (p *Programs) compile(expression string) (cel.Program, error) {
	if n := utf8.RuneCountInString(expression); n == 0 || n > MaxLength || !utf8.ValidString(expression) {
		return nil, invalid(fmt.Sprintf("send an expression of 1 to %d characters", MaxLength))
	}
	ast, issues := p.env.Compile(expression)
	if issues.Err() != nil {
		return nil, invalid(describe(issues))
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) {
		return nil, invalid(fmt.Sprintf("the expression is of type %s; it has to be of type bool, as a comparison is", out))
	}
	cost, err := p.env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, invalid("what the expression costs cannot be said: " + short(err.Error()))
	}
	if cost.Max > MaxCost {
		return nil, tooCostly(cost.Max)
	}
	program, err := p.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, invalid(short(err.Error()))
	}
	return program, nil
}

// describe returns the first fault and its place, which CEL counts in
// characters from 0.
func describe(issues *cel.Issues) string {
	all := issues.Errors()
	if len(all) == 0 {
		return short(issues.Err().Error())
	}
	first := all[0]
	if first.Location == nil || first.Location.Line() < 1 {
		return short(first.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, short(first.Message))
}

// short keeps a message that quotes the expression readable.
func short(message string) string {
	const most = 300
	if runes := []rune(message); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return message
}

func invalid(description string) error {
	return errs.InvalidField(field, "CONDITION_INVALID", description)
}

func tooCostly(cost uint64) error {
	could := fmt.Sprintf("up to %d units", cost)
	if cost > math.MaxUint32 {
		could = "without bound"
	}
	return errs.InvalidField(field, "CONDITION_TOO_COSTLY",
		fmt.Sprintf("the expression could cost %s of work, and %d is the most; compare less, and put fewer loops in one another", could, MaxCost))
}
