package role

import (
	"iter"
	"slices"
	"strings"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/services/permission/internal/resourcetype"
)

// Catalogue numbers the permissions that the suite declares, so that a set of
// them is a few words of bits. It is read-only.
//
// The numbers are those of this binary: they are never stored or sent. A
// permission that another version of the suite declares has none here, and is
// denied here.
type Catalogue struct {
	permissions []authz.Permission
	numbers     map[string]int
}

// NewCatalogue numbers the permissions, which are in order of their names.
func NewCatalogue(permissions []authz.Permission) *Catalogue {
	c := &Catalogue{permissions: permissions, numbers: make(map[string]int, len(permissions))}
	for i, p := range permissions {
		c.numbers[p.Name] = i
	}
	return c
}

// Permissions returns all permissions by name; the slice is shared.
func (c *Catalogue) Permissions() []authz.Permission { return c.permissions }

// Lookup returns the permission of the name, and whether it is known: one that
// the suite declares, or a custom one in good form. Whether an organisation
// declares that one is not the catalogue's to know.
func (c *Catalogue) Lookup(name string) (Permission, bool) {
	if n, ok := c.numbers[name]; ok {
		return Permission{number: n}, true
	}
	if IsCustom(name) {
		return Permission{custom: name}, true
	}
	return Permission{}, false
}

// Of returns the set of the permissions named, without those that are not
// known here.
func (c *Catalogue) Of(permissions []string) Set {
	s := Set{bits: make([]uint64, (len(c.permissions)+63)/64)}
	for _, name := range permissions {
		switch p, known := c.Lookup(name); {
		case !known:
		case p.custom != "":
			s.custom = append(s.custom, name)
		default:
			s.bits[p.number/64] |= 1 << (p.number % 64)
		}
	}
	slices.Sort(s.custom)
	s.custom = slices.Compact(s.custom)
	return s
}

// Names yields the names of the permissions in the set: those that the suite
// declares in order, then the custom ones in order.
func (c *Catalogue) Names(s Set) iter.Seq[string] {
	return func(yield func(string) bool) {
		for number, p := range c.permissions {
			if s.Has(Permission{number: number}) && !yield(p.Name) {
				return
			}
		}
		for _, name := range s.custom {
			if !yield(name) {
				return
			}
		}
	}
}

// match returns the names of the permissions that a pattern stands for. A
// pattern is service.resources.verb, where "*" is any one part, and "*" at the
// end also all parts that follow.
func (c *Catalogue) match(pattern string) []string {
	var names []string
	want := strings.Split(pattern, ".")
	for _, p := range c.permissions {
		if matches(want, []string{p.Service, p.Resource, p.Verb}) {
			names = append(names, p.Name)
		}
	}
	return names
}

func matches(want, have []string) bool {
	if len(want) > len(have) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != have[i] {
			return false
		}
	}
	return len(want) == len(have) || want[len(want)-1] == "*"
}

// Permission is a permission that a Set can be asked for. Get one by
// Catalogue.Lookup; the zero Permission means nothing.
type Permission struct {
	number int
	custom string // its name, of a custom one
}

// IsCustom reports whether an organisation declares the permission, and not the
// suite.
func (p Permission) IsCustom() bool { return p.custom != "" }

// Set is a set of permissions of a Catalogue. It is read-only once made; the
// zero Set is empty.
type Set struct {
	bits   []uint64 // by the numbers of the catalogue
	custom []string // sorted
	// anyCustom says that every custom permission is in the set, also one that
	// is declared later. Names does not yield those.
	anyCustom bool
}

// Has reports whether the permission is in the set.
func (s Set) Has(p Permission) bool {
	if p.custom != "" {
		_, found := slices.BinarySearch(s.custom, p.custom)
		return found || s.anyCustom
	}
	return p.number>>6 < len(s.bits) && s.bits[p.number>>6]&(1<<(p.number&63)) != 0
}

// IsEmpty reports whether nothing is in the set.
func (s Set) IsEmpty() bool {
	return len(s.custom) == 0 && !s.anyCustom && !slices.ContainsFunc(s.bits, func(word uint64) bool { return word != 0 })
}

// Size returns about how many bytes of memory the set takes.
func (s Set) Size() int {
	const headers = 48
	size := headers + 8*len(s.bits)
	for _, name := range s.custom {
		size += 16 + len(name)
	}
	return size
}

// customPrefix begins the names of permissions that organisations make for
// resource types of their own.
const customPrefix = resourcetype.Prefix

// isCustomCollection reports whether a collection, as in "custom.records", is
// one that an organisation declares.
func isCustomCollection(name string) bool { return strings.HasPrefix(name, customPrefix) }

// IsCustom reports whether the name has the form of a custom permission:
// "custom.<collection>.<verb>", each in lowerCamelCase (AIP-122).
func IsCustom(name string) bool {
	rest, ok := strings.CutPrefix(name, customPrefix)
	if !ok || len(name) > maxCustom {
		return false
	}
	collection, verb, ok := strings.Cut(rest, ".")
	return ok && isWord(collection) && isWord(verb)
}

// maxCustom is the length of a permission's name that a question can have.
const maxCustom = 100

func isWord(s string) bool {
	for i := range len(s) {
		lower := 'a' <= s[i] && s[i] <= 'z'
		if !lower && (i == 0 || !('A' <= s[i] && s[i] <= 'Z' || '0' <= s[i] && s[i] <= '9')) {
			return false
		}
	}
	return s != ""
}
