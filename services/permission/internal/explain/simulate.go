package explain

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// shown returns the name of a grant; of one that is not made, its place in the
// proposal, which stands where the id of another does.
func shown(organization, name string) string {
	if place, ok := strings.CutPrefix(name, organization+"/grants/"); ok && strings.Contains(place, "[") {
		return place
	}
	return name
}

// Proposal are changes that are not made.
type Proposal struct {
	Create []*permissionv1.Grant
	// Delete are names of grants.
	Delete []string
	Roles  []*permissionv1.Role
}

// Simulate answers questions as the reader sees the organisation, and as it
// would after the changes. Errors are those of grant.Check and of role.Propose,
// and NotFound (GRANT_NOT_FOUND), with the change as their field.
func (x *Explainer) Simulate(r kv.Reader, organization string, p Proposal, questions []decide.Question, now time.Time) (before, after []decide.Answer, err error) {
	facts := x.Loader.Snapshot(r)
	changed, err := x.propose(r, facts, organization, p, now)
	if err != nil {
		return nil, nil, err
	}
	for _, q := range questions {
		for _, side := range []struct {
			facts   decide.Facts
			answers *[]decide.Answer
		}{{facts, &before}, {changed, &after}} {
			a, err := x.Rules.Answer(side.facts, organization, q, now)
			if err != nil {
				return nil, nil, err
			}
			a.Grant = shown(organization, a.Grant)
			*side.answers = append(*side.answers, a)
		}
	}
	return before, after, nil
}

// proposed are facts with changes put over them.
type proposed struct {
	decide.Facts
	reader  kv.Reader
	roles   *role.Proposed
	created map[string][]decide.Hold // by the name that they are kept under
	deleted map[string]bool          // names of grants

	subjects map[string]*decide.Subject
	sets     map[string]role.Set
}

func (x *Explainer) propose(r kv.Reader, facts decide.Facts, organization string, p Proposal, now time.Time) (*proposed, error) {
	f := &proposed{
		Facts: facts, reader: r, created: make(map[string][]decide.Hold), deleted: make(map[string]bool),
		subjects: make(map[string]*decide.Subject), sets: make(map[string]role.Set),
	}
	for i, name := range p.Delete {
		if _, err := x.Loader.Grants.Get(r, name); err != nil {
			return nil, placed(fmt.Sprintf("delete_grants[%d]", i), err)
		}
		f.deleted[name] = true
	}
	var err error
	for i, one := range p.Roles {
		if f.roles, err = x.Loader.Roles.Propose(r, one); err != nil {
			return nil, placed(fmt.Sprintf("roles[%d]", i), err)
		}
	}
	if f.roles, err = x.Loader.Roles.Propose(r, p.Roles...); err != nil {
		return nil, err
	}
	for i, g := range p.Create {
		place := fmt.Sprintf("create_grants[%d]", i)
		g = proto.CloneOf(g)
		g.Name = organization + "/grants/proposed"
		if err := x.Loader.Grants.Check(r, now, g); err != nil {
			return nil, placed(place, err)
		}
		hold := decide.HoldOf(g)
		hold.Grant = place
		under := g.GetSubject()
		if hold.Holders != "" {
			under = subject.AllHolders(organization)
		}
		f.created[under] = append(f.created[under], hold)
	}
	return f, nil
}

// Subject implements decide.Facts.
func (f *proposed) Subject(name string) (*decide.Subject, error) {
	if known, ok := f.subjects[name]; ok {
		return known, nil
	}
	s, err := f.Facts.Subject(name)
	if err != nil {
		return nil, err
	}
	if len(f.deleted)+len(f.created[name]) == 0 {
		return s, nil
	}
	var holds []decide.Hold
	for _, h := range s.Holds() {
		if !f.deleted[h.Grant] {
			holds = append(holds, h)
		}
	}
	changed := decide.Compile(name, s.Facts(), append(holds, f.created[name]...))
	changed.Separate(s.Separation()) // which grants do not change
	changed.Restrict(s.FieldPolicies())
	f.subjects[name] = changed
	return changed, nil
}

// Role implements decide.Facts.
func (f *proposed) Role(name string) (role.Set, error) {
	if known, ok := f.sets[name]; ok {
		return known, nil
	}
	set, err := f.roles.Set(f.reader, name)
	if err == nil {
		f.sets[name] = set
	}
	return set, err
}

// placed returns the error with the place of the change before its fields.
func placed(place string, err error) error {
	e := errs.From(err)
	if e.Kind == errs.Internal {
		return err
	}
	named := *e
	named.Violations = nil
	for _, v := range e.Violations {
		v.Field = place + "." + strings.TrimPrefix(v.Field, "grant.")
		named.Violations = append(named.Violations, v)
	}
	if len(named.Violations) == 0 {
		named.Violations = []errs.Violation{{Field: place, Reason: e.Reason, Description: e.Message}}
	}
	return &named
}
