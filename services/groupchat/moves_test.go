package groupchat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// tina is another account of mei.
const tina = acme + "/customers/tina"

// move has identity move mei to tina, or bring her back, waits until permission has
// heard of it, and returns the counts of the receipt.
func (w *world) move(t testing.TB, undo bool) map[string]int64 {
	t.Helper()
	_, counts := servetest.Move(t, w.subjects(t, servetest.Identity), mei, tina, undo)
	eventually(t, "permission hears of it", func() bool { return !slices.Contains(w.Holding(t, acme), "grant_intents") })
	return counts
}

// kept is all that the service gives out of both accounts, and the groups as they are.
func (w *world) kept(t testing.TB, groups ...string) (all []string) {
	t.Helper()
	for _, customer := range []string{mei, tina} {
		for _, r := range servetest.Export(t, w.subjects(t, servetest.Identity), customer, li) {
			all = append(all, customer+" "+r.GetKind()+" "+r.GetJson())
		}
	}
	for _, id := range groups {
		name := acme + "/groups/" + id
		g := must(w.groups(t, boss).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
		all = append(all, fmt.Sprint(id, " of ", g.GetOwner(), " with ", g.GetMemberCount()))
		for _, m := range w.members(t, name) {
			m.Etag = ""
			all = append(all, m.String()+" is "+w.permission.role(m.GetAccount(), name))
		}
	}
	return all
}

// wantTombstone wants nothing of mei to be left but what says that she was merged,
// and answers that go by themselves.
func (w *world) wantTombstone(t testing.TB) {
	t.Helper()
	tombs := []string{"moves", "moves__party", "move_lines", "move_lines__former", "merged_subjects", "change_answers", "change_expiries"}
	for _, name := range []string{mei, "/members/customer-mei"} {
		for _, table := range w.Holding(t, name) {
			if !slices.Contains(tombs, table) && !strings.HasPrefix(table, "feed_") && !strings.HasPrefix(table, "audit_") {
				t.Errorf("%s is left in %s", name, table)
			}
		}
	}
}

// TestMoveSubject_whereOneIsAMember: the whole membership, all that she wrote and did,
// and the groups that she owned are the other account's; and come back as they were.
func TestMoveSubject_whereOneIsAMember(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := leaving(t, engine)
			hers, others := w.life(t)
			before := w.kept(t, "own", "alone", "shop")
			counts := w.move(t, false)
			if counts["members"] != 3 || counts["inviters"] != 2 || counts["messages"] != 4 || counts["group_words"] != 3 {
				t.Errorf("moved are %v", counts)
			}
			w.wantTombstone(t)
			wanted, got := replaced(before), w.kept(t, "own", "alone", "shop")
			slices.Sort(wanted) // her name has another place among members
			if slices.Sort(got); !slices.Equal(got, wanted) {
				t.Errorf("there is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
			}
			m := must(w.messages(t, clerk).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: hers.GetName()}))(t)
			if m.GetSender() != tina || m.GetSequence() != hers.GetSequence() || m.GetText() != hers.GetText() {
				t.Errorf("her message is %v", m)
			}
			m = must(w.messages(t, clerk).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: others.GetName()}))(t)
			if m.GetSender() != li || m.GetRecaller() != tina || m.GetTypeChanges()[0].GetActor() != tina {
				t.Errorf("the other's message is %v", m)
			}
			if back := w.move(t, true); back["members"] != 3 || back["messages"] != 4 {
				t.Errorf("brought back are %v", back)
			}
			if after := w.kept(t, "own", "alone", "shop"); !slices.Equal(before, after) {
				t.Errorf("there is\n%s\nthere was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
		})
	}
}

// replaced is what is kept, as of the other account.
func replaced(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.NewReplacer(mei, tina, "customer-mei", "customer-tina").Replace(line)
	}
	return out
}

// TestMoveSubject_whereBothAreMembers: the other account keeps its own membership and
// role, and owns what she owned, since a group has an owner; and both come back.
func TestMoveSubject_whereBothAreMembers(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := leaving(t, engine)
			w.life(t)
			w.add(t, acme+"/groups/shop", tina, 0)
			must(w.groups(t, mei).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
				Parent: acme + "/groups/own", Member: &groupchatv1.Member{Account: tina, Nickname: "T"},
			}))(t)
			before := w.kept(t, "own", "alone", "shop")
			w.move(t, false)
			w.wantTombstone(t)
			for id, want := range map[string]string{"shop": "roles/group.member", "own": "roles/group.owner", "alone": "roles/group.owner"} {
				name := acme + "/groups/" + id
				if has, had := w.permission.role(tina, name), w.permission.role(mei, name); has != want || had != "" {
					t.Errorf("in %s the one has %q and the other %q, want %s", id, has, had, want)
				}
				g := must(w.groups(t, boss).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
				if got := len(w.members(t, name)); int32(got) != g.GetMemberCount() || (id == "shop") == (g.GetOwner() == tina) {
					t.Errorf("the group is %v, with %d members", g, got)
				}
			}
			w.move(t, true)
			if after := w.kept(t, "own", "alone", "shop"); !slices.Equal(before, after) {
				t.Errorf("there is\n%s\nthere was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
		})
	}
}

