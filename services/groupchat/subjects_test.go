package groupchat_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// private is in all that mei writes, and in what is written of mei.
const private = "Mei of Lane 7"

// leaving is a world in which permission lets everybody do anything, as calls that
// were let in before an erasure are.
func leaving(t testing.TB, engine string) *world {
	return start(t, setting{Options: servetest.Options{Engine: engine, May: func(authz.Request) bool { return true }}})
}

func (w *world) subjects(t testing.TB, as string) groupchatv1.GroupchatSubjectServiceClient {
	return groupchatv1.NewGroupchatSubjectServiceClient(w.As(t, as))
}

// erase has identity erase a customer, and returns the counts of the receipt.
func (w *world) erase(t testing.TB, customer string) (*subjectv1.ErasureReceipt, map[string]int64) {
	t.Helper()
	return servetest.Erase(t, w.subjects(t, servetest.Identity), customer)
}

// life has mei leave a trace wherever a customer can: she owns group "own", which li
// is in too, and group "alone", in which there is nobody else; she is an
// administrator of clerk's group "shop". All calls are ones that may be retried. It
// returns her message in the shop, which staff have re-typed, and one of li's, which
// she has re-typed and then recalled.
func (w *world) life(t *testing.T) (hers, others *groupchatv1.Message) {
	t.Helper()
	ctx, mine := t.Context(), w.groups(t, mei)
	for _, id := range []string{"own", "alone"} {
		must(mine.CreateGroup(ctx, &groupchatv1.CreateGroupRequest{Parent: acme, GroupId: id, RequestId: "r1" + id, Group: &groupchatv1.Group{
			DisplayName: "Friends of " + private, Description: private + " sells nothing",
		}}))(t)
	}
	shop := w.group(t, "shop")
	must(w.groups(t, clerk).CreateMember(ctx, &groupchatv1.CreateMemberRequest{Parent: shop, RequestId: "r2", Member: &groupchatv1.Member{
		Account: mei, Role: admin, Nickname: private,
	}}))(t)
	must(mine.UpdateGroup(ctx, &groupchatv1.UpdateGroupRequest{RequestId: "r3", Group: &groupchatv1.Group{
		Name: shop, Description: "ask " + private,
	}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}}}))(t)
	for _, name := range []string{shop, acme + "/groups/own"} {
		must(mine.CreateMember(ctx, &groupchatv1.CreateMemberRequest{Parent: name, RequestId: "r4" + name, Member: &groupchatv1.Member{Account: li}}))(t)
		must(w.messages(t, mei).CreateMessage(ctx, &groupchatv1.CreateMessageRequest{
			Parent: name, RequestId: "r5" + name, Message: &groupchatv1.Message{Text: "I am " + private},
		}))(t)
	}
	hers = w.say(t, shop, mei, private+" again")
	must(w.messages(t, clerk).RetypeMessage(ctx, &groupchatv1.RetypeMessageRequest{Name: hers.GetName(), Type: complaint, RequestId: "r6"}))(t)
	others = w.say(t, shop, li, "hello")
	must(w.retype(t, mei, others.GetName(), complaint))(t)
	must(w.recall(t, mei, others.GetName()))(t)
	return hers, others
}

// TestEraseSubject_leavesNothingOfTheCustomer: neither words nor, but for where it
// says which account did something, the name.
func TestEraseSubject_leavesNothingOfTheCustomer(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := leaving(t, engine)
			w.life(t)
			for _, table := range []string{"groups", "members", "messages", "change_answers"} {
				if !slices.Contains(w.Holding(t, private), table) {
					t.Fatalf("the test plants nothing in %s", table)
				}
			}
			receipt, counts := w.erase(t, mei)
			if counts["members"] < 5 || counts["messages"] != 4 || counts["groups"] != 3 || counts["change_answers"] < 5 || receipt.GetService() != "groupchat" {
				t.Errorf("the receipt is %v", receipt)
			}
			if where := w.Holding(t, private); len(where) > 0 {
				t.Errorf("the words are left in %v", where)
			}
			eventually(t, "permission hears that mei is in no group", func() bool { return !slices.Contains(w.Holding(t, mei), "grant_intents") })
			for _, table := range w.Holding(t, mei) {
				if table != "erasures" && table != "change_expiries" && !strings.HasPrefix(table, "feed_") && !strings.HasPrefix(table, "audit_") {
					t.Errorf("the name is left in %s", table)
				}
			}
		})
	}
}

