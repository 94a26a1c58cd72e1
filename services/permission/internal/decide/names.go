package decide

import (
	"time"
	"unique"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/services/permission/internal/people/qualification"
)

// Name is a name by which an account holds grants.
type Name struct {
	Name string
	// DenyOnly is a team in a chain that is not believed: what is allowed to
	// it does not count.
	DenyOnly bool
}

// Names returns the names by which an account of the organisation holds
// grants: its own, its teams and those above them, its segments and classes;
// and last that of the grants to all holders (subject.AllHolders), which reach
// the account when it is one. There are none for any other name.
//
// It is for those who explain and list. What the grants come to is for Answer
// to say.
func (d *Rules) Names(facts Facts, organization, account string) ([]Name, error) {
	kind, home, ok := authn.ParseName(account)
	if !ok || kind == authn.System || home != organization {
		return nil, nil
	}
	own, err := facts.Subject(account)
	if err != nil {
		return nil, err
	}
	q := query{rules: d, facts: facts, organization: organization}
	if err := q.gather(own, kind); err != nil {
		return nil, err
	}
	names := make([]Name, 0, len(q.sources)+1)
	for _, s := range q.sources {
		names = append(names, Name{s.subject.name, s.denyOnly})
	}
	return append(names, Name{Name: q.holders.name}), nil
}

// Qualified reports whether the account has each certificate that the role
// needs on the resource.
func (d *Rules) Qualified(facts Facts, organization, account, role, resource string, now time.Time) (bool, error) {
	required, err := facts.Subject(qualification.RequirementsOf(organization))
	if err != nil {
		return false, err
	}
	q := query{
		rules: d, facts: facts, organization: organization, until: now.Unix(), required: required,
		question: Question{Subject: account, Resource: resource},
	}
	return q.qualified(unique.Make(role), resource)
}

// Requiring returns the roles that need a certificate somewhere: what they give
// depends on who asks, and on what.
func (d *Rules) Requiring(facts Facts, organization string) (map[string]bool, error) {
	required, err := facts.Subject(qualification.RequirementsOf(organization))
	if err != nil {
		return nil, err
	}
	roles := make(map[string]bool)
	for _, h := range required.Holds() {
		roles[h.Role] = true
	}
	return roles, nil
}
