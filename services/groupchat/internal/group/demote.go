package group

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/move"
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

// DemoteMoved is Demote of an account that was merged into another one: what rests on
// its appointment ends also where the role went with the merge, and does not come back
// when that is undone. The role that the other one has of its own stays.
func (g *Groups) DemoteMoved(tx *change.Tx, moves *move.Book, group, account, role string) error {
	if !Name.Matches(group) || role != grantRoles[admin] {
		return nil
	}
	name, err := MemberOf(group, account)
	if err != nil {
		return nil // an account of another organisation is no member
	}
	to, line, err := moves.Survivor(tx, account, name)
	if err != nil || to == "" {
		return err
	}
	if line.GetBeside() == nil {
		if err := g.Demote(tx, group, to, role); err != nil {
			return err
		}
		return g.DemoteMoved(tx, moves, group, to, role) // it may be merged itself
	}
	was := &groupchatv1.Member{}
	if err := proto.Unmarshal(line.GetWas(), was); err != nil || was.GetRole() != admin {
		return err
	}
	was.Role = plain
	if line.Was, err = proto.Marshal(was); err != nil {
		return err
	}
	return moves.Amend(tx, line)
}
