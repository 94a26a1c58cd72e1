package ownership

import (
	"strings"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// maxExamined is how many transfers that are not asked for a page looks at in
// vain.
const maxExamined = 200

// Query selects transfers, the newest first.
type Query struct {
	// Parent is an organisation, or one of its staff.
	Parent string
	Filter filter.Terms
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// ParseFilter reads the filter of a list of transfers. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	states := []string{stateName(pending), stateName(accepted), stateName(declined), stateName(cancelled), stateName(expired)}
	return filter.Parse(text,
		filter.Field{Name: "state", Type: filter.Enum, Values: states}, filter.Field{Name: "customer", Type: filter.String},
		filter.Field{Name: "from_owner", Type: filter.String}, filter.Field{Name: "to_owner", Type: filter.String})
}

func stateName(s identityv1.OwnershipTransfer_State) string {
	return strings.TrimPrefix(s.String(), "STATE_")
}

// Transfers returns a page of the transfers that q selects, and where to go on
// behind it, nil at the end. A page may have less than the limit, or nothing, and
// more behind it.
func (b *Book) Transfers(r kv.Reader, q Query) (found []*identityv1.OwnershipTransfer, next []byte, err error) {
	page, err := b.transfers.Select(r, q.scan(), maxExamined, q.selects)
	for _, rec := range page.Records {
		found = append(found, revise.View(rec))
	}
	return found, page.Next, err
}

// scan is what the narrowest condition finds.
func (q Query) scan() kv.Query {
	index, of := byTime, q.Parent
	if _, isOrganization := q.organization(); !isOrganization {
		index = byStaff
	}
	for _, by := range []struct{ field, index string }{{"from_owner", byStaff}, {"to_owner", byStaff}, {"customer", byCustomer}} {
		if t, ok := q.Filter.Lookup(by.field); ok && t.Text != "" {
			index, of = by.index, t.Text
		}
	}
	return kv.Query{Index: index, Prefix: kv.Key{kv.String(of)}, Reverse: true, After: q.After, Limit: q.Limit}
}

// organization returns the organisation that a query is about, and whether it is
// about all of it.
func (q Query) organization() (string, bool) {
	if o := resource.Parent(q.Parent); o != "" {
		return o, false
	}
	return q.Parent, true
}

func (q Query) selects(t *identityv1.OwnershipTransfer) bool {
	organization, all := q.organization()
	if resource.Parent(t.GetName()) != organization || !all && q.Parent != t.GetFromOwner() && q.Parent != t.GetToOwner() {
		return false
	}
	for _, term := range q.Filter {
		if value(t, term.Field) != term.Text {
			return false
		}
	}
	return true
}

func value(t *identityv1.OwnershipTransfer, field string) string {
	switch field {
	case "customer":
		return t.GetCustomer()
	case "from_owner":
		return t.GetFromOwner()
	case "to_owner":
		return t.GetToOwner()
	default:
		return stateName(t.GetState())
	}
}
