// Package role keeps roles: the built-in ones, which are a table in the code,
// and those that organisations make, which are records.
//
// A role is a named set of permissions from the catalogue that the protos
// declare, and of those that its organisation's resource types declare. It
// names them one by one, or by the level of a collection, or by including
// other roles. What that adds up to is looked up when the role is loaded, so a
// change is a change for all who hold the role, in one record; the revision
// log names the role and all that include it. Who holds a role is package
// grant's business.
package role

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/revision"
)

// Pattern is the form of the names of custom roles.
const Pattern = resource.Pattern("organizations/{organization}/roles/{role}")

// Roles are the roles of all organisations. It is safe for concurrent use.
type Roles struct {
	catalogue *Catalogue
	builtIns  []*permissionv1.Role // by name
	sets      map[string]Set
	managers  map[string]string
	types     *resourcetype.Types
	table     *kv.Table[*permissionv1.Role]
	history   *kv.Table[*permissionv1.RoleRevision]
}

// New returns the roles made of the catalogue's permissions.
func New(c *Catalogue) *Roles {
	s := &Roles{catalogue: c, sets: make(map[string]Set), managers: make(map[string]string)}
	for _, b := range builtIns() {
		shown := b.expand(c)
		s.builtIns = append(s.builtIns, shown)
		set := c.Of(shown.GetPermissions())
		set.anyCustom = b.custom
		s.sets[b.name], s.managers[b.name] = set, b.manager
	}
	slices.SortFunc(s.builtIns, func(a, b *permissionv1.Role) int { return strings.Compare(a.GetName(), b.GetName()) })
	s.table = kv.NewTable(kv.TableConfig[*permissionv1.Role]{
		Name: "roles", Key: func(r *permissionv1.Role) kv.Key { return keyOf(r.GetName()) },
		NotFound: "ROLE_NOT_FOUND", Exists: "ROLE_EXISTS",
		// Roles from before there was the index use nothing that it speaks of.
		Indexes: []kv.Index[*permissionv1.Role]{{Name: uses, Keys: usesOf}},
	})
	s.history = newHistory()
	s.types = resourcetype.New(c.collections())
	return s
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Roles) Tables() []string {
	return slices.Concat(s.table.Tables(), s.history.Tables(), s.types.Tables())
}

// Catalogue returns the permissions that roles are made of.
func (s *Roles) Catalogue() *Catalogue { return s.catalogue }

// BuiltIn returns the permissions of a built-in role, and whether there is one
// of that name.
func (s *Roles) BuiltIn(name string) (Set, bool) {
	set, ok := s.sets[name]
	return set, ok
}

// Manager returns the service that gives a built-in role to members of its own
// resources; "" when none does.
func (s *Roles) Manager(name string) string { return s.managers[name] }

// Create stores a custom role, which the account named makes, in the
// transaction of a change at the given time, and returns it with the
// organisation's new revision. Errors are Exists (ROLE_EXISTS), Invalid
// (PERMISSION_UNKNOWN, COLLECTION_UNKNOWN, ROLE_MANAGED, ROLE_CYCLE,
// ROLE_HIERARCHY_LIMIT) and, for a role to include, NotFound (ROLE_NOT_FOUND).
func (s *Roles) Create(tx kv.Tx, at time.Time, by string, r *permissionv1.Role) (*permissionv1.Role, revision.Revision, error) {
	if err := s.check(tx, r); err != nil {
		return nil, revision.Revision{}, err
	}
	stored := normal(r)
	stored.CreateTime, stored.UpdateTime = timestamppb.New(at), timestamppb.New(at)
	rec, err := s.table.Create(tx, stored)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	return s.changed(tx, at, by, rec)
}

