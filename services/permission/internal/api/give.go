package api

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

// mayGrant returns Denied unless the caller may make the grant, which has
// passed grant.Check: GRANT_EXCEEDS_CALLER without all that it gives or denies,
// and without permission.grants.create on its resource; TARGET_EXCEEDS_CALLER
// for one that denies, unless its subject holds nothing that the caller lacks.
// Else whoever may give little could lock out whoever may do much.
func (cfg Config) mayGrant(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	needed, err := cfg.permissionsOf(tx, g)
	if err != nil {
		return err
	}
	// To give away power over "installation" takes more than to be in charge
	// of grants of one's organisation.
	needed = append(needed, createGrants)
	if err := cfg.mayGive(tx, by, g.GetResource(), needed, g.GetExpireTime().GetSeconds()); err != nil {
		return err
	}
	if grant.Denies(g) {
		return cfg.mayDeny(tx, by, g)
	}
	return nil
}

// mayDeny returns Denied (TARGET_EXCEEDS_CALLER) unless the caller covers the
// account that something is denied to. Whoever denies something to many at
// once has to administer the organisation, because any of them may hold more.
func (cfg Config) mayDeny(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	if by.Kind() == authn.System {
		return nil
	}
	facts, home := cfg.Loader.Snapshot(tx), subject.OrganizationOf(g.GetSubject())
	if subject.IsAccount(g.GetSubject()) {
		gap, err := cfg.Rules.Cover(facts, home, by.Name, g.GetSubject(), tx.Time)
		if err != nil || gap == (decide.Gap{}) {
			return err
		}
		return errs.New(errs.Denied, reasonTarget, "you can deny something only to somebody who holds no more than you do",
			errs.Meta("permission", gap.Permission), errs.Meta("resource", gap.Resource))
	}
	administers, err := cfg.Rules.Administers(facts, home, by.Name, tx.Time, g.GetExpireTime().GetSeconds())
	if err != nil || administers {
		return err
	}
	return errs.New(errs.Denied, reasonTarget, "only who administers the organisation can deny something to a team, a segment, holders or a whole kind of accounts")
}

// mayRevoke returns Denied (GRANT_EXCEEDS_CALLER) when the grant denies and the
// caller lacks what would be given back: to lift a denial is to give. Whoever
// administers the organisation, and is denied nothing, may lift any.
func (cfg Config) mayRevoke(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	expires := g.GetExpireTime().GetSeconds()
	if !grant.Denies(g) || by.Kind() == authn.System || expires != 0 && expires <= tx.Time.Unix() {
		return nil
	}
	home := subject.OrganizationOf(g.GetSubject())
	administers, err := cfg.Rules.Administers(cfg.Loader.Snapshot(tx), home, by.Name, tx.Time, expires)
	if err != nil || administers {
		return err
	}
	taken, err := cfg.permissionsOf(tx, g)
	if err != nil {
		return err
	}
	return cfg.mayGive(tx, by, g.GetResource(), taken, expires)
}

// mayRevokeNamed is mayRevoke for a grant that may not be there, which is for
// grant.Delete to say.
func (cfg Config) mayRevokeNamed(tx *change.Tx, by authn.Caller, name string) error {
	g, err := cfg.Grants.Get(tx, name)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return cfg.mayRevoke(tx, by, g)
}

// permissionsOf returns all permissions that the grant gives or takes away.
func (cfg Config) permissionsOf(tx *change.Tx, g *permissionv1.Grant) ([]string, error) {
	return cfg.Roles.Gives(tx, subject.OrganizationOf(g.GetName()), g.GetRole())
}
