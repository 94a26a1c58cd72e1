package group

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// MemberName is the form of a member's name.
const MemberName = resource.Pattern("organizations/{organization}/groups/{group}/members/{member}")

const (
	plain = groupchatv1.MemberRole_MEMBER_ROLE_MEMBER
	admin = groupchatv1.MemberRole_MEMBER_ROLE_ADMIN
	owner = groupchatv1.MemberRole_MEMBER_ROLE_OWNER
)

// memberPrefixes are the first part of a member's id, by the kind of its
// account: a customer and a member of staff may have the same id.
var memberPrefixes = map[authn.Kind]string{
	authn.Staff:          "staff-",
	authn.Customer:       "customer-",
	authn.ServiceAccount: "service-",
}

// MemberOf returns the name of the account's membership in the group. It is
// Invalid (ACCOUNT_INVALID) when account is no account of the group's
// organisation.
func MemberOf(group, account string) (string, error) {
	kind, org, ok := authn.ParseName(account)
	prefix, may := memberPrefixes[kind]
	if !ok || !may || org != resource.Parent(group) {
		return "", errs.InvalidField("member.account", "ACCOUNT_INVALID", "name a customer, a member of staff or a service account of the same organisation")
	}
	name := group + "/members/" + prefix + account[strings.LastIndexByte(account, '/')+1:]
	_, err := MemberName.Parse("member.account", name)
	return name, err
}

// CreateMember adds an account to a group, invited by actor. Reasons:
// GROUP_NOT_FOUND, GROUP_DELETED, MEMBER_EXISTS, ACCOUNT_INVALID, GROUP_FULL,
// OWNER_REQUIRED, ADMIN_REQUIRED, ROLE_INVALID.
func (g *Groups) CreateMember(tx *change.Tx, parent string, actor Actor, in *groupchatv1.Member) (*groupchatv1.Member, error) {
	group, err := g.Live(tx, "parent", parent)
	if err != nil {
		return nil, err
	}
	role := in.GetRole()
	if role == 0 {
		role = plain
	}
	switch role {
	case plain:
		err = g.require(tx, parent, actor, admin)
	case admin:
		err = g.require(tx, parent, actor, owner)
	case owner:
		err = errs.InvalidField("member.role", "ROLE_INVALID", "a group has one owner; add a member, then update its role to OWNER to hand over")
	default:
		err = errRole()
	}
	if err != nil {
		return nil, err
	}
	if group.GetMemberCount() >= g.limits.MaxMembers {
		return nil, errs.New(errs.Exhausted, "GROUP_FULL", fmt.Sprintf("a group has at most %d members", g.limits.MaxMembers))
	}
	group.MemberCount++
	if err := g.stamp(tx, group); err != nil {
		return nil, err
	}
	return g.insertMember(tx, group, &groupchatv1.Member{
		Account: in.GetAccount(), Role: role, Nickname: in.GetNickname(), Inviter: actor.Account,
	})
}

// stamp stores a group whose members have changed.
func (g *Groups) stamp(tx *change.Tx, group *groupchatv1.Group) error {
	group.MemberVersion = nextVersion(group.MemberVersion, tx.Time)
	group.UpdateTime = timestamppb.New(tx.Time)
	_, err := g.groups.Update(tx, group, "")
	return err
}

// insertMember stores a member of a group whose counts include it already.
func (g *Groups) insertMember(tx *change.Tx, group *groupchatv1.Group, m *groupchatv1.Member) (*groupchatv1.Member, error) {
	name, err := MemberOf(group.GetName(), m.GetAccount())
	if err != nil {
		return nil, err
	}
	m.Name = name
	m.CreateTime = timestamppb.New(tx.Time)
	m.UpdateTime = m.CreateTime
	rec, err := g.members.Create(tx, m)
	if err != nil {
		return nil, err
	}
	if err := g.intend(tx, group, m.GetAccount(), m.GetRole()); err != nil {
		return nil, err
	}
	recordMember(tx, rec.Value, "created")
	return viewMember(rec), nil
}

// GetMember returns a member. Reasons: MEMBER_NOT_FOUND.
func (g *Groups) GetMember(r kv.Reader, name string) (*groupchatv1.Member, error) {
	rec, err := g.getMember(r, "name", name)
	if err != nil {
		return nil, err
	}
	return viewMember(rec), nil
}

func (g *Groups) getMember(r kv.Reader, field, name string) (kv.Record[*groupchatv1.Member], error) {
	if _, err := MemberName.Parse(field, name); err != nil {
		return kv.Record[*groupchatv1.Member]{}, err
	}
	return g.members.Get(r, memberKey(name))
}

