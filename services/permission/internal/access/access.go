// Package access lists what checks answer one by one: what a subject may do it
// with, who may do it, and all that a subject may do.
//
// It finds candidates, by the grants that could reach, and asks package decide
// about each. So a list can be short of something that no grant names, and
// never shows what a check refuses. Grants name what other services own: what
// lies below a name is theirs to list, and this package says which names are
// covered as a whole.
//
// Lists are by name, and a page goes on behind a name; so grants that come and
// go between two pages shift nothing.
package access

import (
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
)

// maxChecked is how many candidates one page asks about. Most are listed.
const maxChecked = 2000

// Lists makes lists of states. All fields are required; it is safe for
// concurrent use.
type Lists struct {
	Rules      *decide.Rules
	Loader     *decide.Loader
	Conditions *condition.Programs
}

// State is one state of an organisation, for one transaction and goroutine.
type State struct {
	rules        *decide.Rules
	loader       *decide.Loader
	conditions   *condition.Programs
	reader       kv.Reader
	facts        decide.Facts
	organization string
	now          time.Time
}

// At returns the state of the organisation that the reader sees.
func (l *Lists) At(r kv.Reader, organization string, now time.Time) *State {
	return &State{
		rules: l.Rules, loader: l.Loader, conditions: l.Conditions,
		reader: r, facts: l.Loader.Snapshot(r), organization: organization, now: now,
	}
}

// ask answers one question.
func (s *State) ask(account, permission, resource string, attributes *permissionv1.Attributes) (decide.Answer, error) {
	return s.rules.Answer(s.facts, s.organization, decide.Question{
		Subject: account, Permission: permission, Resource: resource, Attributes: attributes,
	}, s.now)
}

// permission returns the permission of the name, or Invalid
// (PERMISSION_UNKNOWN): a list that is empty for a slip of the pen misleads.
func (s *State) permission(name string) (role.Permission, error) {
	p, known := s.loader.Roles.Catalogue().Lookup(name)
	if known && p.IsCustom() {
		declared, err := s.facts.Role(role.Declared(s.organization))
		if err != nil {
			return p, err
		}
		known = declared.Has(p)
	}
	if !known {
		return p, errs.InvalidField("permission", "PERMISSION_UNKNOWN", "name a permission of ListPermissions")
	}
	return p, nil
}

// gives reports whether a role has the permission.
func (s *State) gives(name string, p role.Permission) (bool, error) {
	set, err := s.facts.Role(name)
	return set.Has(p), err
}

// holds reports whether a grant with the condition counts. One that cannot be
// run says nothing, and so denies and does not allow (see package decide).
func (s *State) holds(expression string, deny bool, r condition.Request) bool {
	o, err := s.conditions.Run(s.facts.Context(), expression, r)
	return err == nil && o == condition.Met || deny && o == condition.Failed
}

// expired reports whether a grant with this Unix second as its end is over.
func (s *State) expired(second int64) bool { return second != 0 && s.now.Unix() >= second }

// above yields the name and all names above it, down to the first segment.
func above(name string) []string {
	names := []string{name}
	for {
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return names
		}
		name = name[:i]
		names = append(names, name)
	}
}

// within reports whether name is the resource or below it.
func within(name, resource string) bool {
	return name == resource || strings.HasPrefix(name, resource+"/")
}
