package groupchat_test

import (
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat"
)

func (w *world) setRole(t testing.TB, as, group, account string, role groupchatv1.MemberRole) error {
	_, err := w.groups(t, as).UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
		Member:     &groupchatv1.Member{Name: memberName(group, account), Role: role},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"role"}},
	})
	return err
}

func (w *world) remove(t testing.TB, as, group, account string) error {
	_, err := w.groups(t, as).DeleteMember(t.Context(), &groupchatv1.DeleteMemberRequest{Name: memberName(group, account)})
	return err
}

func (w *world) members(t testing.TB, group string) (all []*groupchatv1.Member) {
	t.Helper()
	for token := ""; ; {
		p := must(w.groups(t, boss).ListMembers(t.Context(), &groupchatv1.ListMembersRequest{Parent: group, PageSize: 2, PageToken: token}))(t)
		all = append(all, p.GetMembers()...)
		if token = p.GetNextPageToken(); token == "" {
			return all
		}
	}
}

func TestMember_addedChangedRemoved(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei, bo)
		c := w.groups(t, clerk)
		before := must(c.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
		m := must(c.GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(name, mei)}))(t)
		if m.GetAccount() != mei || m.GetRole() != plain || m.GetInviter() != clerk || m.GetEtag() == "" {
			t.Errorf("added: %v", m)
		}
		m = must(c.UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{Member: &groupchatv1.Member{Name: m.GetName(), Nickname: "Miss Mei", Etag: m.GetEtag()}}))(t)
		if m.GetNickname() != "Miss Mei" || m.GetRole() != plain {
			t.Errorf("updated without a mask: %v", m)
		}
		_, err := c.UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{Member: &groupchatv1.Member{Name: m.GetName(), Nickname: "x", Etag: "stale"}})
		wantErr(t, err, errs.Conflict, "ETAG_MISMATCH")
		var names []string
		for _, m := range w.members(t, name) {
			names = append(names, m.GetName())
		}
		if want := []string{memberName(name, mei), memberName(name, bo), memberName(name, clerk)}; !slices.Equal(names, want) {
			t.Errorf("listed: %v, want %v", names, want)
		}
		if err := w.remove(t, clerk, name, mei); err != nil {
			t.Fatal(err)
		}
		after := must(c.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
		if after.GetMemberCount() != 2 || after.GetMemberVersion() <= before.GetMemberVersion() {
			t.Errorf("group after a removal: %v, before: %v", after, before)
		}
		_, err = c.GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(name, mei)})
		wantErr(t, err, errs.NotFound, "MEMBER_NOT_FOUND")
		w.add(t, name, mei, 0)
		w.say(t, name, mei, "back again")
	})
}

func TestMember_rightsHoldWhenTheCallReturns(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1")
		for range 5 {
			w.add(t, name, mei, 0)
			w.say(t, name, mei, "hello")
			if err := w.remove(t, clerk, name, mei); err != nil {
				t.Fatal(err)
			}
			_, err := w.messages(t, mei).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name})
			wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
			_, err = w.messages(t, mei).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{Parent: name, Message: &groupchatv1.Message{Text: "x"}})
			wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		}
	})
}

func TestMember_refusals(t *testing.T) {
	w := start(t, setting{config: func(c *groupchat.Config) { c.MaxMembers = 4 }})
	name := w.group(t, "g1", mei)
	w.add(t, name, bo, admin)
	add := func(as, account string, role groupchatv1.MemberRole) error {
		_, err := w.groups(t, as).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: account, Role: role}})
		return err
	}
	for _, c := range []struct {
		what   string
		err    error
		kind   errs.Kind
		reason string
		field  []string
	}{
		{"there already", add(clerk, mei, 0), errs.Exists, "MEMBER_EXISTS", nil},
		{"no such account", add(clerk, acme+"/customers/nobody", 0), errs.Invalid, "ACCOUNT_INVALID", []string{"member.account"}},
		{"no such staff", add(clerk, acme+"/staff/nobody", 0), errs.Invalid, "ACCOUNT_INVALID", []string{"member.account"}},
		{"deleted account", add(clerk, acme+"/customers/gone", 0), errs.Invalid, "ACCOUNT_INVALID", []string{"member.account"}},
		{"another organisation's", add(clerk, "organizations/rival/customers/li", 0), errs.Invalid, "ACCOUNT_INVALID", []string{"member.account"}},
		{"a team", add(clerk, acme+"/teams/t1", 0), errs.Invalid, "ACCOUNT_INVALID", []string{"member.account"}},
		{"a second owner", add(clerk, li, owner), errs.Invalid, "ROLE_INVALID", []string{"member.role"}},
		{"a role unknown", add(clerk, li, 7), errs.Invalid, "ROLE_INVALID", []string{"member.role"}},
		{"an administrator by one", add(bo, li, admin), errs.Denied, "OWNER_REQUIRED", nil},
		{"by a plain member", add(mei, li, 0), errs.Denied, "PERMISSION_DENIED", nil},
		{"promotion by an administrator", w.setRole(t, bo, name, mei, admin), errs.Denied, "OWNER_REQUIRED", nil},
		{"demotion of the owner", w.setRole(t, clerk, name, clerk, admin), errs.Precondition, "LAST_OWNER", nil},
		{"no role", w.setRole(t, clerk, name, mei, 0), errs.Invalid, "ROLE_INVALID", []string{"member.role"}},
		{"an unknown role", w.setRole(t, clerk, name, mei, 7), errs.Invalid, "ROLE_INVALID", []string{"member.role"}},
		{"no such member", w.setRole(t, clerk, name, li, admin), errs.NotFound, "MEMBER_NOT_FOUND", nil},
		{"the owner leaves", w.remove(t, clerk, name, clerk), errs.Precondition, "LAST_OWNER", nil},
		{"the owner is removed", w.remove(t, boss, name, clerk), errs.Precondition, "LAST_OWNER", nil},
		{"a plain member removes another", w.remove(t, mei, name, bo), errs.Denied, "OWNER_REQUIRED", nil},
		{"the fourth", add(clerk, li, 0), 0, "", nil},
		{"a plain member removes a plain one", w.remove(t, mei, name, li), errs.Denied, "ADMIN_REQUIRED", nil},
		{"the fifth", add(clerk, acme+"/customers/wu", 0), errs.Exhausted, "GROUP_FULL", nil},
		{"an administrator removes a plain member", w.remove(t, bo, name, li), 0, "", nil},
		{"a plain member leaves", w.remove(t, mei, name, mei), 0, "", nil},
		{"the enterprise adds an administrator", add(boss, mei, admin), 0, "", nil},
		{"an administrator removes another", w.remove(t, mei, name, bo), errs.Denied, "OWNER_REQUIRED", nil},
		{"the enterprise removes an administrator", w.remove(t, boss, name, mei), 0, "", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.reason == "" && c.err == nil {
				return
			}
			wantErr(t, c.err, c.kind, c.reason, c.field...)
		})
	}
}

