package decide

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Loader compiles subjects from the store.
type Loader struct {
	Grants   *grant.Grants
	Subjects *subject.Subjects
	Roles    *role.Roles
}

// Subject compiles one subject as the reader sees it.
func (l *Loader) Subject(r kv.Reader, name string) (*Subject, error) {
	var facts subject.Facts
	if _, _, isAccount := authn.ParseName(name); isAccount {
		var err error
		if facts, err = l.Subjects.Facts(r, name); err != nil {
			return nil, err
		}
	}
	var holds []Hold
	for g, err := range l.Grants.Of(r, name) {
		if err != nil {
			return nil, err
		}
		holds = append(holds, Hold{
			Resource: g.GetResource(), Role: g.GetRole(), Grant: g.GetName(), Expires: g.GetExpireTime().GetSeconds(),
		})
	}
	return Compile(name, facts, holds), nil
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
