package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/role"
)

// wanted returns what a document says, each thing once and under its name.
func (s *Policies) wanted(r kv.Reader, organization string, d *permissionv1.Policy) (wanted []want, err error) {
	faults, said := &Faults{}, map[string]bool{}
	add := func(name, field string, now proto.Message) error {
		if said[name] {
			return faults.Add(field, repeated())
		}
		said[name] = true
		wanted = append(wanted, want{name, field, now})
		return nil
	}
	for i, t := range d.GetResourceTypes() {
		field := fmt.Sprintf("policy.resource_types[%d]", i)
		err = faults.Add(field, checkName(resourcetype.Pattern, organization, t.GetName()))
		if err == nil {
			err = add(t.GetName(), field, canonical(t))
		}
		if err != nil {
			return nil, err
		}
	}
	for i, x := range d.GetRoles() {
		field := fmt.Sprintf("policy.roles[%d]", i)
		if err = faults.Add(field, checkRole(organization, x.GetName())); err == nil {
			err = add(x.GetName(), field, canonical(x))
		}
		if err != nil {
			return nil, err
		}
	}
	for i, x := range d.GetProperties() {
		field := fmt.Sprintf("policy.properties[%d]", i)
		if err = faults.Add(field, checkEntity(organization, x.GetEntity())); err == nil {
			err = add(property.Entry(x.GetEntity()), field, canonical(x))
		}
		if err != nil {
			return nil, err
		}
	}
	facts := map[string]bool{}
	for i, g := range d.GetGrants() {
		field := fmt.Sprintf("policy.grants[%d]", i)
		named, err := s.nameGrant(r, organization, g, facts)
		if err = faults.Add(field, err); err == nil && named != nil {
			err = add(named.GetName(), field, canonical(named))
		}
		if err != nil {
			return nil, err
		}
	}
	return wanted, faults.Err()
}

func repeated() error {
	return errs.New(errs.Invalid, "POLICY_ITEM_REPEATED", "this stands in the document twice; keep one of them")
}

func checkName(form resource.Pattern, organization, name string) error {
	if _, err := form.Parse("name", name); err != nil {
		return err
	}
	if !inOrganization(name, organization) {
		return errs.InvalidField("name", "RESOURCE_FOREIGN", "name something of this organisation")
	}
	return nil
}

func checkEntity(organization, name string) error {
	if err := property.Check("properties.entity", name); err != nil {
		return err
	}
	if name != organization && !inOrganization(name, organization) {
		return errs.InvalidField("properties.entity", "RESOURCE_FOREIGN", "name a subject or a resource of this organisation")
	}
	return nil
}

func checkRole(organization, name string) error {
	if role.IsBuiltIn(name) {
		return errs.InvalidField("name", "POLICY_ROLE_BUILT_IN", "built-in roles cannot be changed; grant them, or make one of your own")
	}
	return checkName(role.Pattern, organization, name)
}

// nameGrant returns the grant under the name that it has or is to have: its
// own, that of the grant which says the same, or a new one made of what it
// says, so that two plans of one document agree.
func (s *Policies) nameGrant(r kv.Reader, organization string, g *permissionv1.Grant, facts map[string]bool) (*permissionv1.Grant, error) {
	fact := grant.FactOf(g)
	if facts[fact] {
		return nil, repeated()
	}
	facts[fact] = true
	named := proto.CloneOf(g)
	if g.GetName() == "" {
		same, err := s.grants.Find(r, organization, g)
		if err != nil {
			return nil, err
		}
		if named.Name = same.GetName(); named.Name == "" {
			named.Name = organization + "/grants/" + idOf(fact)
		}
		return named, nil
	}
	if err := checkName(grant.Pattern, organization, g.GetName()); err != nil {
		return nil, err
	}
	there, err := s.grants.Get(r, g.GetName())
	switch {
	case errs.Is(err, errs.NotFound):
	case err != nil:
		return nil, err
	case there.GetManagedBy() != "":
		return nil, errs.New(errs.Precondition, "GRANT_MANAGED", "a service keeps this grant; take it out of the document",
			errs.Meta("managed_by", there.GetManagedBy()))
	}
	return named, nil
}

func idOf(fact string) string {
	sum := sha256.Sum256([]byte(fact))
	return "p-" + hex.EncodeToString(sum[:10])
}

// same reports whether a thing is what the document says.
func same(old, now proto.Message) bool { return proto.Equal(canonical(old), canonical(now)) }

// canonical returns a thing with nothing but what a document says of it, in
// the one order that it has in the store and in an export.
func canonical(m proto.Message) proto.Message {
	switch m := proto.Clone(m).(type) {
	case *permissionv1.Role:
		m.BuiltIn, m.CreateTime, m.UpdateTime, m.Etag = false, nil, nil, ""
		slices.Sort(m.Permissions)
		slices.Sort(m.IncludedRoles)
		slices.SortFunc(m.Levels, func(a, b *permissionv1.CollectionLevel) int {
			return cmp.Or(strings.Compare(a.GetCollection(), b.GetCollection()), cmp.Compare(b.GetLevel(), a.GetLevel()))
		})
		return m
	case *permissionv1.ResourceType:
		m.CreateTime, m.UpdateTime, m.Etag = nil, nil, ""
		for _, a := range m.GetActions() {
			a.Permission = ""
		}
		slices.SortFunc(m.Actions, func(a, b *permissionv1.ResourceAction) int { return strings.Compare(a.GetId(), b.GetId()) })
		return m
	case *permissionv1.Properties:
		m.UpdateTime, m.Etag = nil, ""
		return m
	case *permissionv1.Grant:
		m.Creator, m.ManagedBy, m.CreateTime, m.Etag, m.ConsistencyToken = "", "", nil, "", ""
		if m.GetEffect() == permissionv1.Effect_EFFECT_ALLOW {
			m.Effect = permissionv1.Effect_EFFECT_UNSPECIFIED
		}
		if m.GetExpireTime() != nil {
			m.ExpireTime = &timestamppb.Timestamp{Seconds: m.GetExpireTime().GetSeconds()}
		}
		return m
	default:
		return m
	}
}
