// Package resource reads and writes resource names after AIP-122:
// "organizations/acme/groups/g1".
//
// A name is the only handle that leaves a service, so it is checked here once
// and strictly: ASCII lower case only, because two names that look alike to a
// person, or equal after some proxy's normalisation, must never be two
// resources. The package knows no service; each declares its own patterns:
//
//	const Group = resource.Pattern("organizations/{organization}/groups/{group}")
package resource

import (
	"fmt"
	"strings"

	"guildhall.dev/pkg/errs"
)

// MaxIDLength is the most characters of an id, as for a DNS label (RFC 1035).
const MaxIDLength = 63

// Reason is the reason of every error of this package.
const Reason = "RESOURCE_NAME_INVALID"

// Pattern is the form of the names of one kind of resource: literal segments
// and ids in braces, between slashes. A literal may be last, as in a
// singleton "organizations/{organization}/settings" (AIP-156).
type Pattern string

// Parse returns the ids of name in the order of the pattern's braces. The
// error is Invalid (RESOURCE_NAME_INVALID) on the given field of the request.
func (p Pattern) Parse(field, name string) ([]string, error) {
	var ids []string
	if err := p.parse(field, name, &ids); err != nil {
		return nil, err
	}
	return ids, nil
}

// Check is Parse for who needs no ids.
func (p Pattern) Check(field, name string) error { return p.parse(field, name, nil) }

func (p Pattern) parse(field, name string, ids *[]string) error {
	if p.match(name, ids) {
		return nil
	}
	return errs.InvalidField(field, Reason, fmt.Sprintf("send a name of the form %s; ids are 1 to %d lower-case letters, digits and inner hyphens", p, MaxIDLength))
}

// Matches reports whether name has the form of the pattern.
func (p Pattern) Matches(name string) bool { return p.match(name, nil) }

// match adds the ids of a name of this form to those of a caller who wants them.
func (p Pattern) match(name string, ids *[]string) bool {
	pattern := string(p)
	for {
		want, restWant, moreWant := strings.Cut(pattern, "/")
		have, restHave, moreHave := strings.Cut(name, "/")
		switch {
		case moreWant != moreHave:
			return false
		case !strings.HasPrefix(want, "{"):
			if want != have {
				return false
			}
		case !ValidID(have):
			return false
		case ids != nil:
			*ids = append(*ids, have)
		}
		if !moreWant {
			return true
		}
		pattern, name = restWant, restHave
	}
}

// Format returns the name with the ids in place of the braces, in order. The
// ids are ones that Parse, CheckID or NewID gave; too few leave braces in the
// name, which then nothing parses.
func (p Pattern) Format(ids ...string) string {
	segments := strings.Split(string(p), "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") && len(ids) > 0 {
			segments[i], ids = ids[0], ids[1:]
		}
	}
	return strings.Join(segments, "/")
}

// Parent returns the name of the resource that holds name: all but its last
// collection and id. It is "" for a top-level name.
func Parent(name string) string {
	for range 2 {
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return ""
		}
		name = name[:i]
	}
	return name
}

// organizations is the collection that begins every tenant's names.
const organizations = "organizations/"

// Organization returns the id of the organisation (the tenant) that name
// belongs to, and whether name begins with a valid one.
func Organization(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, organizations)
	if !ok {
		return "", false
	}
	id, _, _ := strings.Cut(rest, "/")
	return id, ValidID(id)
}
