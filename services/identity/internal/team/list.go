package team

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Names of the conditions of a Filter; byParent is also an index.
const (
	byParent     = "parent"
	byAncestor   = "ancestor"
	byDescendant = "descendant"
)

// Filter is one condition on where teams are. The zero Filter selects all.
type Filter struct{ field, team string }

// ParseFilter reads the filter of ListTeams. The error is Invalid
// (FILTER_INVALID): it names no condition on a place, or several.
func ParseFilter(text string) (Filter, error) {
	terms, err := filter.Parse(text, filter.Field{Name: byParent, Type: filter.String},
		filter.Field{Name: byAncestor, Type: filter.String}, filter.Field{Name: byDescendant, Type: filter.String})
	if err != nil || len(terms) == 0 {
		return Filter{}, err
	}
	if len(terms) > 1 {
		return Filter{}, errs.InvalidField("filter", "FILTER_INVALID", "send one condition; they cannot be joined here")
	}
	return Filter{field: terms[0].Field, team: terms[0].Text}, nil
}

// Query selects teams of an organisation, by name.
type Query struct {
	Organization string
	Filter       Filter
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// List returns a page of the teams that q selects, by name, and where to go on
// behind it, nil at the end. All below a team are found anew for each page:
// that costs as much as there are, and a team that moves meanwhile takes no
// other's place on a page.
func (b *Book) List(r kv.Reader, q Query) ([]*identityv1.Team, []byte, error) {
	switch q.Filter.field {
	case byAncestor, byDescendant:
		records, err := b.related(r, q)
		if err != nil {
			return nil, nil, err
		}
		out, next := cut(records, q)
		return out, next, nil
	}
	from := kv.Query{Prefix: kv.Key{kv.String(q.Organization)}, After: q.After, Limit: q.Limit}
	if q.Filter.field == byParent {
		from.Index, from.Prefix = byParent, parentKey(q.Organization, q.Filter.team)
	}
	page, err := b.teams.List(r, from)
	if err != nil {
		return nil, nil, err
	}
	return views(page.Records), page.Next, nil
}

// related returns all teams below or above the one that the filter names, by
// name; none of one that is not there.
func (b *Book) related(r kv.Reader, q Query) (out []kv.Record[*identityv1.Team], err error) {
	if !Pattern.Matches(q.Filter.team) || resource.Parent(q.Filter.team) != q.Organization {
		return nil, nil
	}
	if q.Filter.field == byAncestor {
		levels, err := b.below(r, q.Filter.team)
		out = slices.Concat(levels...)
		sortByName(out)
		return out, err
	}
	names, err := b.above(r, q.Filter.team)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys := make([]kv.Key, len(names))
	for i, name := range names {
		keys[i] = key(name)
	}
	out, err = b.teams.GetMany(r, keys)
	sortByName(out)
	return out, err
}

func sortByName(records []kv.Record[*identityv1.Team]) {
	slices.SortFunc(records, func(a, b kv.Record[*identityv1.Team]) int {
		return strings.Compare(a.Value.GetName(), b.Value.GetName())
	})
}

// cut returns the page of records that q wants. Its position is a name.
func cut(records []kv.Record[*identityv1.Team], q Query) ([]*identityv1.Team, []byte) {
	after := string(q.After)
	first, _ := slices.BinarySearchFunc(records, after, func(rec kv.Record[*identityv1.Team], name string) int {
		if rec.Value.GetName() <= name {
			return -1
		}
		return 1
	})
	rest := records[first:]
	if len(rest) <= q.Limit {
		return views(rest), nil
	}
	return views(rest[:q.Limit]), []byte(rest[q.Limit-1].Value.GetName())
}

func views(records []kv.Record[*identityv1.Team]) []*identityv1.Team {
	out := make([]*identityv1.Team, len(records))
	for i, rec := range records {
		out[i] = revise.View(rec)
	}
	return out
}
