package groupchat_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

func (w *world) recall(t testing.TB, account, name string) (*groupchatv1.Message, error) {
	return w.messages(t, account).RecallMessage(t.Context(), &groupchatv1.RecallMessageRequest{Name: name})
}

func TestMessage_sentReadRecalled(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		v := w.say(t, name, mei, "Where is my order? 我的订单在哪里？")
		if v.GetName() != name+"/messages/1" || v.GetSequence() != 1 || v.GetSender() != mei {
			t.Fatalf("sent: %v", v)
		}
		c := w.messages(t, clerk)
		got := must(c.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: v.GetName()}))(t)
		if got.GetText() != v.GetText() || got.GetEtag() != v.GetEtag() {
			t.Errorf("read: %v", got)
		}
		gone := must(w.recall(t, mei, v.GetName()))(t)
		if gone.GetText() != "" || gone.GetRecallTime() == nil || gone.GetRecaller() != mei || gone.GetEtag() == v.GetEtag() {
			t.Errorf("recalled: %v", gone)
		}
		again := must(w.recall(t, mei, v.GetName()))(t)
		if again.GetEtag() != gone.GetEtag() {
			t.Errorf("recalling it again changed it: %v", again)
		}
		got = must(c.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: v.GetName()}))(t)
		if got.GetText() != "" || got.GetRecallTime() == nil {
			t.Errorf("read after the recall: %v", got)
		}
		if next := w.say(t, name, mei, "sorry"); next.GetSequence() != 2 {
			t.Errorf("a recall keeps its place; the next is %v", next)
		}
	})
}

func TestMessage_concurrentSendersLeaveNoGap(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name, other := w.group(t, "g1"), w.group(t, "g2")
		const senders, each = 32, 5
		var mu sync.Mutex
		var sequences []int64
		var wg sync.WaitGroup
		c := w.messages(t, clerk)
		for i := range senders {
			wg.Go(func() {
				for j := range each {
					m, err := c.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
						Parent: name, Message: &groupchatv1.Message{Text: fmt.Sprintf("%d of %d", j, i)}, RequestId: fmt.Sprintf("%d-%d", i, j),
					})
					if err != nil {
						t.Errorf("sender %d: %v", i, err)
						return
					}
					mu.Lock()
					sequences = append(sequences, m.GetSequence())
					mu.Unlock()
				}
			})
			wg.Go(func() { // refused ones among them take nobody with them
				_, err := c.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{Parent: other + "x", Message: &groupchatv1.Message{Text: "x"}})
				if err == nil {
					t.Error("a message to no group was taken")
				}
			})
		}
		wg.Wait()
		slices.Sort(sequences)
		for i, s := range sequences {
			if s != int64(i+1) {
				t.Fatalf("sequence numbers %v", sequences)
			}
		}
		if len(sequences) != senders*each {
			t.Fatalf("%d of %d messages", len(sequences), senders*each)
		}
	})
}

func TestMessage_requestIDReplaysAndRefusesReuse(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		c := w.messages(t, mei)
		req := &groupchatv1.CreateMessageRequest{Parent: name, Message: &groupchatv1.Message{Text: "once"}, RequestId: "r1"}
		first := must(c.CreateMessage(t.Context(), req))(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if again, err := c.CreateMessage(t.Context(), req); err != nil || again.GetSequence() != first.GetSequence() {
					t.Errorf("a retry: %v, %v", again, err)
				}
			})
		}
		wg.Wait()
		req.Message.Text = "twice"
		_, err := c.CreateMessage(t.Context(), req)
		wantErr(t, err, errs.Invalid, "REQUEST_ID_REUSED", "request_id")
		if next := w.say(t, name, mei, "next"); next.GetSequence() != 2 {
			t.Errorf("the next message: %v", next)
		}
	})
}

