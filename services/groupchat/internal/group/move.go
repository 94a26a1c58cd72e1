package group

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// moveChunk is how many members, or groups, one transaction of a move changes.
const moveChunk = 20

// memberships is the kind of the lines of members.
const memberships = "members"

// MovedMembers is what becomes of the memberships of an account that is merged into
// another one. Where that one is no member, the membership is its from then on, as it
// is: role, nickname, inviter and times. Where both are, the other's own membership
// stays, with its role, since a merge gives nobody more than he had; but a group
// always has an owner, and where that was the duplicate it is the survivor.
//
// Service permission hears of both by the intents of such a change.
func (g *Groups) MovedMembers() move.Kind {
	return move.Kind{Name: memberships, Move: g.moveMembers, Back: g.memberBack}
}

func (g *Groups) moveMembers(m *move.Move) (more bool, err error) {
	p, err := g.members.List(m, kv.Query{Index: "account", Prefix: nameKey(m.From), Limit: moveChunk})
	if err != nil {
		return false, err
	}
	for _, was := range p.Values() {
		if err := g.moveMember(m, was); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

func (g *Groups) moveMember(m *move.Move, was *groupchatv1.Member) error {
	of, err := g.groups.Get(m, nameKey(resource.Parent(was.GetName())))
	if err != nil {
		return err
	}
	name, err := MemberOf(of.Value.GetName(), m.To)
	if err != nil {
		return err
	}
	own, both, err := g.members.Find(m, memberKey(name))
	if err != nil {
		return err
	}
	line := &storev1.MoveLine{Kind: memberships, Name: name, FormerName: was.GetName(), CreateTime: was.GetCreateTime()}
	if line.Was, err = proto.Marshal(was); err != nil {
		return err
	}
	v, now := of.Value, renamed(was, name, m.From, m.To)
	if both {
		if line.Beside, err = proto.Marshal(own.Value); err != nil {
			return err
		}
		now, v.MemberCount = nil, v.GetMemberCount()-1
		if was.GetRole() == owner {
			now = own.Value
			now.Role = owner
		}
	}
	if v.GetOwner() == m.From {
		v.Owner = m.To
	}
	if err := g.replace(m.Tx, v, was, now); err != nil {
		return err
	}
	return m.Note(line)
}

// renamed is a membership as that of another account. Its times stay: what it says of
// the person is as old as it was.
func renamed(m *groupchatv1.Member, name, from, to string) *groupchatv1.Member {
	m = proto.CloneOf(m)
	m.Name, m.Account = name, to
	if m.GetInviter() == from {
		m.Inviter = to
	}
	return m
}

// replace stores a group of which one membership ends and another one begins, or
// changes its role; nil is none.
func (g *Groups) replace(tx *change.Tx, v *groupchatv1.Group, ends, now *groupchatv1.Member) error {
	if err := g.stamp(tx, v); err != nil {
		return err
	}
	if ends != nil {
		if err := g.removeMember(tx, v, ends); err != nil {
			return err
		}
	}
	if now == nil {
		return nil
	}
	_, had, err := g.members.Find(tx, memberKey(now.GetName()))
	if err != nil {
		return err
	}
	if _, err := g.members.Put(tx, now, ""); err != nil {
		return err
	}
	if had {
		recordMember(tx, now, "updated", "role")
	} else {
		recordMember(tx, now, "created")
	}
	return g.intend(tx, v, now.GetAccount(), now.GetRole())
}

// memberBack gives a membership back to the account that had it: as it is now, when
// it was moved; as it was, when it had ended beside another one.
func (g *Groups) memberBack(m *move.Move, line *storev1.MoveLine) (done bool, err error) {
	was := &groupchatv1.Member{}
	if err := proto.Unmarshal(line.GetWas(), was); err != nil {
		return false, err
	}
	of, found, err := g.groups.Find(m, nameKey(resource.Parent(line.GetName())))
	if err != nil || !found || of.Value.GetCreateTime().AsTime().After(was.GetCreateTime().AsTime()) {
		return false, err // the group was purged, and perhaps there is another one of its name
	}
	v := of.Value
	now, found, err := g.members.Find(m, memberKey(line.GetName()))
	switch {
	case err != nil:
		return false, err
	case line.GetBeside() != nil:
		return true, g.memberAgain(m, v, was, now.Value, line)
	case !found || !move.Is(line, now.Value.GetCreateTime()):
		return false, nil // it left, and may have joined anew
	}
	back := proto.CloneOf(now.Value)
	back.Name, back.Account = was.GetName(), m.From
	if was.GetInviter() == m.From && back.GetInviter() == m.To {
		back.Inviter = m.From
	}
	if v.GetOwner() == m.To {
		v.Owner = m.From
	}
	return true, g.replace(m.Tx, v, now.Value, back)
}

// memberAgain makes a membership that had ended since the survivor had one. Who owned
// the group owns it again, unless the survivor has handed it over.
func (g *Groups) memberAgain(m *move.Move, v *groupchatv1.Group, was, now *groupchatv1.Member, line *storev1.MoveLine) error {
	own := &groupchatv1.Member{}
	if err := proto.Unmarshal(line.GetBeside(), own); err != nil {
		return err
	}
	v.MemberCount++
	handsBack := was.GetRole() == owner && v.GetOwner() == m.To
	switch {
	case handsBack || was.GetRole() == owner && v.GetOwner() == "":
		v.Owner = m.From
	case was.GetRole() == owner:
		was.Role = admin // as of any owner that was followed by another
	}
	if err := g.replace(m.Tx, v, nil, was); err != nil || !handsBack {
		return err
	}
	now.Role = own.GetRole()
	if _, err := g.members.Update(m, now, ""); err != nil {
		return err
	}
	recordMember(m.Tx, now, "updated", "role")
	return g.intend(m.Tx, v, m.To, now.GetRole())
}
