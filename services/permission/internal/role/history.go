package role

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// RevisionPattern is the form of the names of revisions of roles.
const RevisionPattern = resource.Pattern("organizations/{organization}/roles/{role}/revisions/{revision}")

// KeptRevisions is how many revisions of a role are kept. A new one pushes the
// oldest out, so that no sweep is needed.
const KeptRevisions = 100

func newHistory() *kv.Table[*permissionv1.RoleRevision] {
	return kv.NewTable(kv.TableConfig[*permissionv1.RoleRevision]{
		// (organisation, role, number)
		Name: "role_revisions", Key: func(v *permissionv1.RoleRevision) kv.Key { key, _ := revisionKey(v.GetName()); return key },
		NotFound: "ROLE_REVISION_NOT_FOUND",
	})
}

// Revision returns a revision of a role, or NotFound (ROLE_REVISION_NOT_FOUND).
func (s *Roles) Revision(r kv.Reader, name string) (*permissionv1.RoleRevision, error) {
	key, ok := revisionKey(name)
	if !ok {
		return nil, errs.NotFoundName("ROLE_REVISION_NOT_FOUND", name)
	}
	rec, err := s.history.Get(r, key)
	return rec.Value, err
}

// Revisions returns one page of the revisions of a custom role, newest first,
// and where to go on, nil at the end. It is NotFound (ROLE_NOT_FOUND) when
// there is no such role.
func (s *Roles) Revisions(r kv.Reader, name string, after []byte, limit int) (revisions []*permissionv1.RoleRevision, next []byte, err error) {
	if _, err := s.table.Get(r, keyOf(name)); err != nil {
		return nil, nil, err
	}
	page, err := s.history.List(r, kv.Query{Prefix: keyOf(name), Reverse: true, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range page.Records {
		revisions = append(revisions, rec.Value)
	}
	return revisions, page.Next, nil
}

// Restored returns the role as it would be after a rollback to one of its
// revisions: what people may change is that of the revision, all else that of
// the role.
func Restored(now *permissionv1.Role, to *permissionv1.RoleRevision) *permissionv1.Role {
	r, old := proto.CloneOf(now), to.GetRole()
	r.DisplayName, r.Description = old.GetDisplayName(), old.GetDescription()
	r.Permissions, r.IncludedRoles = slices.Clone(old.GetPermissions()), slices.Clone(old.GetIncludedRoles())
	r.Levels = proto.CloneOf(old).GetLevels()
	return r
}

// keep adds the record's present state to the history.
func (s *Roles) keep(tx kv.Tx, at time.Time, by string, rec kv.Record[*permissionv1.Role]) error {
	name, number := rec.Value.GetName(), int64(rec.Revision)
	_, err := s.history.Create(tx, &permissionv1.RoleRevision{
		Name: name + revisionsPart + strconv.FormatInt(number, 10),
		Role: rec.Value, Author: by, CreateTime: timestamppb.New(at),
	})
	if err != nil {
		return err
	}
	oldest := keyOf(name).With(kv.Int64(number - KeptRevisions))
	if _, found, err := s.history.Find(tx, oldest); err != nil || !found {
		return err
	}
	_, err = s.history.Delete(tx, oldest, "")
	return err
}

// forget deletes a role's history. A role that gets the name later begins at
// revision 1 again.
func (s *Roles) forget(tx kv.Tx, name string) error {
	page, err := s.history.List(tx, kv.Query{Prefix: keyOf(name)})
	if err != nil {
		return err
	}
	for _, rec := range page.Records {
		key, _ := revisionKey(rec.Value.GetName())
		if _, err := s.history.Delete(tx, key, ""); err != nil {
			return err
		}
	}
	return nil
}

const revisionsPart = "/revisions/"

// revisionKey returns the key of a revision by its name; ok is false for one
// that no revision can have.
func revisionKey(name string) (key kv.Key, ok bool) {
	role, number, found := strings.Cut(name, revisionsPart)
	n, err := strconv.ParseInt(number, 10, 64)
	// "+3" and "03" are not the name of revision 3.
	if !found || err != nil || strconv.FormatInt(n, 10) != number || !Pattern.Matches(role) {
		return nil, false
	}
	return keyOf(role).With(kv.Int64(n)), true
}
