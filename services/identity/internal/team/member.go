package team

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const byAccount = "account"

// members is (team, name) -> TeamMember.
func members() *kv.Table[*identityv1.TeamMember] {
	return kv.NewTable(kv.TableConfig[*identityv1.TeamMember]{
		Name: "team_members", NotFound: "TEAM_MEMBER_NOT_FOUND", Exists: "TEAM_MEMBER_EXISTS",
		Key: func(m *identityv1.TeamMember) kv.Key { return memberKey(m.GetName()) },
		Indexes: []kv.Index[*identityv1.TeamMember]{{
			Name: byAccount,
			Keys: func(m *identityv1.TeamMember) []kv.Key { return []kv.Key{{kv.String(m.GetAccount())}} },
		}},
	})
}

func memberKey(name string) kv.Key { return key(name) }

// MemberName returns the name of an account's membership in a team.
func MemberName(team, account string) string {
	return team + "/members/" + account[len(resource.Parent(account))+len("/staff/"):]
}

// AddMember makes a member of staff a member of the team. Its errors are
// NotFound (TEAM_NOT_FOUND), Exists (TEAM_MEMBER_EXISTS) and Exhausted
// (TEAM_FULL).
func (b *Book) AddMember(tx *change.Tx, team, account string) (*identityv1.TeamMember, error) {
	if _, err := b.Get(tx, team); err != nil {
		return nil, err
	}
	m := &identityv1.TeamMember{Name: MemberName(team, account), Account: account, CreateTime: timestamppb.New(tx.Time)}
	if _, err := b.members.Create(tx, m); err != nil {
		return nil, err
	}
	if err := b.resize(tx, team, +1); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: m.GetName(), Type: MemberCreatedType, Data: changed(m)})
	return m, nil
}

// ListMembers returns a page of a team's members, by account, and where to go
// on behind it, nil at the end. The error is NotFound (TEAM_NOT_FOUND).
func (b *Book) ListMembers(r kv.Reader, team string, after []byte, limit int) ([]*identityv1.TeamMember, []byte, error) {
	if _, err := b.Get(r, team); err != nil {
		return nil, nil, err
	}
	page, err := b.members.List(r, kv.Query{Prefix: kv.Key{kv.String(team)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*identityv1.TeamMember, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, nil
}

// RemoveMember ends a membership and returns what it was. The error is
// NotFound (TEAM_MEMBER_NOT_FOUND).
func (b *Book) RemoveMember(tx *change.Tx, name string) (*identityv1.TeamMember, error) {
	rec, found, err := b.members.Find(tx, memberKey(name))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errs.NotFoundName("TEAM_MEMBER_NOT_FOUND", name)
	}
	return rec.Value, b.remove(tx, rec.Value)
}

// RemoveAccount ends all memberships of an account.
func (b *Book) RemoveAccount(tx *change.Tx, account string) error {
	for rec, err := range b.members.Scan(tx, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		if err := b.remove(tx, rec.Value); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) remove(tx *change.Tx, m *identityv1.TeamMember) error {
	if _, err := b.members.Delete(tx, memberKey(m.GetName()), ""); err != nil {
		return err
	}
	if err := b.resize(tx, teamOf(m), -1); err != nil {
		return err
	}
	tx.Record(change.Change{Resource: m.GetName(), Type: MemberDeletedType, Data: changed(m)})
	return nil
}

func teamOf(m *identityv1.TeamMember) string { return resource.Parent(m.GetName()) }

func changed(m *identityv1.TeamMember) *identityv1.TeamMemberChanged {
	return &identityv1.TeamMemberChanged{Team: teamOf(m), Account: m.GetAccount()}
}