func TestMember_handOverMovesTheOwnerAndItsRights(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", bo)
		if err := w.setRole(t, clerk, name, bo, owner); err != nil {
			t.Fatal(err)
		}
		wantOneOwner(t, w, name, bo)
		err := w.setRole(t, clerk, name, clerk, owner)
		wantErr(t, err, errs.Denied, "OWNER_REQUIRED")
		if err := w.setRole(t, boss, name, clerk, owner); err != nil {
			t.Errorf("the enterprise takes a group back: %v", err)
		}
		wantOneOwner(t, w, name, clerk)
	})
}

// wantOneOwner wants exactly one owner, the same in the group, among its
// members and in service permission; any if account is empty.
func wantOneOwner(t testing.TB, w *world, name, account string) {
	t.Helper()
	g := must(w.groups(t, boss).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
	var owners []string
	members := w.members(t, name)
	for _, m := range members {
		if m.GetRole() == owner {
			owners = append(owners, m.GetAccount())
		}
	}
	if !slices.Equal(owners, []string{g.GetOwner()}) || int(g.GetMemberCount()) != len(members) {
		t.Fatalf("owners %v of %d members in %v", owners, len(members), g)
	}
	if account != "" && g.GetOwner() != account {
		t.Fatalf("the owner is %s, want %s", g.GetOwner(), account)
	}
	if held := w.permission.holders(name, "roles/group.owner"); !slices.Equal(held, owners) {
		t.Fatalf("permission has the owners %v, want %v", held, owners)
	}
}

func TestMember_concurrentHandOversLeaveOneOwner(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := start(t, setting{Options: servetest.Options{Engine: engine}})
			everybody := []string{clerk, bo, mei, li}
			name := w.group(t, "g1", everybody[1:]...)
			for range 5 {
				var wg sync.WaitGroup
				for _, account := range everybody {
					wg.Go(func() {
						err := w.setRole(t, boss, name, account, owner)
						if err != nil && errs.ReasonOf(err) != "LAST_OWNER" {
							t.Errorf("hand over to %s: %v", account, err)
						}
					})
					wg.Go(func() { _ = w.setRole(t, boss, name, account, plain) }) // LAST_OWNER for one of them
				}
				wg.Wait()
				wantOneOwner(t, w, name, "")
			}
		})
	}
}

// TestMember_anySequenceKeepsOneOwner plays random changes by random people:
// whatever is refused, there is one owner, the counts are right, and what
// permission has is what the members have.
func TestMember_anySequenceKeepsOneOwner(t *testing.T) {
	w := start(t, setting{})
	everybody := []string{clerk, bo, mei, li, boss}
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		name := w.group(t, "p"+string(rune('a'+n%26))+rapid.StringMatching(`[a-z0-9]{16}`).Draw(r, "id"))
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			who, whom := rapid.SampledFrom(everybody).Draw(r, "who"), rapid.SampledFrom(everybody).Draw(r, "whom")
			role := groupchatv1.MemberRole(rapid.IntRange(0, 4).Draw(r, "role"))
			switch rapid.IntRange(0, 2).Draw(r, "act") {
			case 0:
				_, _ = w.groups(t, who).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: whom, Role: role}})
			case 1:
				_ = w.setRole(t, who, name, whom, role)
			case 2:
				_ = w.remove(t, who, name, whom)
			}
			wantOneOwner(t, w, name, "")
			wantGrantsOfMembers(t, w, name, everybody)
		}
	})
}

// wantGrantsOfMembers wants service permission to have what follows from the
// memberships.
func wantGrantsOfMembers(t testing.TB, w *world, name string, accounts []string) {
	t.Helper()
	want := map[string]string{}
	for _, m := range w.members(t, name) {
		want[m.GetAccount()] = map[groupchatv1.MemberRole]string{plain: "roles/group.member", admin: "roles/group.admin", owner: "roles/group.owner"}[m.GetRole()]
	}
	for _, a := range accounts {
		if got := w.permission.role(a, name); got != want[a] {
			t.Fatalf("%s has %q, want %q", a, got, want[a])
		}
	}
}
