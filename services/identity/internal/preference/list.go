package preference

import (
	"cmp"
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// maxExamined is how many preferences are looked at in vain for a page.
const maxExamined = 500

// The fields of a filter.
const (
	fieldTopic  = "topic"
	fieldSource = "source"
)

// ParseFilter reads the filter of ListPreferences below a parent, a customer or an
// organisation. The error is Invalid (FILTER_INVALID).
func ParseFilter(parent, text string) (filter.Terms, error) {
	terms, err := filter.Parse(text,
		filter.Field{Name: fieldTopic, Type: filter.String},
		filter.Field{Name: fieldSource, Type: filter.Enum, Values: filter.EnumNames(identityv1.Preference_Source_name, "SOURCE_")})
	if err != nil {
		return nil, err
	}
	if _, ok := terms.Lookup(fieldTopic); !ok && !customerPattern.Matches(parent) {
		return nil, errs.InvalidField("filter", "FILTER_INVALID", `of an organization, say of which topic, as in topic = "hiking"`)
	}
	return terms, nil
}

// Query selects preferences.
type Query struct {
	// Parent is a customer, or an organisation: then Filter has a topic.
	Parent string
	Filter filter.Terms
	// Now is when they are to be as strong as they are shown.
	Now time.Time
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// List returns a page of the preferences that q selects, without evidence, and where to
// go on behind it, nil at the end. A page may have less than the limit and more behind
// it.
func (b *Book) List(r kv.Reader, q Query) ([]*identityv1.Preference, []byte, error) {
	scan := kv.Query{Prefix: kv.Key{kv.String(q.Parent)}, After: q.After, Limit: q.Limit}
	organization := q.Parent
	if customerPattern.Matches(q.Parent) {
		organization = resource.Parent(q.Parent)
	} else {
		topic, _ := q.Filter.Lookup(fieldTopic)
		scan.Index, scan.Prefix = byTopic, topicPrefix(q.Parent, topic.Text)
	}
	return b.page(r, organization, q.Now, scan, q.selects)
}

// page returns a page of those that are there and that a condition selects.
func (b *Book) page(r kv.Reader, organization string, now time.Time, scan kv.Query, selects func(*identityv1.Preference) bool) ([]*identityv1.Preference, []byte, error) {
	policy, err := b.Policies.Of(r, organization)
	if err != nil {
		return nil, nil, err
	}
	found, next, err := revise.Views(b.preferences.Select(r, scan, maxExamined, func(p *identityv1.Preference) bool {
		return there(policy, p, now) && selects(p)
	}))
	for i, p := range found {
		found[i] = shown(faded(policy, p, now))
	}
	return found, next, err
}

// Of returns a page of a customer's preferences with their evidence, in an order that
// stays, and where to go on behind it, nil at the end.
func (b *Book) Of(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Preference, []byte, error) {
	return revise.Views(b.preferences.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, After: after, Limit: limit}))
}

// selects reports whether the terms are true of a preference.
func (q Query) selects(p *identityv1.Preference) bool {
	for _, term := range q.Filter {
		is := p.GetTopic()
		if term.Field == fieldSource {
			is = identityv1.Preference_Source_name[int32(p.GetSource())][len("SOURCE_"):]
		}
		if is != term.Text {
			return false
		}
	}
	return true
}

// Recommend returns what a customer likes most now, the strongest first, at most so
// many; of equals the first by topic.
func (b *Book) Recommend(r kv.Reader, customer string, now time.Time, limit int) ([]*identityv1.Preference, error) {
	found, _, err := b.page(r, resource.Parent(customer), now, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: Most},
		func(p *identityv1.Preference) bool { return p.GetStrength() > 0 })
	slices.SortFunc(found, func(a, b *identityv1.Preference) int {
		return cmp.Or(cmp.Compare(b.GetStrength(), a.GetStrength()), cmp.Compare(a.GetTopic(), b.GetTopic()))
	})
	return found[:min(limit, len(found))], err
}
