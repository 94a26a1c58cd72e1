package edit

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
)

// CheckGrant refuses a grant that cannot be, or that is more than its giver's
// to give. Reasons are those of grant.Check and MayGrant.
func (e *Editor) CheckGrant(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	if err := e.Grants.Check(tx, tx.Time, g); err != nil {
		return err
	}
	return e.MayGrant(tx, by, g)
}

// Give stores a grant that somebody gives, unless they hold less than it gives:
// the rule of CreateGrant, for all that makes grants. Reasons are those of
// CreateGrant.
func (e *Editor) Give(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) (*permissionv1.Grant, error) {
	if err := e.CheckGrant(tx, by, g); err != nil {
		return nil, err
	}
	stored, v, err := e.Grants.Create(tx, tx.Time, g)
	if err != nil {
		return nil, err
	}
	grant.Effect{After: stored, Revision: v}.Record(tx)
	return e.Told(stored, v), nil
}

// Revoke deletes a grant; the etag is "" for any state of it. Reasons are those
// of DeleteGrant.
func (e *Editor) Revoke(tx *change.Tx, by authn.Caller, name, etag string) (*permissionv1.Grant, error) {
	if err := e.MayRevokeNamed(tx, by, name); err != nil {
		return nil, err
	}
	deleted, v, err := e.Grants.Delete(tx, tx.Time, name, etag)
	if err != nil {
		return nil, err
	}
	grant.Effect{Before: deleted, Revision: v}.Record(tx)
	return e.Told(deleted, v), nil
}

// ChangeGrants makes changes that have passed CheckGrant and MayRevoke, at one
// revision, and returns what was made and deleted, in their order.
func (e *Editor) ChangeGrants(tx *change.Tx, organization string, changes []grant.Change) ([]*permissionv1.Grant, revision.Revision, error) {
	changed, v, err := e.Grants.ChangeAll(tx, tx.Time, organization, changes)
	if err != nil {
		return nil, v, err
	}
	for i, g := range changed {
		if changes[i].Create != nil {
			grant.Effect{After: g, Revision: v}.Record(tx)
		} else {
			grant.Effect{Before: g, Revision: v}.Record(tx)
		}
	}
	return changed, v, nil
}
