package policy

import (
	"strings"

	"guildhall.dev/pkg/errs"
)

// maxFaults is how many faults of a document are told at once.
const maxFaults = 50

// Faults collects what is wrong with a document, so that its author hears of
// all of it and not of one fault after the other.
type Faults struct{ found []*errs.Error }

// Add keeps an error that is about the part of the document that field names,
// and returns any other: of the store, for one, or that the caller may not do
// this. nil is no fault.
func (f *Faults) Add(field string, err error) error {
	if err == nil {
		return nil
	}
	named := In(field, err)
	switch named.Kind {
	case errs.Invalid, errs.NotFound, errs.Exists, errs.Precondition:
		f.found = append(f.found, named)
		return nil
	case errs.Denied:
		return named
	}
	return err
}

// Err returns nil when nothing was found, a single fault as it is, and several
// as one Invalid error (POLICY_INVALID) with a violation for each.
func (f *Faults) Err() error {
	switch len(f.found) {
	case 0:
		return nil
	case 1:
		return f.found[0]
	}
	all := errs.New(errs.Invalid, "POLICY_INVALID", "the document has faults; see the violations, each names its place")
	for _, e := range f.found {
		all.Violations = append(all.Violations, e.Violations...)
	}
	all.Violations = all.Violations[:min(len(all.Violations), maxFaults)]
	return all
}

// In returns an error with the field of a document in place of the field of
// the single request in which it would be made: "policy.grants[3].role" for
// "grant.role".
func In(field string, err error) *errs.Error {
	named := *errs.From(err)
	violations := named.Violations
	named.Violations = nil
	for _, v := range violations {
		if _, rest, ok := strings.Cut(v.Field, "."); ok {
			v.Field = field + "." + rest
		} else {
			v.Field = field
		}
		named.Violations = append(named.Violations, v)
	}
	if named.Violations == nil {
		named.Violations = []errs.Violation{{Field: field, Reason: named.Reason, Description: named.Message}}
	}
	return &named
}
