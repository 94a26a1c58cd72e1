// Package role keeps roles: the built-in ones, which are a table in the code,
// and those that organisations make, which are records.
//
// A role is a named set of permissions from the catalogue that the protos
// declare. What a role means is looked up when a check is made, so a change of
// a role is a change for all who hold it, in one record. Who holds it is
// package grant's business.
package role

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
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
	table     *kv.Table[*permissionv1.Role]
}

// New returns the roles made of the catalogue's permissions.
func New(c *Catalogue) *Roles {
	s := &Roles{catalogue: c, sets: make(map[string]Set), managers: make(map[string]string)}
	for _, b := range builtIns() {
		shown := b.expand(c)
		s.builtIns = append(s.builtIns, shown)
		s.sets[b.name], s.managers[b.name] = c.Of(shown.GetPermissions()), b.manager
	}
	slices.SortFunc(s.builtIns, func(a, b *permissionv1.Role) int { return strings.Compare(a.GetName(), b.GetName()) })
	s.table = kv.NewTable(kv.TableConfig[*permissionv1.Role]{
		Name: "roles", Key: func(r *permissionv1.Role) kv.Key { return keyOf(r.GetName()) },
		NotFound: "ROLE_NOT_FOUND", Exists: "ROLE_EXISTS",
	})
	return s
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Roles) Tables() []string { return s.table.Tables() }

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

// Create stores a custom role in the transaction of a change at the given
// time, and returns it with the organisation's new revision. Errors are Exists
// (ROLE_EXISTS) and Invalid (PERMISSION_UNKNOWN).
func (s *Roles) Create(tx kv.Tx, at time.Time, r *permissionv1.Role) (*permissionv1.Role, revision.Revision, error) {
	if err := s.checkPermissions(r.GetPermissions()); err != nil {
		return nil, revision.Revision{}, err
	}
	stored := proto.CloneOf(r)
	stored.Etag, stored.BuiltIn = "", false
	stored.CreateTime, stored.UpdateTime = timestamppb.New(at), timestamppb.New(at)
	slices.Sort(stored.Permissions)
	rec, err := s.table.Create(tx, stored)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := touch(tx, at, stored.GetName())
	return shown(rec), v, err
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

// Set returns the permissions of a role; none when there is no such role.
func (s *Roles) Set(r kv.Reader, name string) (Set, error) {
	if set, ok := s.sets[name]; ok || IsBuiltIn(name) {
		return set, nil
	}
	rec, ok, err := s.table.Find(r, keyOf(name))
	if err != nil || !ok {
		return Set{}, err
	}
	return s.catalogue.Of(rec.Value.GetPermissions()), nil
}

// Update stores a changed custom role, as Create does a new one. Errors are
// NotFound (ROLE_NOT_FOUND), Conflict (ETAG_MISMATCH) and Invalid
// (PERMISSION_UNKNOWN).
func (s *Roles) Update(tx kv.Tx, at time.Time, r *permissionv1.Role, etag string) (*permissionv1.Role, revision.Revision, error) {
	if err := s.checkPermissions(r.GetPermissions()); err != nil {
		return nil, revision.Revision{}, err
	}
	stored := proto.CloneOf(r)
	stored.Etag, stored.BuiltIn = "", false
	stored.UpdateTime = timestamppb.New(at)
	slices.Sort(stored.Permissions)
	rec, err := s.table.Update(tx, stored, etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := touch(tx, at, stored.GetName())
	return shown(rec), v, err
}

// Delete removes a custom role; that no grant uses it is the caller's to see
// to, in the same transaction. Errors are NotFound (ROLE_NOT_FOUND) and
// Conflict (ETAG_MISMATCH).
func (s *Roles) Delete(tx kv.Tx, at time.Time, name, etag string) (*permissionv1.Role, revision.Revision, error) {
	rec, err := s.table.Delete(tx, keyOf(name), etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := touch(tx, at, name)
	return shown(rec), v, err
}

// checkPermissions refuses what is not in the catalogue, with the index of
// each at fault.
func (s *Roles) checkPermissions(names []string) error {
	var faults []errs.Option
	for i, name := range names {
		if _, ok := s.catalogue.numbers[name]; !ok {
			faults = append(faults, errs.Field(fmt.Sprintf("role.permissions[%d]", i), "PERMISSION_UNKNOWN", "name a permission of ListPermissions"))
		}
	}
	if faults == nil {
		return nil
	}
	return errs.New(errs.Invalid, "PERMISSION_UNKNOWN", "the role names permissions that do not exist; see ListPermissions", faults...)
}

// touch notes that the role means something else now, which is all that those
// who hold it need to know.
func touch(tx kv.Tx, at time.Time, name string) (revision.Revision, error) {
	return revision.Bump(tx, OrganizationOf(name), at, name)
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
