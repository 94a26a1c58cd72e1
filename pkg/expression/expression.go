// Package expression compiles conditions: expressions of the Common Expression
// Language (cel.dev) that are true or false of the variables they are given.
//
// What a service lets people write is checked when it is written: its types,
// and what it could cost at most. It is run under the same bound. Which
// variables and functions there are is the service's to say, and so is what
// becomes of an expression that fails. The package runs nothing itself.
package expression

import (
	"fmt"
	"math"
	"sync"
	"unicode/utf8"

	// getHours("Asia/Shanghai") must not depend on what the machine has.
	_ "time/tzdata"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"guildhall.dev/pkg/errs"
)

const (
	// MaxLength is the most characters of an expression.
	MaxLength = 2000
	// MaxCost bounds a run, in CEL's units: about the visits of the
	// expression's nodes and each tenth character that is compared. A run that
	// costs as much takes about a millisecond.
	MaxCost = 10_000
	// maxPrograms is how many expressions stay compiled. The conditions of an
	// organisation share a few.
	maxPrograms = 4096
	// maxDepth bounds parentheses in one another.
	maxDepth = 64
)

// Config says what a Language needs, all of it.
type Config struct {
	// Options declare the variables and functions.
	Options []cel.EnvOption
	// Field is where a request carries the expression. Invalid and TooCostly
	// are the reasons of errors on it.
	Field, Invalid, TooCostly string
}

// Language compiles expressions, each text once. It is safe for concurrent use.
type Language struct {
	cfg Config
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

// New returns a language without any programs.
func New(cfg Config) (*Language, error) {
	env, err := cel.NewEnv(append([]cel.EnvOption{
		// Numbers of JSON are doubles: level >= 3 compares one with an int.
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.EnableMacroCallTracking(), // so that a part of an expression has a text
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
	}, cfg.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("expression: the environment: %w", err)
	}
	return &Language{cfg: cfg, env: env, compiled: make(map[string]compiled)}, nil
}

// Program returns the expression compiled. The error is Invalid on the
// language's field: the place of the fault in the expression, or that it could
// cost too much. Expressions that come from a store were checked when they were
// written, but perhaps by another version.
func (l *Language) Program(expression string) (cel.Program, error) {
	l.mu.RLock()
	known, ok := l.compiled[expression]
	l.mu.RUnlock()
	if ok {
		return known.program, known.err
	}
	var fresh compiled
	fresh.program, fresh.err = l.compile(expression)
	l.mu.Lock()
	defer l.mu.Unlock()
	for other := range l.compiled {
		if len(l.compiled) < maxPrograms {
			break
		}
		delete(l.compiled, other) // any: the order of a map is random
	}
	l.compiled[expression] = fresh
	return fresh.program, fresh.err
}

func (l *Language) compile(expression string) (cel.Program, error) {
	checked, err := l.check(expression)
	if err != nil {
		return nil, err
	}
	cost, err := l.env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, l.invalid("what the expression costs cannot be said: " + short(err.Error()))
	}
	if cost.Max > MaxCost {
		return nil, l.tooCostly(cost.Max)
	}
	program, err := l.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, l.invalid(short(err.Error()))
	}
	return program, nil
}

// Parse returns the expression's tree. Its error is that of Program, but for
// the cost.
func (l *Language) Parse(expression string) (*ast.AST, error) {
	checked, err := l.check(expression)
	if err != nil {
		return nil, err
	}
	return checked.NativeRep(), nil
}

func (l *Language) check(expression string) (*cel.Ast, error) {
	if n := utf8.RuneCountInString(expression); n == 0 || n > MaxLength || !utf8.ValidString(expression) {
		return nil, l.invalid(fmt.Sprintf("send an expression of 1 to %d characters", MaxLength))
	}
	checked, issues := l.env.Compile(expression)
	if issues.Err() != nil {
		return nil, l.invalid(describe(issues))
	}
	if out := checked.OutputType(); !out.IsExactType(cel.BoolType) {
		return nil, l.invalid(fmt.Sprintf("the expression is of type %s; it has to be of type bool, as a comparison is", out))
	}
	return checked, nil
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

func (l *Language) invalid(description string) error {
	return errs.InvalidField(l.cfg.Field, l.cfg.Invalid, description)
}

func (l *Language) tooCostly(cost uint64) error {
	could := fmt.Sprintf("up to %d units", cost)
	if cost > math.MaxUint32 {
		could = "without bound"
	}
	return errs.InvalidField(l.cfg.Field, l.cfg.TooCostly,
		fmt.Sprintf("the expression could cost %s of work, and %d is the most; compare less, and put fewer loops in one another", could, MaxCost))
}
