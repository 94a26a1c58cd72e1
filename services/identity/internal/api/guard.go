package api

import (
	"context"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/identity/internal/team"
)

// reasonExceeds is the reason of a refusal to put the caller in the place of
// somebody who holds more.
const reasonExceeds = "TARGET_EXCEEDS_CALLER"

// patience bounds a question to permission within the call that needs it.
const patience = 3 * time.Second

// Covers refuses a call that would give the caller more than it has, and keeps
// the attempt in the audit log. Who invites an account can be that account, and
// who is added to a team holds what the team does: without the question, the
// right to invite would be the right to everything.
//
// The target, an account or a team, needs not ask about itself, nor do the
// suite's own services. It asks another service, so it is for before a
// transaction. Errors are Denied (TARGET_EXCEEDS_CALLER, with the first
// permission that the caller lacks), Unavailable (PERMISSION_UNAVAILABLE) when
// there is no answer, and Unauthenticated without a caller.
func (c *Centres) Covers(ctx context.Context, target string) error {
	return c.ask(ctx, target, false, "you can do this only to those who hold nothing that you do not hold yourself")
}

// frees is covers for a call that takes somebody out of a team or a segment:
// whoever lifts a denial gives what it took, and must hold as much.
func (c *Centres) frees(ctx context.Context, target string) error {
	return c.ask(ctx, target, true, "something is denied to those whom you would take somebody out of, and you do not hold it yourself; only who holds it can do this")
}

// May refuses a caller who lacks a permission that the RPC's own rule does not
// ask for. Errors are Denied (PERMISSION_DENIED) and Unavailable
// (PERMISSION_UNAVAILABLE).
func (c *Centres) May(ctx context.Context, permission, resource string) error {
	caller, err := CallerOf(ctx)
	if err != nil || caller.Kind() == authn.System {
		return err
	}
	_, err = c.Checker.Check(ctx, authz.Request{
		Caller: caller, Permission: permission, Resources: []string{resource}, Approval: authz.ApprovalOf(ctx),
	})
	return err
}

func (c *Centres) ask(ctx context.Context, target string, denied bool, refusal string) error {
	caller, err := CallerOf(ctx)
	if err != nil {
		return err
	}
	if caller.Kind() == authn.System || caller.Name == target {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var answer *permissionv1.CheckCoverResponse
	// What a team holds depends on where it is, and permission hears of moves
	// from the feed: an answer from before one would let the caller in behind it.
	if team.Pattern.Matches(target) {
		_, err = c.Permission.CatchUp(bounded, &permissionv1.CatchUpRequest{})
	}
	if err == nil {
		answer, err = c.Checks.CheckCover(bounded, &permissionv1.CheckCoverRequest{
			Parent: caller.Organization(), Actor: caller.Name, Subject: target, Denied: denied,
		})
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unasked(err)
	case answer.GetCovered():
		return nil
	}
	c.Audit.Denied(ctx, target, reasonExceeds)
	return errs.New(errs.Denied, reasonExceeds, refusal, errs.Meta("permission", answer.GetPermission()))
}

// unasked is the error for permission that gave no answer.
func unasked(err error) error {
	return errs.New(errs.Unavailable, "PERMISSION_UNAVAILABLE", "permissions cannot be checked at the moment; try again",
		errs.Cause(err), errs.RetryAfter(time.Second))
}

// NotOneself refuses what would lock the caller out: an organisation could
// lose its last administrator by it.
func NotOneself(ctx context.Context, name string) error {
	if caller, ok := authn.FromContext(ctx); ok && caller.Name == name {
		return errs.New(errs.Precondition, "SELF_FORBIDDEN", "nobody can disable or delete the own account; ask another to do it")
	}
	return nil
}