// TestEraseSubject_groupsAndMessagesOfOthersGoOn: places in the sequence stay, open
// streams hear of it, and a group gets another owner, or ends.
func TestEraseSubject_groupsAndMessagesOfOthersGoOn(t *testing.T) {
	w := leaving(t, "bolt")
	hers, others := w.life(t)
	shop := acme + "/groups/shop"
	follower := w.stream(t, t.Context(), clerk, shop, 3)
	must(follower.Recv())(t) // what there was to hear of those before
	w.erase(t, mei)
	for told := 0; told < 2; { // her two; not that of li, whose recall it may be
		m := must(follower.Recv())(t).GetRecalled()
		if m.GetEraseTime() != nil && m.GetText() == "" && m.GetSender() == "" && m.GetRecallTime() != nil {
			told++
		}
	}
	m := must(w.messages(t, clerk).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: hers.GetName()}))(t)
	if m.GetSequence() != hers.GetSequence() || m.GetType() != complaint || len(m.GetTypeChanges()) != 1 || m.GetTypeChanges()[0].GetActor() != clerk {
		t.Errorf("her message is %v", m)
	}
	m = must(w.messages(t, clerk).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: others.GetName()}))(t)
	if m.GetSender() != li || m.GetRecaller() != "" || m.GetTypeChanges()[0].GetActor() != "" || m.GetEraseTime() != nil {
		t.Errorf("the other's message is %v", m)
	}
	for id, heir := range map[string]string{"own": li, "alone": "", "shop": clerk} {
		g := must(w.groups(t, clerk).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: acme + "/groups/" + id}))(t)
		if g.GetOwner() != heir || (g.GetDeleteTime() != nil) != (heir == "") || g.GetDescription() != "" || (g.GetDisplayName() == "") == (id == "shop") {
			t.Errorf("group %s is %v, want owner %q", id, g, heir)
		}
	}
	for _, m := range w.members(t, shop) {
		if m.GetAccount() == li && m.GetInviter() != "" || m.GetAccount() == clerk && m.GetInviter() != clerk {
			t.Errorf("member %v", m)
		}
	}
	if got := w.events(t)[hers.GetName()]; !slices.Equal(got, []string{"message.created", "message.retyped", "message.erased"}) {
		t.Errorf("events of her message: %v", got)
	}
}

// TestSubjects_onlyForIdentity: and an account that there is nothing of has an empty
// receipt and an empty export.
func TestSubjects_onlyForIdentity(t *testing.T) {
	servetest.TestSubjects(t, leaving(t, "bolt").Server, groupchatv1.NewGroupchatSubjectServiceClient, mei, boss)
}

// TestExportSubject_givesOutWhatIsTheCustomers: kind by kind, in pages, with texts
// of the customer and not of others, and nothing after an erasure.
func TestExportSubject_givesOutWhatIsTheCustomers(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := leaving(t, engine)
			w.life(t)
			identity := w.subjects(t, servetest.Identity)
			whole := servetest.Export(t, identity, mei, li)
			var kinds []string
			for _, r := range whole {
				kinds = append(kinds, r.GetKind())
				if strings.Contains(r.GetJson(), `"etag"`) || !strings.Contains(r.GetJson(), `"name":"`+acme) || strings.Contains(r.GetJson(), "hello") {
					t.Errorf("the record is %s", r.GetJson())
				}
			}
			if want := "members members members groups groups groups messages messages messages"; strings.Join(kinds, " ") != want {
				t.Errorf("kinds %v, want %s", kinds, want)
			}
			if shop := whole[5].GetJson(); !strings.Contains(shop, "ask "+private) || strings.Contains(shop, "displayName") {
				t.Errorf("the group that she described is %s", shop)
			}
			w.erase(t, mei)
			if got := servetest.Export(t, identity, mei, li); len(got) != 0 {
				t.Errorf("after the erasure: %v", got)
			}
		})
	}
}

// TestMigrations_findWhatWasWrittenBefore: what a version wrote that had no such
// indexes is erased as well.
func TestMigrations_findWhatWasWrittenBefore(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := leaving(t, engine)
			w.life(t)
			w.Unindex(t, "messages__account", "members__inviter")
			w.Stop(t)
			w = w.replica(t)
			w.erase(t, mei)
			if where := w.Holding(t, private); len(where) > 0 {
				t.Errorf("the words are left in %v", where)
			}
			for _, table := range w.Holding(t, mei) {
				if strings.HasPrefix(table, "messages") || strings.HasPrefix(table, "members") {
					t.Errorf("the name is left in %s", table)
				}
			}
		})
	}
}
