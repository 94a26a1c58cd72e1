// Package filter reads the filter and order_by fields of List requests: the
// part of AIP-160 and AIP-132 that an index can serve.
//
// A filter is terms joined by AND; a term is field = value, for times also <,
// <=, > and >=, and for texts that are searched field : words. Fields are
// declared by each List method. OR, NOT, functions and wildcards are refused
// rather than served by reading everything.
//
//	state = ACTIVE AND create_time >= "2026-01-02T00:00:00Z"
//	display_name : "zhang wei"
package filter

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
)

// MaxLength is the most bytes of a filter or an order_by.
const MaxLength = 2048

// Type is what values a field takes.
type Type uint8

const (
	// String is any text.
	String Type = iota + 1
	// Enum is one of the field's Values, as the proto spells them.
	Enum
	// Bool is true or false.
	Bool
	// Int is a signed decimal number of 64 bits.
	Int
	// Time is an RFC 3339 timestamp, and takes the comparisons as well as =.
	Time
	// Words is a text that is searched for words and takes : (has) alone. How
	// words are found, the field's owner says.
	Words
)

// Field declares a field that a filter may name.
type Field struct {
	// Name is the field's path in the resource, as in "create_time".
	Name string
	Type Type
	// Values are the values of an Enum.
	Values []string
}

// Op is the operator of a term.
type Op string

// The operators. Fields of type Words take Has, and all others Equal; those of
// type Time take the comparisons too.
const (
	Equal          Op = "="
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
	Has            Op = ":"
)

// Term is one condition. Of the values only that of the field's type is set;
// Text is also the value of an Enum.
type Term struct {
	Field string
	Op    Op
	Text  string
	Bool  bool
	Int   int64
	Time  time.Time // UTC
}

// Terms are the conditions of a filter; all must hold.
type Terms []Term

// Parse reads a filter over the declared fields, in the order of its terms.
// The empty filter has none. A field stands in one term; one of type Time in
// one =, or in one lower and one upper bound. The error is Invalid
// (FILTER_INVALID) on field "filter" and names the byte, from 1, that is at
// fault.
func Parse(filter string, fields ...Field) (Terms, error) {
	if len(filter) > MaxLength {
		return nil, invalid(MaxLength, fmt.Sprintf("send at most %d bytes", MaxLength))
	}
	p := &parser{scanner: scanner{text: filter}, fields: fields}
	p.next()
	if p.token.kind == end {
		return nil, nil
	}
	var terms Terms
	for {
		at := p.token.pos
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		if terms.clash(t) {
			return nil, invalid(at, "the field "+t.Field+" has a condition like this already")
		}
		terms = append(terms, t)
		if p.token.kind == end {
			return terms, nil
		}
		if p.token.kind != word || p.token.text != "AND" {
			return nil, invalid(p.token.pos, "join conditions with AND; nothing else is supported")
		}
		p.next()
	}
}

func invalid(pos int, text string) error {
	text = fmt.Sprintf("at byte %d: %s", pos+1, text)
	return errs.New(errs.Invalid, "FILTER_INVALID", "the filter is not valid; "+text,
		errs.Field("filter", "FILTER_INVALID", text), errs.Meta("position", strconv.Itoa(pos+1)))
}

// Lookup returns the = term of the field, and whether there is one.
func (ts Terms) Lookup(field string) (Term, bool) {
	for _, t := range ts {
		if t.Field == field && t.Op == Equal {
			return t, true
		}
	}
	return Term{}, false
}

// TimeRange returns the bounds that the terms put on a field of type Time, as
// from <= t < until. A zero time is no bound.
func (ts Terms) TimeRange(field string) (from, until time.Time) {
	for _, t := range ts {
		if t.Field != field {
			continue
		}
		switch t.Op {
		case Equal:
			return t.Time, t.Time.Add(1)
		case Greater:
			from = t.Time.Add(1)
		case GreaterOrEqual:
			from = t.Time
		case Less:
			until = t.Time
		case LessOrEqual:
			until = t.Time.Add(1)
		}
	}
	return from, until
}

// clash reports whether ts has a term that bounds the field of t on the same
// side. Such a filter is a mistake or selects nothing, and an index serves
// one range.
func (ts Terms) clash(t Term) bool {
	for _, o := range ts {
		if o.Field != t.Field {
			continue
		}
		if o.Op == Equal || t.Op == Equal || strings.HasPrefix(string(o.Op), string(t.Op[0])) {
			return true
		}
	}
	return false
}

// EnumNames returns the Values of an Enum in the order of their numbers, without the
// prefix and the one that says nothing; of is the map by names in the generated code.
func EnumNames(of map[int32]string, prefix string) []string {
	numbers := slices.DeleteFunc(slices.Sorted(maps.Keys(of)), func(n int32) bool { return n == 0 })
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = strings.TrimPrefix(of[n], prefix)
	}
	return names
}
