package role

import (
	"strings"

	"guildhall.dev/pkg/authz"
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

// Number returns the number of a permission, and whether it is known.
func (c *Catalogue) Number(permission string) (int, bool) {
	n, ok := c.numbers[permission]
	return n, ok
}

// Of returns the set of the permissions named, without those that are not
// known here.
func (c *Catalogue) Of(permissions []string) Set {
	s := make(Set, (len(c.permissions)+63)/64)
	for _, p := range permissions {
		if n, ok := c.numbers[p]; ok {
			s[n/64] |= 1 << (n % 64)
		}
	}
	return s
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

// Set is a set of numbers of a Catalogue. It is read-only once made; the nil
// Set is empty.
type Set []uint64

// Has reports whether the number is in the set.
func (s Set) Has(number int) bool {
	return number>>6 < len(s) && s[number>>6]&(1<<(number&63)) != 0
}
