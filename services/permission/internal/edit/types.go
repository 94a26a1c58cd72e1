package edit

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

// Types of the events of resource types.
const (
	typeCreated = "guildhall.permission.resourceType.created.v1"
	typeUpdated = "guildhall.permission.resourceType.updated.v1"
	typeDeleted = "guildhall.permission.resourceType.deleted.v1"
)

// TypeFields are the fields of a resource type that an update may change.
func TypeFields() []string { return []string{"display_name", "actions"} }

// MergeType returns the type with the fields of the paths taken from the other.
func MergeType(old, from *permissionv1.ResourceType, paths []string) *permissionv1.ResourceType {
	now := proto.CloneOf(old)
	fieldmask.Apply(now, from, paths)
	return now
}

// CreateType stores a new resource type. Reasons are those of role.CreateType.
func (e *Editor) CreateType(tx *change.Tx, t *permissionv1.ResourceType) (*permissionv1.ResourceType, error) {
	created, v, err := e.Roles.CreateType(tx, tx.Time, t)
	if err != nil {
		return nil, err
	}
	recordType(tx, typeCreated, v, created, change.ChangedFields(nil, created))
	return created, nil
}

// UpdateType makes a type what it is to be. That changes what roles with a level
// of its collection mean: see UpdateRole.
func (e *Editor) UpdateType(tx *change.Tx, by authn.Caller, old, now *permissionv1.ResourceType, etag string) (stored *permissionv1.ResourceType, err error) {
	if err := e.mayWiden(tx, by, old, now); err != nil {
		return nil, err
	}
	home := resource.Parent(now.GetName())
	affected, err := e.Roles.Affected(tx, home, resourcetype.CollectionOf(now))
	if err != nil {
		return nil, err
	}
	err = e.redefine(tx, by, home, affected, func() error {
		var v revision.Revision
		if stored, v, err = e.Roles.UpdateType(tx, tx.Time, now, etag); err == nil {
			recordType(tx, typeUpdated, v, stored, change.ChangedFields(old, stored))
		}
		return err
	})
	return stored, err
}

// DeleteType deletes a type. Reasons are those of role.DeleteType.
func (e *Editor) DeleteType(tx *change.Tx, name, etag string) (*permissionv1.ResourceType, error) {
	deleted, v, err := e.Roles.DeleteType(tx, tx.Time, name, etag)
	if err != nil {
		return nil, err
	}
	recordType(tx, typeDeleted, v, deleted, nil)
	return deleted, nil
}

// mayWiden is MayGive for what a change of a type adds to roles that have a
// level of its collection. An action that is new is nobody's by name yet; who
// holds whatever is declared holds it once it is, and may give it.
func (e *Editor) mayWiden(tx *change.Tx, by authn.Caller, old, now *permissionv1.ResourceType) error {
	added, err := e.Roles.WidenedByType(tx, old, now)
	if err != nil {
		return err
	}
	declared, err := e.Roles.DeclaredBy(tx, now)
	if err != nil {
		return err
	}
	home := resource.Parent(now.GetName())
	facts := declaring{Facts: e.Loader.Snapshot(tx), name: role.Declared(home), set: declared}
	return e.mayGiveBy(facts, tx, by, home, added, 0)
}

// declaring are facts in which an organisation declares something else.
type declaring struct {
	decide.Facts
	name string
	set  role.Set
}

// Role implements decide.Facts.
func (d declaring) Role(name string) (role.Set, error) {
	if name == d.name {
		return d.set, nil
	}
	return d.Facts.Role(name)
}

func recordType(tx *change.Tx, kind string, v revision.Revision, t *permissionv1.ResourceType, fields []string) {
	tx.Record(change.Change{
		Resource: t.GetName(), Type: kind, ChangedFields: fields,
		Data: &permissionv1.ResourceTypeChanged{Collection: t.GetCollection(), Revision: v.Number},
	})
}
