package policy

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
)

// maxGrants is how many grants a document can be made of. One that lists more
// is nothing that people review.
const maxGrants = 5000

// maxRead is how many grants, services' too, are read to find them; pageSize
// is how many at once.
const (
	maxRead  = 100_000
	pageSize = 500
)

// servicePrefix begins the names of the suite's own services as creators: what
// every organisation begins with is not the work of its people.
const servicePrefix = "services/"

// Export returns what is there as a document: all of it, or what one policy
// owns when policy is not empty. Everything is by name. Precondition
// (POLICY_TOO_LARGE) when there are more grants than a document holds.
func (s *Policies) Export(r kv.Reader, organization, policy string) (*permissionv1.Policy, error) {
	d := &permissionv1.Policy{PolicyId: policy}
	add := func(_ string, m proto.Message) error {
		switch m := canonical(m).(type) {
		case *permissionv1.ResourceType:
			d.ResourceTypes = append(d.ResourceTypes, m)
		case *permissionv1.Role:
			d.Roles = append(d.Roles, m)
		case *permissionv1.Grant:
			d.Grants = append(d.Grants, m)
		case *permissionv1.Properties:
			d.Properties = append(d.Properties, m)
		}
		return nil
	}
	if policy == "" {
		if err := s.all(r, organization, add); err != nil {
			return nil, err
		}
	}
	names, err := s.owned(r, organization, policy)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if policy == "" && !isProperties(name) {
			continue // all of these are there already
		}
		m, err := s.find(r, name)
		if err != nil {
			return nil, err
		}
		if m != nil {
			_ = add(name, m) // only collects
		}
	}
	return d, nil
}

// all yields all things that a document could say: resource types, custom
// roles and the grants that people gave, each by name.
func (s *Policies) all(r kv.Reader, organization string, yield func(name string, m proto.Message) error) error {
	types, _, err := s.roles.Types().List(r, organization, nil, pageSize)
	if err != nil {
		return err
	}
	for _, t := range types {
		if err := yield(t.GetName(), t); err != nil {
			return err
		}
	}
	for after := []byte(nil); ; {
		roles, next, err := s.roles.List(r, organization, after, pageSize)
		if err != nil {
			return err
		}
		for _, x := range roles {
			if x.GetBuiltIn() {
				continue
			}
			if err := yield(x.GetName(), x); err != nil {
				return err
			}
		}
		if after = next; next == nil {
			return s.allGrants(r, organization, yield)
		}
	}
}

// allGrants yields grants: not those that a service keeps, nor those that
// every organisation begins with.
func (s *Policies) allGrants(r kv.Reader, organization string, yield func(name string, m proto.Message) error) error {
	read, given := 0, 0
	for after := []byte(nil); ; {
		grants, next, err := s.grants.List(r, organization, grant.Filter{}, after, pageSize)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if g.GetManagedBy() != "" || strings.HasPrefix(g.GetCreator(), servicePrefix) {
				continue
			}
			given++
			if err := yield(g.GetName(), g); err != nil {
				return err
			}
		}
		read += len(grants)
		if given > maxGrants || next != nil && read >= maxRead {
			return errs.New(errs.Precondition, "POLICY_TOO_LARGE",
				"the organisation has more grants than a document holds; work with what one policy owns")
		}
		if after = next; next == nil {
			return nil
		}
	}
}
