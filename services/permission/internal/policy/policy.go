// Package policy works out what a document of policy as code changes, and
// keeps which document owns what.
//
// Ownership is what makes a document safe to apply again and again: a thing
// that the document has once named belongs to it, and is deleted when the
// document no longer names it. What people made by hand belongs to nobody and
// stays, unless a caller asks to prune. A thing has one owner, so two teams may
// each keep a document of one organisation without undoing each other's work.
//
//	              document names it                 document drops it
//	not there ────────────────────────> owned ─────────────────────────> deleted
//	there, nobody's ──(adopt, update)──>   │ ^
//	                                       │ │  deleted by hand: made again
//	                                       v │
//	                                    missing ──(document drops it)──> forgotten
//
// The package changes nothing but ownership: the centres of roles, grants,
// resource types and properties make the changes, by their own rules (see
// Plan). Grants that services keep are invisible here. Stored properties are
// neither pruned nor exported unless a policy owns them: most are data of
// applications.
package policy

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/role"
)

// Main is the policy of a document that does not say which it is.
const Main = "main"

// byPolicy is the index of what a policy owns.
const byPolicy = "policy" // policy

// Policies are the policies of all organisations. It is safe for concurrent
// use.
type Policies struct {
	roles      *role.Roles
	grants     *grant.Grants
	properties *property.Properties
	// items is (organisation, name) -> PolicyItem.
	items *kv.Table[*storev1.PolicyItem]
}

// New returns the policies that the store holds.
func New(roles *role.Roles, grants *grant.Grants, properties *property.Properties) *Policies {
	return &Policies{
		roles: roles, grants: grants, properties: properties,
		items: kv.NewTable(kv.TableConfig[*storev1.PolicyItem]{
			Name: "policy_items", Key: func(i *storev1.PolicyItem) kv.Key { return itemKey(i.GetName()) },
			Indexes: []kv.Index[*storev1.PolicyItem]{{
				Name: byPolicy, Keys: func(i *storev1.PolicyItem) []kv.Key {
					return []kv.Key{{kv.String(organizationOf(i.GetName())), kv.String(i.GetPolicy())}}
				},
			}},
		}),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Policies) Tables() []string { return s.items.Tables() }

func itemKey(name string) kv.Key { return kv.Key{kv.String(organizationOf(name)), kv.String(name)} }

func organizationOf(name string) string {
	id, _ := resource.Organization(name)
	return "organizations/" + id
}

// IDOf returns which policy a document is, or Invalid (RESOURCE_NAME_INVALID).
func IDOf(d *permissionv1.Policy) (string, error) {
	if d.GetPolicyId() == "" {
		return Main, nil
	}
	return d.GetPolicyId(), resource.CheckID("policy.policy_id", d.GetPolicyId())
}

// owner returns the policy that owns a name, "" when none does.
func (s *Policies) owner(r kv.Reader, name string) (string, error) {
	rec, _, err := s.items.Find(r, itemKey(name))
	return rec.Value.GetPolicy(), err
}

// owned returns the names that a policy owns, by name; all that any policy owns
// when policy is empty.
func (s *Policies) owned(r kv.Reader, organization, policy string) (names []string, err error) {
	q := kv.Query{Prefix: kv.Key{kv.String(organization)}}
	if policy != "" {
		q = kv.Query{Index: byPolicy, Prefix: kv.Key{kv.String(organization), kv.String(policy)}}
	}
	for rec, err := range s.items.Scan(r, q) {
		if err != nil {
			return nil, err
		}
		names = append(names, rec.Value.GetName())
	}
	return names, nil
}

// Settle notes what the policy owns once the changes of its plan are made.
func (s *Policies) Settle(tx kv.Tx, p *Plan) error {
	for _, c := range p.Changes {
		if c.Now == nil {
			continue
		}
		if _, err := s.items.Put(tx, &storev1.PolicyItem{Name: c.Name, Policy: p.Policy}, ""); err != nil {
			return err
		}
	}
	for _, name := range p.forgotten {
		_, err := s.items.Delete(tx, itemKey(name), "")
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return nil
}

// The kinds of things that a policy is made of, by their names.
func isRole(name string) bool  { return role.Pattern.Matches(name) }
func isGrant(name string) bool { return grant.Pattern.Matches(name) }
func isType(name string) bool  { return resourcetype.Pattern.Matches(name) }

func isProperties(name string) bool { return property.NameOf(name) != name }

// find returns a thing by its name, nil when there is none, or none that a
// policy may speak of.
func (s *Policies) find(r kv.Reader, name string) (thing proto.Message, err error) {
	switch {
	case isRole(name):
		thing, err = s.roles.Get(r, name)
	case isGrant(name):
		var g *permissionv1.Grant
		if g, err = s.grants.Get(r, name); g.GetManagedBy() != "" {
			return nil, nil
		}
		thing = g
	case isType(name):
		thing, err = s.roles.Types().Get(r, name)
	default:
		entity := property.NameOf(name)
		rec, e := s.properties.Get(r, entity)
		thing, err = &permissionv1.Properties{Entity: entity, Values: rec.Value.GetProperties()}, e
	}
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return thing, nil
}
