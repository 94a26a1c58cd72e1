package decide

import (
	"context"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Loader compiles subjects from the store. All fields but the last three are
// required.
type Loader struct {
	Grants     *grant.Grants
	Subjects   *subject.Subjects
	Roles      *role.Roles
	Properties *property.Properties
	// Qualifications are the requirements and certificates; see qualified.
	Qualifications *qualification.Qualifications
	// Separation returns an organisation's rules of separation, and Approvals
	// an account's approvals in force as holds; nil is for an organisation that
	// can have none.
	Separation func(r kv.Reader, organization string) ([]*permissionv1.SeparationRule, error)
	Approvals  func(r kv.Reader, account string) ([]Hold, error)
	// Fields returns an organisation's field policies; nil is for one that can
	// have none.
	Fields func(r kv.Reader, organization string) ([]*storev1.FieldPolicyRecord, error)
}

// Subject compiles one subject as the reader sees it.
func (l *Loader) Subject(r kv.Reader, name string) (*Subject, error) {
	if account, ok := subject.ParseApprovals(name); ok {
		return l.approvals(r, account)
	}
	switch owner, ofRequirements, ofCertificates := qualification.Owner(name); {
	case ofRequirements:
		return l.requirements(r, owner)
	case ofCertificates:
		return l.certificates(r, owner)
	}
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
	s := Compile(name, facts, holds)
	if name != subject.AllHolders(subject.OrganizationOf(name)) {
		return s, nil
	}
	return s, l.addRules(r, s)
}

// addRules gives the subject of all holder forms the rules that hold for the
// whole organisation.
func (l *Loader) addRules(r kv.Reader, s *Subject) error {
	organization := subject.OrganizationOf(s.name)
	if l.Separation != nil {
		rules, err := l.Separation(r, organization)
		if err != nil {
			return err
		}
		s.Separate(rules)
	}
	if l.Fields != nil {
		policies, err := l.Fields(r, organization)
		if err != nil {
			return err
		}
		s.Restrict(policies)
	}
	return nil
}

// approvals compiles the approvals in force of an account.
func (l *Loader) approvals(r kv.Reader, account string) (*Subject, error) {
	var holds []Hold
	if l.Approvals != nil {
		var err error
		if holds, err = l.Approvals(r, account); err != nil {
			return nil, err
		}
	}
	return Compile(subject.Approvals(account), subject.Facts{}, holds), nil
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