// Get returns a role, built-in or custom, or NotFound (ROLE_NOT_FOUND).
func (s *Roles) Get(r kv.Reader, name string) (*permissionv1.Role, error) {
	if i, ok := slices.BinarySearchFunc(s.builtIns, name, func(r *permissionv1.Role, name string) int {
		return strings.Compare(r.GetName(), name)
	}); ok {
		return proto.CloneOf(s.builtIns[i]), nil
	}
	if !Pattern.Matches(name) {
		return nil, errs.NotFoundName("ROLE_NOT_FOUND", name)
	}
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// Set returns all permissions that a role gives, with those of its levels and
// of the roles that it includes; none when there is no such role. See Declared
// for the one name that is no role's.
func (s *Roles) Set(r kv.Reader, name string) (Set, error) {
	if set, ok := s.sets[name]; ok || IsBuiltIn(name) {
		return set, nil
	}
	if organization, ok := strings.CutSuffix(name, declaredSuffix); ok {
		return s.declared(r, organization)
	}
	rec, ok, err := s.table.Find(r, keyOf(name))
	if err != nil || !ok {
		return Set{}, err
	}
	return s.expand(r, rec.Value)
}

// Update stores a changed custom role, as Create does a new one. Errors are
// those of Create but ROLE_EXISTS, NotFound (ROLE_NOT_FOUND) and Conflict
// (ETAG_MISMATCH).
func (s *Roles) Update(tx kv.Tx, at time.Time, by string, r *permissionv1.Role, etag string) (*permissionv1.Role, revision.Revision, error) {
	if err := s.check(tx, r); err != nil {
		return nil, revision.Revision{}, err
	}
	stored := normal(r)
	stored.UpdateTime = timestamppb.New(at)
	rec, err := s.table.Update(tx, stored, etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	return s.changed(tx, at, by, rec)
}

// Delete removes a custom role and its history; that no grant gives it is the
// caller's to see to, in the same transaction. Errors are NotFound
// (ROLE_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition (ROLE_IN_USE)
// when another role includes it.
func (s *Roles) Delete(tx kv.Tx, at time.Time, name, etag string) (*permissionv1.Role, revision.Revision, error) {
	in, err := s.Including(tx, OrganizationOf(name), name, 1)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	if len(in) > 0 {
		return nil, revision.Revision{}, errs.New(errs.Precondition, "ROLE_IN_USE",
			"the role "+in[0].GetName()+" includes this one; change it first", errs.Meta("resource", name), errs.Meta("role", in[0].GetName()))
	}
	rec, err := s.table.Delete(tx, keyOf(name), etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	if err := s.forget(tx, name); err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := revision.Bump(tx, OrganizationOf(name), at, name)
	return shown(rec), v, err
}

// changed keeps what a change made of a role, and notes that the role, and
// every role that it is in, means something else now: that is all that those
// who hold one of them need to know.
func (s *Roles) changed(tx kv.Tx, at time.Time, by string, rec kv.Record[*permissionv1.Role]) (*permissionv1.Role, revision.Revision, error) {
	if err := s.keep(tx, at, by, rec); err != nil {
		return nil, revision.Revision{}, err
	}
	name := rec.Value.GetName()
	above, err := s.above(tx, OrganizationOf(name), name)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	touched := append([]string{name}, slices.Sorted(maps.Keys(above))...)
	v, err := revision.Bump(tx, OrganizationOf(name), at, touched...)
	return shown(rec), v, err
}

// normal returns a role in the one form that it is stored in.
func normal(r *permissionv1.Role) *permissionv1.Role {
	stored := proto.CloneOf(r)
	stored.Etag, stored.BuiltIn = "", false
	slices.Sort(stored.Permissions)
	slices.Sort(stored.IncludedRoles)
	// Of several levels of a collection the highest has all the others.
	slices.SortFunc(stored.Levels, func(a, b *permissionv1.CollectionLevel) int {
		return cmp.Or(strings.Compare(a.GetCollection(), b.GetCollection()), cmp.Compare(b.GetLevel(), a.GetLevel()))
	})
	stored.Levels = slices.CompactFunc(stored.Levels, func(a, b *permissionv1.CollectionLevel) bool {
		return a.GetCollection() == b.GetCollection()
	})
	return stored
}

// OrganizationOf returns the organisation of a custom role's name, as in
// "organizations/acme".
func OrganizationOf(name string) string { return resource.Parent(name) }

func keyOf(name string) kv.Key {
	return kv.Key{kv.String(OrganizationOf(name)), kv.String(name[strings.LastIndexByte(name, '/')+1:])}
}

// shown returns a record as the API shows it.
func shown(rec kv.Record[*permissionv1.Role]) *permissionv1.Role {
	r := proto.CloneOf(rec.Value)
	r.Etag = rec.Etag
	return r
}
