package decide

import (
	"context"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Loader compiles subjects from the store. All fields are required.
type Loader struct {
	Grants     *grant.Grants
	Subjects   *subject.Subjects
	Roles      *role.Roles
	Properties *property.Properties
}

// Subject compiles one subject as the reader sees it.
func (l *Loader) Subject(r kv.Reader, name string) (*Subject, error) {
	grants := l.Grants.Of(r, name)
	if name == subject.AllHolders(subject.OrganizationOf(name)) {
		grants = l.Grants.OfHolders(r, subject.OrganizationOf(name))
	}
	facts, err := l.Subjects.Facts(r, name)
	if err != nil {
		return nil, err
	}
	var holds []Hold
	for g, err := range grants {
		if err != nil {
			return nil, err
		}
		holds = append(holds, HoldOf(g))
	}
	return Compile(name, facts, holds), nil
}

// HoldOf returns a grant as a check sees it.
func HoldOf(g *permissionv1.Grant) Hold {
	h := Hold{
		Resource: g.GetResource(), Role: g.GetRole(), Grant: g.GetName(), Expires: g.GetExpireTime().GetSeconds(),
		// An effect that this version does not know is no reason to allow.
		Deny:      g.GetEffect() != permissionv1.Effect_EFFECT_UNSPECIFIED && g.GetEffect() != permissionv1.Effect_EFFECT_ALLOW,
		Condition: g.GetCondition().GetExpression(),
	}
	if _, _, ok := subject.ParseHolders(g.GetSubject()); ok {
		h.Holders = g.GetSubject()
	}
	return h
}

// Snapshot returns the facts that the reader sees, for one transaction and one
// goroutine: for a rule inside a transaction, and for a check that memory
// cannot answer. What was compiled once is not compiled again.
func (l *Loader) Snapshot(r kv.Reader) Facts {
	return &snapshot{loader: l, reader: r, subjects: make(map[string]*Subject), roles: make(map[string]role.Set)}
}

type snapshot struct {
	loader   *Loader
	reader   kv.Reader
	subjects map[string]*Subject
	roles    map[string]role.Set
}

// Context implements Facts. A transaction that has ended says so at the next
// read; until then conditions are bounded by what they may cost.
func (s *snapshot) Context() context.Context { return context.Background() }

// Subject implements Facts.
func (s *snapshot) Subject(name string) (*Subject, error) {
	if known, ok := s.subjects[name]; ok {
		return known, nil
	}
	compiled, err := s.loader.Subject(s.reader, name)
	if err == nil {
		s.subjects[name] = compiled
	}
	return compiled, err
}

// Role implements Facts.
func (s *snapshot) Role(name string) (role.Set, error) {
	if known, ok := s.roles[name]; ok {
		return known, nil
	}
	set, err := s.loader.Roles.Set(s.reader, name)
	if err == nil {
		s.roles[name] = set
	}
	return set, err
}

// Properties implements Facts.
func (s *snapshot) Properties(name string) (*structpb.Struct, error) {
	return s.loader.Properties.Of(s.reader, name)
}