// ListMembers returns a page of the members by name, and where the next one
// starts. Reasons: GROUP_NOT_FOUND.
func (g *Groups) ListMembers(r kv.Reader, parent string, after []byte, limit int) ([]*groupchatv1.Member, []byte, error) {
	if _, err := g.get(r, "parent", parent); err != nil {
		return nil, nil, err
	}
	p, err := g.members.List(r, kv.Query{Prefix: nameKey(parent), After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*groupchatv1.Member, len(p.Records))
	for i, rec := range p.Records {
		out[i] = viewMember(rec)
	}
	return out, p.Next, nil
}

// UpdateMember changes the fields at the paths, "role" and "nickname". Reasons:
// MEMBER_NOT_FOUND, GROUP_DELETED, ETAG_MISMATCH, LAST_OWNER, OWNER_REQUIRED,
// ADMIN_REQUIRED, ROLE_INVALID.
func (g *Groups) UpdateMember(tx *change.Tx, actor Actor, in *groupchatv1.Member, paths []string) (*groupchatv1.Member, error) {
	rec, err := g.getMember(tx, "member.name", in.GetName())
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(in.GetEtag()); err != nil {
		return nil, err
	}
	group, err := g.Live(tx, "member.name", resource.Parent(in.GetName()))
	if err != nil {
		return nil, err
	}
	v := proto.CloneOf(rec.Value)
	for _, path := range paths {
		switch path {
		case "nickname":
			v.Nickname = in.GetNickname()
		case "role":
			v.Role = in.GetRole()
		}
	}
	if err := g.require(tx, group.GetName(), actor, admin); err != nil {
		return nil, err
	}
	if proto.Equal(v, rec.Value) {
		tx.Unchanged()
		return viewMember(rec), nil
	}
	if v.GetRole() != rec.Value.GetRole() {
		if err := g.changeRole(tx, group, rec.Value, v.GetRole(), actor); err != nil {
			return nil, err
		}
	}
	v.UpdateTime = timestamppb.New(tx.Time)
	now, err := g.members.Update(tx, v, "")
	if err != nil {
		return nil, err
	}
	recordMember(tx, v, "updated", change.ChangedFields(rec.Value, v)...)
	return viewMember(now), nil
}

// changeRole does all of a change of role but to write the member itself.
func (g *Groups) changeRole(tx *change.Tx, group *groupchatv1.Group, m *groupchatv1.Member, role groupchatv1.MemberRole, actor Actor) error {
	if _, known := grantRoles[role]; !known {
		return errRole()
	}
	if m.GetRole() == owner {
		return errLastOwner()
	}
	if err := g.require(tx, group.GetName(), actor, owner); err != nil {
		return err
	}
	before := group.GetOwner()
	if role == owner {
		group.Owner = m.GetAccount()
	}
	if err := g.stamp(tx, group); err != nil {
		return err
	}
	if role == owner {
		if err := g.stepDown(tx, group, before); err != nil {
			return err
		}
	}
	return g.intend(tx, group, m.GetAccount(), role)
}

// stepDown makes the owner of before an administrator.
func (g *Groups) stepDown(tx *change.Tx, group *groupchatv1.Group, before string) error {
	if before == "" {
		return nil // all its members are gone, and it was undeleted
	}
	name, err := MemberOf(group.GetName(), before)
	if err != nil {
		return err
	}
	rec, err := g.members.Modify(tx, memberKey(name), "", func(m *groupchatv1.Member) error {
		m.Role = admin
		m.UpdateTime = timestamppb.New(tx.Time)
		return nil
	})
	if err != nil {
		return err
	}
	recordMember(tx, rec.Value, "updated", "role")
	return g.intend(tx, group, rec.Value.GetAccount(), admin)
}

// DeleteMember removes a member. Reasons: MEMBER_NOT_FOUND, ETAG_MISMATCH,
// LAST_OWNER, OWNER_REQUIRED, ADMIN_REQUIRED.
func (g *Groups) DeleteMember(tx *change.Tx, actor Actor, name, etag string) (*groupchatv1.Member, error) {
	rec, err := g.getMember(tx, "name", name)
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	group, err := g.get(tx, "name", resource.Parent(name))
	if err != nil {
		return nil, err
	}
	if err := g.mayRemove(tx, group.Value.GetName(), actor, rec.Value); err != nil {
		return nil, err
	}
	v := group.Value
	v.MemberCount--
	if err := g.stamp(tx, v); err != nil {
		return nil, err
	}
	return viewMember(rec), g.removeMember(tx, v, rec.Value)
}

// removeMember deletes the record of a member whose group has forgotten it.
func (g *Groups) removeMember(tx *change.Tx, group *groupchatv1.Group, m *groupchatv1.Member) error {
	if _, err := g.members.Delete(tx, memberKey(m.GetName()), ""); err != nil {
		return err
	}
	if err := g.intend(tx, group, m.GetAccount(), 0); err != nil {
		return err
	}
	gone := proto.CloneOf(m)
	gone.Role = 0
	recordMember(tx, gone, "deleted")
	return nil
}

// mayRemove reports why the actor may not remove the member: everybody but the
// owner may leave, an administrator removes plain members, the owner anybody
// else.
func (g *Groups) mayRemove(r kv.Reader, group string, actor Actor, m *groupchatv1.Member) error {
	switch {
	case m.GetRole() == owner:
		return errLastOwner()
	case actor.Account == m.GetAccount():
		return nil
	case m.GetRole() == admin:
		return g.require(r, group, actor, owner)
	}
	return g.require(r, group, actor, admin)
}

func errLastOwner() error {
	return errs.New(errs.Precondition, "LAST_OWNER", "a group always has an owner; make another member the owner first")
}

func errRole() error {
	return errs.InvalidField("member.role", "ROLE_INVALID", "send MEMBER, ADMIN or OWNER")
}

func recordMember(tx *change.Tx, m *groupchatv1.Member, past string, fields ...string) {
	role := ""
	if m.GetRole() != 0 {
		role = strings.TrimPrefix(m.GetRole().String(), "MEMBER_ROLE_")
	}
	tx.Record(change.Change{
		Resource: m.GetName(),
		Type:     "guildhall.groupchat.member." + past + ".v1",
		Data: &groupchatv1.MemberChanged{
			Group: resource.Parent(m.GetName()), Account: m.GetAccount(), Role: role,
		},
		ChangedFields: fields,
	})
}
