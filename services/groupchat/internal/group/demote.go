package group

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Demote makes an account that holds the role in the group, as service
// permission calls it, a plain member. It does nothing for a name that is no
// group's, for an account that is no member, and for one that holds another
// role by now.
func (g *Groups) Demote(tx *change.Tx, group, account, role string) error {
	if !Name.Matches(group) || role != grantRoles[admin] {
		return nil
	}
	has, _, err := g.Role(tx, group, account)
	if err != nil || has != admin {
		return err
	}
	v, err := g.get(tx, "resource", group)
	if err != nil {
		return err
	}
	if err := g.stamp(tx, v.Value); err != nil {
		return err
	}
	name, err := MemberOf(group, account)
	if err != nil {
		return err
	}
	rec, err := g.members.Modify(tx, memberKey(name), "", func(m *groupchatv1.Member) error {
		m.Role, m.UpdateTime = plain, timestamppb.New(tx.Time)
		return nil
	})
	if err != nil {
		return err
	}
	recordMember(tx, rec.Value, "updated", "role")
	return g.intend(tx, v.Value, account, plain)
}