func TestMessage_refusals(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei)
	w.say(t, name, mei, "hello")
	send := func(as, parent, text string) error {
		_, err := w.messages(t, as).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{Parent: parent, Message: &groupchatv1.Message{Text: text}})
		return err
	}
	get := func(name string) error {
		_, err := w.messages(t, boss).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: name})
		return err
	}
	for _, c := range []struct {
		what   string
		err    error
		kind   errs.Kind
		reason string
		field  []string
	}{
		{"no text", send(mei, name, ""), errs.Invalid, "VALIDATION_FAILED", []string{"message.text"}},
		{"too long a text", send(mei, name, strings.Repeat("问", 10001)), errs.Invalid, "VALIDATION_FAILED", []string{"message.text"}},
		{"by no member", send(li, name, "x"), errs.Denied, "PERMISSION_DENIED", nil},
		{"by the enterprise, which is no member", send(boss, name, "x"), errs.Denied, "NOT_A_MEMBER", nil},
		{"no group", send(boss, acme+"/groups/none", "x"), errs.NotFound, "GROUP_NOT_FOUND", nil},
		{"no name of a group", send(boss, acme+"/teams/t1", "x"), errs.Invalid, "RESOURCE_NAME_INVALID", []string{"parent"}},
		{"get none", get(name + "/messages/2"), errs.NotFound, "MESSAGE_NOT_FOUND", nil},
		{"get the zeroth", get(name + "/messages/0"), errs.NotFound, "MESSAGE_NOT_FOUND", nil},
		{"get by another spelling", get(name + "/messages/01"), errs.NotFound, "MESSAGE_NOT_FOUND", nil},
		{"get beyond all numbers", get(name + "/messages/99999999999999999999"), errs.NotFound, "MESSAGE_NOT_FOUND", nil},
	} {
		t.Run(c.what, func(t *testing.T) { wantErr(t, c.err, c.kind, c.reason, c.field...) })
	}
}

func TestRecall_rules(t *testing.T) {
	clock := newClock()
	w := start(t, setting{Options: servetest.Options{Clock: clock.Now}})
	name := w.group(t, "g1", mei, li)
	w.add(t, name, bo, admin)
	first, second, third := w.say(t, name, mei, "first"), w.say(t, name, mei, "second"), w.say(t, name, mei, "third")
	_, err := w.recall(t, li, first.GetName())
	wantErr(t, err, errs.Denied, "NOT_SENDER")
	_, err = w.messages(t, mei).RecallMessage(t.Context(), &groupchatv1.RecallMessageRequest{Name: first.GetName(), Etag: "stale"})
	wantErr(t, err, errs.Conflict, "ETAG_MISMATCH", "etag")
	clock.Add(2 * time.Minute)
	must(w.recall(t, mei, first.GetName()))(t)
	clock.Add(time.Second)
	_, err = w.recall(t, mei, second.GetName())
	wantErr(t, err, errs.Precondition, "RECALL_WINDOW_OVER")
	must(w.recall(t, mei, first.GetName()))(t) // it is recalled: nothing to refuse
	if v := must(w.recall(t, bo, second.GetName()))(t); v.GetRecaller() != bo {
		t.Errorf("recalled by an administrator: %v", v)
	}
	must(w.recall(t, boss, third.GetName()))(t) // acts for the enterprise
	_, err = w.recall(t, boss, name+"/messages/9")
	wantErr(t, err, errs.NotFound, "MESSAGE_NOT_FOUND")
}

func TestListMessages_bothOrdersInPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1")
		for i := range 5 {
			w.say(t, name, clerk, fmt.Sprint(i+1))
		}
		for order, want := range map[string]string{"": "5 4 3 2 1", "sequence desc": "5 4 3 2 1", "sequence": "1 2 3 4 5"} {
			var got []string
			for token := ""; ; {
				p := must(w.messages(t, clerk).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name, OrderBy: order, PageSize: 2, PageToken: token}))(t)
				for _, m := range p.GetMessages() {
					got = append(got, m.GetText())
				}
				if token = p.GetNextPageToken(); token == "" {
					break
				}
				_, err := w.messages(t, clerk).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: w.other(t), OrderBy: order, PageToken: token})
				wantErr(t, err, errs.Invalid, "PAGE_TOKEN_MISMATCH", "page_token")
			}
			if strings.Join(got, " ") != want {
				t.Errorf("order %q: %v", order, got)
			}
		}
		_, err := w.messages(t, clerk).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name, OrderBy: "text"})
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("order by text: %v", err)
		}
	})
}

// other returns another group of clerk's.
func (w *world) other(t testing.TB) string {
	t.Helper()
	g, err := w.groups(t, clerk).CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: acme, GroupId: "other", Group: &groupchatv1.Group{DisplayName: "Other"}, RequestId: "other",
	})
	return must(g, err)(t).GetName()
}
