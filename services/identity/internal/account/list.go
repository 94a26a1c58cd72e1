package account

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Query selects the accounts of one kind and organisation, by name.
type Query struct {
	Kind         authn.Kind
	Organization string
	// Filter is one condition, or none.
	Filter Filter
	// ShowDeleted includes deleted accounts.
	ShowDeleted bool
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// Filter is one condition that an index serves. The zero Filter selects all.
type Filter struct{ Field, Value string }

// ParseFilter reads the filter of a List request. The error is Invalid
// (FILTER_INVALID): it names no condition that an index serves, or several.
func ParseFilter(kind authn.Kind, text string) (Filter, error) {
	fields := []filter.Field{
		{Name: byState, Type: filter.Enum, Values: []string{StateName(pending), StateName(active), StateName(suspended), StateName(gone)}},
		{Name: byEmail, Type: filter.String},
	}
	if kind == authn.Customer {
		fields = append(fields, filter.Field{Name: byPhone, Type: filter.String},
			filter.Field{Name: byExternalID, Type: filter.String}, filter.Field{Name: byCountry, Type: filter.String},
			filter.Field{Name: byTag, Type: filter.String})
	}
	terms, err := filter.Parse(text, fields...)
	if err != nil || len(terms) == 0 {
		return Filter{}, err
	}
	if len(terms) > 1 {
		return Filter{}, errs.InvalidField("filter", "FILTER_INVALID", "send one condition; they cannot be joined here")
	}
	f := Filter{Field: terms[0].Field, Value: terms[0].Text}
	if f.Field == byEmail {
		f.Value = FoldEmail(f.Value)
	}
	return f, nil
}

// List returns a page of the accounts that q selects, by name, and where to go
// on behind it, nil at the end.
func (b *Book) List(r kv.Reader, q Query) ([]kv.Record[*storev1.Account], []byte, error) {
	switch q.Filter.Field {
	case byEmail, byPhone, byExternalID:
		records, err := b.lookup(r, q)
		return records, nil, err
	}
	return b.scan(r, q)
}

// lookup serves the unique indexes, which hold one account at most.
func (b *Book) lookup(r kv.Reader, q Query) ([]kv.Record[*storev1.Account], error) {
	if q.Filter.Value == "" {
		return nil, nil
	}
	rec, found, err := b.table(q.Kind).FindBy(r, q.Filter.Field, kv.Key{kv.String(q.Organization), kv.Personal(q.Filter.Value)})
	if err != nil || !found || deleted(rec.Value) && !q.ShowDeleted {
		return nil, err
	}
	return []kv.Record[*storev1.Account]{rec}, nil
}

func (b *Book) scan(r kv.Reader, q Query) ([]kv.Record[*storev1.Account], []byte, error) {
	from := kv.Query{Index: q.Filter.Field, Prefix: kv.Key{kv.String(q.Organization)}, After: q.After}
	switch {
	case q.Filter.Field != "":
		from.Prefix = from.Prefix.With(kv.String(q.Filter.Value))
	case !q.ShowDeleted:
		from.Index = byLive
	}
	var out []kv.Record[*storev1.Account]
	for rec, err := range b.table(q.Kind).Scan(r, from) {
		if err != nil {
			return nil, nil, err
		}
		// Deleted ones lie among the others only where a condition selects
		// them, and are few: they are purged.
		if deleted(rec.Value) && !q.ShowDeleted {
			continue
		}
		if len(out) == q.Limit {
			return out, out[len(out)-1].Position, nil
		}
		out = append(out, rec)
	}
	return out, nil, nil
}

// FindByEmail returns the account of the kind that has the mail address, and
// whether there is one.
func (b *Book) FindByEmail(r kv.Reader, kind authn.Kind, organization, email string) (*storev1.Account, bool, error) {
	email = FoldEmail(email)
	if email == "" {
		return nil, false, nil
	}
	rec, found, err := b.table(kind).FindBy(r, byEmail, kv.Key{kv.String(organization), kv.Personal(email)})
	return rec.Value, found, err
}

// Live returns a page of an organisation's customers that are not deleted, by
// name, and where to go on behind it, nil at the end.
func (b *Book) Live(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.Account, []byte, error) {
	page, err := b.customers.List(r, kv.Query{Index: byLive, Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	out := make([]*storev1.Account, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, err
}