// TestMoveSubject_undoneAfterChanges: what was handed over or left since stays so; what
// was written since is the survivor's.
func TestMoveSubject_undoneAfterChanges(t *testing.T) {
	w := leaving(t, "bolt")
	w.life(t)
	own, shop := acme+"/groups/own", acme+"/groups/shop"
	w.move(t, false)
	must(w.groups(t, tina).UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
		Member: &groupchatv1.Member{Name: memberName(own, li), Role: owner}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"role"}},
	}))(t)
	must(w.groups(t, tina).DeleteMember(t.Context(), &groupchatv1.DeleteMemberRequest{Name: memberName(shop, tina)}))(t)
	must(w.groups(t, tina).UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
		Group: &groupchatv1.Group{Name: acme + "/groups/alone", Description: "Tina's"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	}))(t)
	said := w.say(t, own, tina, "new")
	w.move(t, true)
	if got := must(w.groups(t, boss).GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(own, mei)}))(t); got.GetRole() != admin || got.GetNickname() != "" {
		t.Errorf("in the group that was handed over she is %v", got)
	}
	_, err := w.groups(t, boss).GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(shop, mei)})
	wantErr(t, err, errs.NotFound, "MEMBER_NOT_FOUND")
	if m := must(w.messages(t, li).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: said.GetName()}))(t); m.GetSender() != tina {
		t.Errorf("what was said since is %v", m)
	}
	exports := func(customer, text string) bool {
		return slices.ContainsFunc(servetest.Export(t, w.subjects(t, servetest.Identity), customer, li), func(r *subjectv1.ExportedRecord) bool {
			return strings.Contains(r.GetJson(), text)
		})
	}
	if !exports(tina, "Tina's") || exports(mei, "Tina's") || !exports(mei, "Friends of "+private) || exports(tina, private) {
		t.Error("words are not of who wrote them")
	}
}

// TestMoveSubject_manyOfAll: more than one transaction takes, of each kind.
func TestMoveSubject_manyOfAll(t *testing.T) {
	w := leaving(t, "bolt")
	for i := range 25 {
		g := must(w.groups(t, mei).CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
			Parent: acme, GroupId: fmt.Sprint("g", i), Group: &groupchatv1.Group{DisplayName: private},
		}))(t)
		w.say(t, g.GetName(), mei, private)
	}
	before := w.kept(t)
	if counts := w.move(t, false); counts["members"] != 25 || counts["messages"] != 25 || counts["group_words"] != 25 {
		t.Errorf("moved are %v", counts)
	}
	if !slices.Equal(w.kept(t), replaced(before)) {
		t.Error("not all was moved")
	}
	w.move(t, true)
	if !slices.Equal(w.kept(t), before) {
		t.Error("not all was brought back")
	}
}

// TestMoved_streamsHearOfIt: as of a change of type, each message with its sender.
func TestMoved_streamsHearOfIt(t *testing.T) {
	w := leaving(t, "bolt")
	hers, _ := w.life(t)
	follower := w.stream(t, t.Context(), clerk, acme+"/groups/shop", 3)
	must(follower.Recv())(t) // what there was to hear of those before
	w.move(t, false)
	for told := 0; told < 2; {
		if m := must(follower.Recv())(t).GetRetyped(); m.GetSender() == tina && m.GetText() != "" {
			told++
		}
	}
	if got := w.events(t)[hers.GetName()]; !slices.Equal(got, []string{"message.created", "message.retyped", "message.moved"}) {
		t.Errorf("events of her message: %v", got)
	}
}

// TestMoved_nothingIsWrittenUnderTheName: calls that were let in before the merge, and
// come to the store after it, are refused, until it is undone.
func TestMoved_nothingIsWrittenUnderTheName(t *testing.T) {
	w := leaving(t, "bolt")
	_, others := w.life(t)
	w.move(t, false)
	create := &groupchatv1.CreateGroupRequest{Parent: acme, GroupId: "late", Group: &groupchatv1.Group{DisplayName: private}}
	_, err := w.groups(t, mei).CreateGroup(t.Context(), create)
	wantErr(t, err, errs.Precondition, "CUSTOMER_MERGED")
	if strings.Contains(err.Error(), "tina") {
		t.Errorf("the refusal names the other account: %v", err)
	}
	_, err = w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: acme + "/groups/shop", Member: &groupchatv1.Member{Account: mei},
	})
	wantErr(t, err, errs.Precondition, "CUSTOMER_MERGED")
	_, err = w.groups(t, mei).UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
		Group: &groupchatv1.Group{Name: acme + "/groups/own", Description: private}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	})
	wantErr(t, err, errs.Precondition, "CUSTOMER_MERGED")
	_, err = w.retype(t, mei, others.GetName(), complaint)
	wantErr(t, err, errs.Precondition, "CUSTOMER_MERGED")
	_, err = w.messages(t, mei).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: acme + "/groups/shop", Message: &groupchatv1.Message{Text: private},
	})
	wantErr(t, err, errs.Denied, "NOT_A_MEMBER")
	w.move(t, true)
	must(w.groups(t, mei).CreateGroup(t.Context(), create))(t)
}

// TestMoved_erasedWithTheSurvivor: what was moved to who is erased goes with it, and
// with what would bring it back.
func TestMoved_erasedWithTheSurvivor(t *testing.T) {
	w := leaving(t, "bolt")
	w.life(t)
	w.move(t, false)
	for _, customer := range []string{tina, mei} {
		w.erase(t, customer)
	}
	if where := w.Holding(t, private); len(where) > 0 {
		t.Errorf("the words are left in %v", where)
	}
	if slices.Contains(w.Holding(t, acme), "move_lines") {
		t.Error("the ledger is left")
	}
	_, err := w.subjects(t, servetest.Identity).MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{Merge: servetest.Merge, From: mei, To: tina, Undo: true})
	wantErr(t, err, errs.Precondition, "MERGE_FINAL")
}
