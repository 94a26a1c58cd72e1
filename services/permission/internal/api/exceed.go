package api

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
)

const (
	// reasonExceeds is the reason of a refusal to give what the caller lacks.
	reasonExceeds = "GRANT_EXCEEDS_CALLER"
	// reasonTarget is that of a refusal to take from somebody who has more.
	reasonTarget = "TARGET_EXCEEDS_CALLER"
)

// mayGive returns Denied (GRANT_EXCEEDS_CALLER) unless the caller holds each
// of the permissions on the resource, now and until the Unix second at which
// what is given expires; 0 is never. Else a right for a day would be one for
// ever. It asks inside the transaction of the change, so that nobody gives away
// what is taken from him at the same moment. The suite's own services give on
// behalf of nobody.
func (cfg Config) mayGive(tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error {
	return cfg.mayGiveBy(cfg.Loader.Snapshot(tx), tx, by, resource, permissions, expires)
}

// mayGiveBy is mayGive by facts that are not quite those of the transaction.
func (cfg Config) mayGiveBy(facts decide.Facts, tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error {
	if by.Kind() == authn.System {
		return nil
	}
	home := by.Organization()
	for _, p := range permissions {
		q := decide.Question{Subject: by.Name, Permission: p, Resource: resource}
		a, err := cfg.Rules.Lasting(facts, home, q, tx.Time, expires)
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

// Give stores a grant that somebody gives, with its trace, unless they hold
// less than it gives: the rule of CreateGrant, for all that makes grants.
// Reasons are those of CreateGrant.
func (cfg Config) Give(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) (*permissionv1.Grant, error) {
	if err := cfg.checkGiver(tx, by, g); err != nil {
		return nil, err
	}
	stored, v, err := cfg.Grants.Create(tx, tx.Time, g)
	if err != nil {
		return nil, err
	}
	recordCreated(tx, stored, v)
	return cfg.changedGrant(stored, v), nil
}

// KeepRefusal writes an attempt to give too much into the audit log.
func (cfg Config) KeepRefusal(ctx context.Context, name string, err error) {
	if reason := errs.ReasonOf(err); reason == reasonExceeds || reason == reasonTarget {
		cfg.Journal.Audit.Denied(ctx, name, reason)
	}
}
