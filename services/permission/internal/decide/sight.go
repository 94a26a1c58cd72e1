package decide

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/datamask"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Fields are an organisation's field policies. They are read-only and shared.
type Fields struct {
	all []*storev1.FieldPolicyRecord
	// byClass has those of each class, the one on the nearest resource first.
	byClass map[string][]*storev1.FieldPolicyRecord
	// customers says that some policy restricts customers too.
	customers bool
}

// Restrict gives the subject of all holder forms the organisation's field
// policies, before it is shared.
func (s *Subject) Restrict(policies []*storev1.FieldPolicyRecord) {
	s.with(common{s.common.separates(), newFields(policies)})
}

// FieldPolicies returns what Restrict gave.
func (s *Subject) FieldPolicies() []*storev1.FieldPolicyRecord {
	if fields := s.common.restricts(); fields != nil {
		return fields.all
	}
	return nil
}

func newFields(policies []*storev1.FieldPolicyRecord) *Fields {
	if len(policies) == 0 {
		return nil
	}
	f := &Fields{all: policies, byClass: make(map[string][]*storev1.FieldPolicyRecord)}
	for _, p := range policies {
		class := p.GetPolicy().GetDataClass()
		f.byClass[class] = append(f.byClass[class], p)
		f.customers = f.customers || p.GetPolicy().GetIncludeCustomers()
	}
	for _, of := range f.byClass {
		// Of two names that cover a resource, the longer one is below the other.
		slices.SortFunc(of, func(a, b *storev1.FieldPolicyRecord) int {
			if d := len(b.GetPolicy().GetResource()) - len(a.GetPolicy().GetResource()); d != 0 {
				return d
			}
			return strings.Compare(a.GetPolicy().GetName(), b.GetPolicy().GetName())
		})
	}
	return f
}

// restrict reports whether some policy is about accounts of the kind.
func (f *Fields) restrict(kind authn.Kind) bool {
	return f != nil && (kind != authn.Customer || f.customers)
}

// on returns the policy that decides about the class on the resource for
// accounts of the kind; nil when none restricts it.
func (f *Fields) on(class, organization, resource string, kind authn.Kind) *storev1.FieldPolicyRecord {
	if f == nil {
		return nil
	}
	for _, p := range f.byClass[class] {
		where := p.GetPolicy().GetResource()
		if where == "" {
			where = organization
		}
		if within(resource, where) && (kind != authn.Customer || p.GetPolicy().GetIncludeCustomers()) {
			return p
		}
	}
	return nil
}

// open reports whether a permission is to see a class of data that staff are not
// kept from, so much, on the resource and all below: then everybody has what it
// gives.
func (f *Fields) open(organization, permission, resource string) bool {
	class, verb, ok := datamask.ParsePermission(permission)
	if !ok {
		return false
	}
	if p := f.on(class, organization, resource, authn.Staff); !shows(p, verb) {
		return false
	}
	if f == nil {
		return true
	}
	for _, p := range f.byClass[class] {
		if within(p.GetPolicy().GetResource(), resource) && !shows(p, verb) {
			return false
		}
	}
	return true
}

// shows reports whether a policy leaves everybody what the permission of the
// verb gives; nil is none.
func shows(p *storev1.FieldPolicyRecord, verb string) bool {
	switch p.GetPolicy().GetOtherwise() {
	case permissionv1.Visibility_VISIBILITY_FULL:
		return true
	case permissionv1.Visibility_VISIBILITY_MASKED:
		return verb == datamask.MaskedVerb
	default:
		return p == nil
	}
}

// Sight is how an account sees a class of data on a resource.
type Sight struct {
	Visibility permissionv1.Visibility
	// Policy decided; nil when none restricts the class, which is seen in full
	// then.
	Policy *storev1.FieldPolicyRecord
	// Grant and Role let see more than the policy says; "" for none.
	Grant, Role string
}

// Sight returns how the subject of the question sees the class on the
// question's resource. Its permission is not looked at: what is asked is
// whether the subject holds those of the class. The errors are those of Answer.
//
// A resource that ends in "/-" is a collection with all that is in it: of that
// the subject sees as much as of what is kept from it most.
func (d *Rules) Sight(facts Facts, organization string, q Question, class string, now time.Time) (Sight, error) {
	shared, err := facts.Subject(subject.AllHolders(organization))
	if err != nil {
		return Sight{}, err
	}
	fields := shared.common.restricts()
	worst, err := d.sight(facts, fields, organization, q, class, now)
	collection, whole := strings.CutSuffix(q.Resource, "/-")
	if err != nil || !whole || fields == nil {
		return worst, err
	}
	for _, p := range fields.byClass[class] {
		if q.Resource = p.GetPolicy().GetResource(); !within(q.Resource, collection) {
			continue
		}
		s, err := d.sight(facts, fields, organization, q, class, now)
		if err != nil {
			return Sight{}, err
		}
		if s.Visibility > worst.Visibility { // from all of it to nothing
			worst = s
		}
	}
	return worst, nil
}

// sight is Sight for one resource.
func (d *Rules) sight(facts Facts, fields *Fields, organization string, q Question, class string, now time.Time) (Sight, error) {
	kind, _, _ := authn.ParseName(q.Subject)
	p := fields.on(class, organization, q.Resource, kind)
	s := Sight{Visibility: permissionv1.Visibility_VISIBILITY_FULL, Policy: p}
	if p == nil || p.GetPolicy().GetOtherwise() == permissionv1.Visibility_VISIBILITY_FULL {
		return s, nil
	}
	for _, rung := range []struct {
		permission string
		visibility permissionv1.Visibility
	}{
		{datamask.ReadPermission(class), permissionv1.Visibility_VISIBILITY_FULL},
		{datamask.MaskedPermission(class), permissionv1.Visibility_VISIBILITY_MASKED},
	} {
		q.Permission = rung.permission
		a, err := d.Answer(facts, organization, q, now)
		if err != nil {
			return Sight{}, err
		}
		if a.Allowed {
			s.Visibility, s.Grant, s.Role = rung.visibility, a.Grant, a.Role
			return s, nil
		}
	}
	// What this version does not know shows nothing.
	s.Visibility = permissionv1.Visibility_VISIBILITY_HIDDEN
	if p.GetPolicy().GetOtherwise() == permissionv1.Visibility_VISIBILITY_MASKED {
		s.Visibility = permissionv1.Visibility_VISIBILITY_MASKED
	}
	return s, nil
}
