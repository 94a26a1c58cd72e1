package edit

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

// MayGive returns Denied (GRANT_EXCEEDS_CALLER) unless the caller holds each
// of the permissions on the resource, now and until the Unix second at which
// what is given expires; 0 is never. Else a right for a day would be one for
// ever. The suite's own services give on behalf of nobody.
func (e *Editor) MayGive(tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error {
	return e.mayGiveBy(e.Loader.Snapshot(tx), tx, by, resource, permissions, expires)
}

// mayGiveBy is MayGive by facts that are not quite those of the transaction.
func (e *Editor) mayGiveBy(facts decide.Facts, tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error {
	if by.Kind() == authn.System {
		return nil
	}
	home := by.Organization()
	for _, p := range permissions {
		q := decide.Question{Subject: by.Name, Permission: p, Resource: resource}
		a, err := e.Rules.Lasting(facts, home, q, tx.Time, expires)
		if err != nil {
			return err
		}
		if !a.Allowed {
			return errs.New(errs.Denied, reasonExceeds, "you can give only what you hold yourself, and for as long as you hold it",
				errs.Meta("permission", p), errs.Meta("resource", resource))
		}
	}
	return nil
}

// MayGrant returns Denied unless the caller may make the grant, which has
// passed grant.Check: GRANT_EXCEEDS_CALLER without all that it gives or denies,
// and without permission.grants.create on its resource; TARGET_EXCEEDS_CALLER
// for one that denies, unless its subject holds nothing that the caller lacks.
// Else whoever may give little could lock out whoever may do much.
func (e *Editor) MayGrant(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	needed, err := e.permissionsOf(tx, g)
	if err != nil {
		return err
	}
	// To give away power over "installation" takes more than to be in charge
	// of grants of one's organisation.
	needed = append(needed, CreateGrants)
	if err := e.MayGive(tx, by, g.GetResource(), needed, g.GetExpireTime().GetSeconds()); err != nil {
		return err
	}
	if grant.Denies(g) {
		return e.mayDeny(tx, by, g)
	}
	return nil
}

// mayDeny returns Denied (TARGET_EXCEEDS_CALLER) unless the caller covers the
// account that something is denied to. Whoever denies something to many at
// once has to administer the organisation, because any of them may hold more.
func (e *Editor) mayDeny(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	if by.Kind() == authn.System {
		return nil
	}
	facts, home := e.Loader.Snapshot(tx), subject.OrganizationOf(g.GetSubject())
	if subject.IsAccount(g.GetSubject()) {
		gap, err := e.Rules.Cover(facts, home, by.Name, g.GetSubject(), tx.Time)
		if err != nil || gap == (decide.Gap{}) {
			return err
		}
		return errs.New(errs.Denied, reasonTarget, "you can deny something only to somebody who holds no more than you do",
			errs.Meta("permission", gap.Permission), errs.Meta("resource", gap.Resource))
	}
	administers, err := e.Rules.Administers(facts, home, by.Name, tx.Time, g.GetExpireTime().GetSeconds())
	if err != nil || administers {
		return err
	}
	return errs.New(errs.Denied, reasonTarget, "only who administers the organisation can deny something to a team, a segment, holders or a whole kind of accounts")
}

// MayRevoke returns Denied (GRANT_EXCEEDS_CALLER) when the grant denies and the
// caller lacks what would be given back: to lift a denial is to give. Whoever
// administers the organisation, and is denied nothing, may lift any.
func (e *Editor) MayRevoke(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	expires := g.GetExpireTime().GetSeconds()
	if !grant.Denies(g) || by.Kind() == authn.System || expires != 0 && expires <= tx.Time.Unix() {
		return nil
	}
	home := subject.OrganizationOf(g.GetSubject())
	administers, err := e.Rules.Administers(e.Loader.Snapshot(tx), home, by.Name, tx.Time, expires)
	if err != nil || administers {
		return err
	}
	taken, err := e.permissionsOf(tx, g)
	if err != nil {
		return err
	}
	return e.MayGive(tx, by, g.GetResource(), taken, expires)
}

// MayRevokeNamed is MayRevoke for a grant that may not be there, which is for
// grant.Delete to say.
func (e *Editor) MayRevokeNamed(tx *change.Tx, by authn.Caller, name string) error {
	g, err := e.Grants.Get(tx, name)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.MayRevoke(tx, by, g)
}

// permissionsOf returns all permissions that the grant gives or takes away.
func (e *Editor) permissionsOf(tx *change.Tx, g *permissionv1.Grant) ([]string, error) {
	return e.Roles.Gives(tx, subject.OrganizationOf(g.GetName()), g.GetRole())
}
