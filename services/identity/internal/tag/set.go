package tag

import (
	"fmt"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
)

// Bounds of the tags of one customer: so many, and so long together, since a
// page of customers has to stay small enough to be sent.
const (
	MaxOfCustomer = 50
	maxBytes      = 4 << 10
)

// CheckSet returns nil when a customer of the organisation may have all of the
// tags together. Errors, on the field, are Invalid: RESOURCE_NAME_INVALID,
// PARENT_MISMATCH for another organisation's tag, CLASSIFICATION_LIMIT for too
// many and TAGS_EXCLUSIVE for two of a group that allows one; and NotFound
// (TAG_NOT_FOUND).
func (b *Book) CheckSet(r kv.Reader, field, organization string, tags []string) error {
	if len(tags) > MaxOfCustomer || len(strings.Join(tags, "")) > maxBytes {
		return errs.InvalidField(field, "CLASSIFICATION_LIMIT",
			fmt.Sprintf("a customer has at most %d tags, and %d bytes of their names", MaxOfCustomer, maxBytes))
	}
	keys := make([]kv.Key, len(tags))
	groups := make(map[string]string)
	for i, name := range tags {
		if _, err := Pattern.Parse(field, name); err != nil {
			return err
		}
		group := resource.Parent(name)
		if resource.Parent(group) != organization {
			return errs.InvalidField(field, "PARENT_MISMATCH", "name tags of the customer's own organization")
		}
		if other, found := groups[group]; found {
			if err := b.checkTogether(r, field, group, other, name); err != nil {
				return err
			}
		}
		keys[i], groups[group] = key(name), name
	}
	found, err := b.tags.GetMany(r, keys)
	if err != nil {
		return err
	}
	for i, rec := range found {
		if !rec.Found() {
			return errs.NotFoundName("TAG_NOT_FOUND", tags[i])
		}
	}
	return nil
}

// Unite returns the tags of one customer and of another one together, sorted, without
// those of the other that exclude one of the first, which it returns apart.
func (b *Book) Unite(r kv.Reader, first, other []string) (all, left []string, err error) {
	all = slices.Clone(first)
	for _, name := range other {
		group, excluded := resource.Parent(name), false
		for _, has := range first {
			if excluded || has == name || resource.Parent(has) != group {
				continue
			}
			err := b.checkTogether(r, "tags", group, has, name)
			if err != nil && !errs.Is(err, errs.Invalid) {
				return nil, nil, err
			}
			excluded = err != nil
		}
		if excluded && !slices.Contains(first, name) {
			left = append(left, name)
		} else {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), left, nil
}

// checkTogether refuses two tags of an exclusive group.
func (b *Book) checkTogether(r kv.Reader, field, group, one, other string) error {
	rec, found, err := b.groups.Find(r, key(group))
	if err != nil || !found || !rec.Value.GetExclusive() {
		return err // of a group that is gone there are no tags
	}
	return errs.InvalidField(field, "TAGS_EXCLUSIVE",
		fmt.Sprintf("a customer has at most one tag of the group: %s or %s", Short(one), Short(other)))
}

// Short returns how rules spell a tag's name: "loyalty/gold".
func Short(name string) string {
	group := resource.Parent(name)
	id := strings.TrimPrefix(name, group+"/tags/")
	return group[strings.LastIndexByte(group, '/')+1:] + "/" + id
}
