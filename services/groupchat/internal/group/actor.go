package group

import (
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Actor is who acts on a group's members or messages.
type Actor struct {
	// Account is the caller's.
	Account string
	// Enterprise says that it holds the permission for the act on the whole
	// organisation: it acts for the enterprise, whatever its membership.
	//
	// That it is no member must not be taken for this: somebody who was just
	// removed is no member either, and service permission may be about to
	// hear of it.
	Enterprise bool
}

// Role returns the role of an account in a group, and whether it is a member.
func (g *Groups) Role(r kv.Reader, group, account string) (groupchatv1.MemberRole, bool, error) {
	name, err := MemberOf(group, account)
	if err != nil {
		return 0, false, nil // an account of another organisation is no member
	}
	rec, found, err := g.members.Find(r, memberKey(name))
	return rec.Value.GetRole(), found, err
}

// Leaving reports whether an account has been removed from a group and service
// permission has yet to confirm it: what permission says of the account is
// still that of a member.
func (g *Groups) Leaving(r kv.Reader, group, account string) (bool, error) {
	rec, found, err := g.intents.Find(r, intentKey(group, account))
	return found && rec.Value.GetRole() == "", err
}

// require returns Denied, ADMIN_REQUIRED or OWNER_REQUIRED, when the actor has
// less than the role in the group and does not act for the enterprise. That it
// may do such a thing at all, service permission has said already.
func (g *Groups) require(r kv.Reader, group string, actor Actor, role groupchatv1.MemberRole) error {
	if actor.Enterprise {
		return nil
	}
	has, _, err := g.Role(r, group, actor.Account)
	switch {
	case err != nil || has >= role:
		return err
	case role == owner:
		return errs.New(errs.Denied, "OWNER_REQUIRED", "only the owner of the group may do this")
	}
	return errs.New(errs.Denied, "ADMIN_REQUIRED", "only an administrator of the group may do this")
}

// Runs reports whether the actor runs the group: is its administrator or
// owner, or acts for the enterprise.
func (g *Groups) Runs(r kv.Reader, group string, actor Actor) (bool, error) {
	err := g.require(r, group, actor, admin)
	if errs.Is(err, errs.Denied) {
		return false, nil
	}
	return err == nil, err
}
