package decide_test

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// model is an organisation as a list of facts.
type model struct {
	organization string
	grants       []fact
	members      map[string][]string // account -> teams
	denied       map[string]bool     // accounts
	roles        map[string][]string // custom role -> permissions
}

// fact is one grant.
type fact struct {
	subject, role, resource string
	expires                 int64
}

// allowed is the reference: it reads the rules of package decide word by word
// over the lists, and knows no compiled form. It is slow and plain.
func (m *model) allowed(roles *role.Roles, q decide.Question, now time.Time) bool {
	if !strings.HasPrefix(q.Subject, m.organization+"/") || m.denied[q.Subject] {
		return false
	}
	resource := q.Resource
	if strings.HasSuffix(resource, "/-") {
		segments := strings.Split(resource, "/")
		resource = strings.Join(segments[:len(segments)-2], "/")
	}
	if resource != "installation" && resource != m.organization && !strings.HasPrefix(resource, m.organization+"/") {
		return false
	}
	if covers(q.Subject, resource) && m.contains(roles, role.Self, q.Permission) {
		return true
	}
	names := append([]string{q.Subject}, m.members[q.Subject]...)
	switch strings.Split(q.Subject, "/")[2] {
	case "staff":
		names = append(names, m.organization+"/allStaff")
	case "customers":
		names = append(names, m.organization+"/allCustomers")
	}
	for _, g := range m.grants {
		if slices.Contains(names, g.subject) && covers(g.resource, resource) &&
			(g.expires == 0 || now.Before(time.Unix(g.expires, 0))) && m.contains(roles, g.role, q.Permission) {
			return true
		}
	}
	return false
}

// covers reports whether a grant on upper counts on name.
func covers(upper, name string) bool { return name == upper || strings.HasPrefix(name, upper+"/") }

func (m *model) contains(roles *role.Roles, name, permission string) bool {
	p, known := roles.Catalogue().Lookup(permission)
	if !known {
		return false
	}
	if !role.IsBuiltIn(name) {
		return slices.Contains(m.roles[name], permission)
	}
	set, _ := roles.BuiltIn(name)
	return set.Has(p)
}

// facts compiles the model.
func (m *model) facts(roles *role.Roles) *facts {
	return &facts{model: m, roles: roles, compiled: make(map[string]*decide.Subject)}
}

type facts struct {
	model    *model
	roles    *role.Roles
	compiled map[string]*decide.Subject
}

func (f *facts) Subject(name string) (*decide.Subject, error) {
	if s, ok := f.compiled[name]; ok {
		return s, nil
	}
	var holds []decide.Hold
	for _, g := range f.model.grants {
		if g.subject == name {
			holds = append(holds, decide.Hold{Resource: g.resource, Role: g.role, Expires: g.expires, Grant: "g"})
		}
	}
	s := decide.Compile(name, subject.Facts{Denied: f.model.denied[name], Teams: f.model.members[name]}, holds)
	f.compiled[name] = s
	return s, nil
}

func (f *facts) Role(name string) (role.Set, error) {
	if set, ok := f.roles.BuiltIn(name); ok {
		return set, nil
	}
	return f.roles.Catalogue().Of(f.model.roles[name]), nil
}

func noFacts() subject.Facts { return subject.Facts{} }
