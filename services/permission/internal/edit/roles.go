package edit

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

// Types of the events of roles.
const (
	roleCreated = "guildhall.permission.role.created.v1"
	roleUpdated = "guildhall.permission.role.updated.v1"
	roleDeleted = "guildhall.permission.role.deleted.v1"
)

// RoleFields are the fields of a role that an update may change.
func RoleFields() []string {
	return []string{"display_name", "description", "permissions", "levels", "included_roles"}
}

// MergeRole returns the role with the fields of the paths taken from the other.
func MergeRole(old, from *permissionv1.Role, paths []string) *permissionv1.Role {
	now := proto.CloneOf(old)
	fieldmask.Apply(now, from, paths)
	return now
}

// CreateRole stores a new role. Reasons are those of role.Create.
func (e *Editor) CreateRole(tx *change.Tx, by authn.Caller, r *permissionv1.Role) (*permissionv1.Role, error) {
	created, v, err := e.Roles.Create(tx, tx.Time, by.Name, r)
	if err != nil {
		return nil, err
	}
	recordRole(tx, roleCreated, v, nil, created)
	return e.toldRole(created, v), nil
}

// UpdateRole makes a role what it is to be. Permissions that this adds are given
// to all who hold the role, the caller maybe among them; so the caller must hold
// them, on the whole organisation and without an end (GRANT_EXCEEDS_CALLER). To
// whom the role is denied, see redefine.
func (e *Editor) UpdateRole(tx *change.Tx, by authn.Caller, old, now *permissionv1.Role, etag string) (stored *permissionv1.Role, err error) {
	home := role.OrganizationOf(now.GetName())
	added, removed, err := e.Roles.Difference(tx, old, now)
	if err != nil {
		return nil, err
	}
	// Before the update: after it, whoever holds the role holds them.
	if err := e.MayGive(tx, by, home, added, 0); err != nil {
		return nil, err
	}
	var affected []string
	if len(added)+len(removed) > 0 {
		if affected, err = e.Roles.Affected(tx, home, now.GetName()); err != nil {
			return nil, err
		}
	}
	err = e.redefine(tx, by, home, affected, func() error {
		var v revision.Revision
		if stored, v, err = e.Roles.Update(tx, tx.Time, by.Name, now, etag); err == nil {
			recordRole(tx, roleUpdated, v, old, stored)
			stored = e.toldRole(stored, v)
		}
		return err
	})
	return stored, err
}

// DeleteRole deletes a role that no grant gives (ROLE_IN_USE).
func (e *Editor) DeleteRole(tx *change.Tx, name, etag string) (*permissionv1.Role, error) {
	used, err := e.Grants.Uses(tx, role.OrganizationOf(name), name)
	if err != nil {
		return nil, err
	}
	if used {
		return nil, errs.New(errs.Precondition, "ROLE_IN_USE", "grants give this role; delete them first", errs.Meta("resource", name))
	}
	deleted, v, err := e.Roles.Delete(tx, tx.Time, name, etag)
	if err != nil {
		return nil, err
	}
	recordRole(tx, roleDeleted, v, deleted, nil)
	return e.toldRole(deleted, v), nil
}

// recordRole records a change of a role; old or now is nil.
func recordRole(tx *change.Tx, kind string, v revision.Revision, old, now *permissionv1.Role) {
	c := change.Change{Type: kind, Data: &permissionv1.RoleChanged{Revision: v.Number}}
	switch {
	case old == nil:
		c.Resource, c.ChangedFields = now.GetName(), change.ChangedFields(nil, now)
	case now == nil:
		c.Resource = old.GetName()
	default:
		c.Resource, c.ChangedFields = now.GetName(), change.ChangedFields(old, now)
	}
	tx.Record(c)
}

// redefine makes a change of what roles mean, which are those named. Where one
// of them is denied to somebody, the change denies them something or gives it
// back, so the caller has to administer the organisation
// (TARGET_EXCEEDS_CALLER), and it is refused when it leaves nobody to fill a
// post (LAST_ADMINISTRATOR, LAST_OPERATOR). Else whoever may write roles could
// lock out everybody without making a single grant.
func (e *Editor) redefine(tx *change.Tx, by authn.Caller, organization string, roles []string, apply func() error) error {
	denied, err := e.Grants.DeniesAny(tx, organization, roles)
	if err != nil {
		return err
	}
	if !denied {
		return apply()
	}
	administers, err := e.Rules.Administers(e.Loader.Snapshot(tx), organization, by.Name, tx.Time, 0)
	if err != nil {
		return err
	}
	if !administers && by.Kind() != authn.System {
		return errs.New(errs.Denied, reasonTarget, "only who administers the organisation can change a role that is denied to somebody")
	}
	filled, err := e.Grants.Filled(tx, tx.Time, organization)
	if err != nil {
		return err
	}
	if err := apply(); err != nil {
		return err
	}
	return e.Grants.StillFilled(tx, tx.Time, organization, filled)
}
