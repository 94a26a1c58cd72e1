package interaction

import (
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// maxExamined is how many interactions are looked at in vain for a page.
const maxExamined = 500

// The fields of a filter.
const (
	fieldKind    = "kind"
	fieldOutcome = "outcome"
	fieldStaff   = "staff"
	fieldStart   = "start_time"
)

// ParseFilter reads the filter of ListInteractions. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	return filter.Parse(text,
		filter.Field{Name: fieldKind, Type: filter.Enum, Values: filter.EnumNames(identityv1.Interaction_Kind_name, "KIND_")},
		filter.Field{Name: fieldOutcome, Type: filter.Enum, Values: filter.EnumNames(identityv1.Interaction_Outcome_name, "OUTCOME_")},
		filter.Field{Name: fieldStaff, Type: filter.String},
		filter.Field{Name: fieldStart, Type: filter.Time})
}

// Query selects interactions, those that began last first.
type Query struct {
	// Parent is a customer or an organisation.
	Parent string
	Filter filter.Terms
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// List returns a page of the interactions that q selects, and where to go on behind
// it, nil at the end. A page may have less than the limit and more behind it.
func (b *Book) List(r kv.Reader, q Query) ([]*identityv1.Interaction, []byte, error) {
	return revise.Views(b.interactions.Select(r, q.scan(), maxExamined, q.selects))
}

// Of returns a page of a customer's interactions in the order of their names, which no
// correction changes, and where to go on behind it, nil at the end.
func (b *Book) Of(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Interaction, []byte, error) {
	return revise.Views(b.interactions.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, After: after, Limit: limit}))
}

// scan serves the time, and whichever of customer and staff there is.
func (q Query) scan() kv.Query {
	scope := q.Parent
	if t, ok := q.Filter.Lookup(fieldStaff); ok && resource.Parent(q.Parent) == "" && resource.Parent(t.Text) == q.Parent {
		scope = t.Text
	}
	out := kv.Query{Index: byScope, Prefix: kv.Key{kv.String(scope)}, Reverse: true, After: q.After, Limit: q.Limit}
	from, until := q.Filter.TimeRange(fieldStart)
	if !from.IsZero() {
		out.From = kv.Key{kv.Time(from)}
	}
	if !until.IsZero() {
		out.Until = kv.Key{kv.Time(until)}
	}
	return out
}

// selects reports whether the terms that not every scan serves are true of an
// interaction. Of a customer as "staff" of an organisation, none is.
func (q Query) selects(i *identityv1.Interaction) bool {
	for _, term := range q.Filter {
		var is string
		switch term.Field {
		case fieldKind:
			is = kindName(i.GetKind())
		case fieldOutcome:
			is = outcomeName(i.GetOutcome())
		case fieldStaff:
			is = i.GetStaff()
		default:
			continue
		}
		if is != term.Text {
			return false
		}
	}
	return true
}
