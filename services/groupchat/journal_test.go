package groupchat_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// events are the types in the feed, by resource, in their order.
func (w *world) events(t *testing.T) map[string][]string {
	t.Helper()
	stream := must(groupchatv1.NewGroupChatEventServiceClient(w.As(t, boss)).StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme, StopAtEnd: true}))(t)
	types := map[string][]string{}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return types
		}
		for _, e := range resp.GetEvents() {
			types[e.GetSubject()] = append(types[e.GetSubject()], strings.TrimSuffix(strings.TrimPrefix(e.GetType(), "guildhall.groupchat."), ".v1"))
		}
	}
}

func TestChanges_leaveEventsAndAnIntactAuditChain(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei, bo)
		said := w.say(t, name, mei, "a secret")
		must(w.recall(t, mei, said.GetName()))(t)
		must(w.recall(t, mei, said.GetName()))(t) // changes nothing, leaves nothing
		if err := w.setRole(t, clerk, name, bo, owner); err != nil {
			t.Fatal(err)
		}
		if err := w.remove(t, bo, name, mei); err != nil {
			t.Fatal(err)
		}
		must(w.groups(t, bo).DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: name}))(t)
		must(w.groups(t, bo).UndeleteGroup(t.Context(), &groupchatv1.UndeleteGroupRequest{Name: name}))(t)
		want := map[string][]string{
			name:                    {"group.created", "group.deleted", "group.undeleted"},
			memberName(name, clerk): {"member.created", "member.updated"},
			memberName(name, bo):    {"member.created", "member.updated"},
			memberName(name, mei):   {"member.created", "member.deleted"},
			said.GetName():          {"message.created", "message.recalled"},
		}
		got := w.events(t)
		if len(got) != len(want) {
			t.Errorf("events: %v", got)
		}
		entries := 0
		for subject, types := range want {
			if entries += len(types); !slices.Equal(got[subject], types) {
				t.Errorf("events of %s: %v, want %v", subject, got[subject], types)
			}
		}
		check := must(groupchatv1.NewGroupChatAuditServiceClient(w.As(t, boss)).VerifyAuditChain(t.Context(), &auditv1.VerifyAuditChainRequest{Parent: acme}))(t)
		if !check.GetIntact() || check.GetEntriesChecked() != int64(entries) {
			t.Errorf("audit: %v, want %d entries", check, entries)
		}
	})
}

func TestDenials_areAudited(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1")
	_, err := w.messages(t, li).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name})
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	c := groupchatv1.NewGroupChatAuditServiceClient(w.As(t, boss))
	eventually(t, "the refusal is in the audit log", func() bool {
		p := must(c.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme}))(t)
		return slices.ContainsFunc(p.GetAuditEntries(), func(e *auditv1.AuditEntry) bool {
			return e.GetOutcome() == auditv1.AuditEntry_OUTCOME_DENIED && e.GetActor() == li && e.GetResource() == name
		})
	})
}

// TestStore_showsNothingThatWasSaid plants words in every text there is and
// looks for them in the files of the store.
func TestStore_showsNothingThatWasSaid(t *testing.T) {
	w := start(t, setting{})
	g := must(w.groups(t, clerk).CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: acme, GroupId: "g1", Group: &groupchatv1.Group{DisplayName: "planted-name", Description: "planted-description"}, RequestId: "r1",
	}))(t)
	must(w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: g.GetName(), Member: &groupchatv1.Member{Account: mei, Nickname: "planted-nickname"},
	}))(t)
	must(w.messages(t, mei).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: g.GetName(), Message: &groupchatv1.Message{Text: "planted-text 我的订单"}, RequestId: "r2",
	}))(t)
	w.Stop(t)
	size := 0
	err := filepath.WalkDir(strings.TrimPrefix(w.StoreURL, "bolt://"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		size += len(b)
		for _, word := range []string{"planted", "我的订单"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s shows %q", filepath.Base(path), word)
			}
		}
		return err
	})
	if err != nil || size == 0 {
		t.Fatalf("read %d bytes of the store: %v", size, err)
	}
}
