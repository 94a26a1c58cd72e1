package groupchat_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

func (w *world) retype(t testing.TB, account, name, to string) (*groupchatv1.Message, error) {
	return w.messages(t, account).RetypeMessage(t.Context(), &groupchatv1.RetypeMessageRequest{Name: name, Type: to})
}

func TestMessage_sentOnlyOfATypeThatTheSenderMay(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		w.permission.limit(mei, "order", "complaint")
		w.sayOf(t, name, mei, "one parcel is missing", order)
		_, err := w.send(t, name, mei, "hear, hear", acme+"/messageTypes/announcement")
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = w.send(t, name, mei, "of the default type", "")
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		must(w.types(t, boss).SetDefaultMessageType(t.Context(), &groupchatv1.SetDefaultMessageTypeRequest{Name: complaint}))(t)
		if m := w.say(t, name, mei, "of the default type"); m.GetType() != complaint || m.GetSequence() != 2 {
			t.Errorf("sent: %v", m)
		}
		_, err = w.send(t, name, mei, "x", returns) // who may send some type hears what is wrong
		wantErr(t, err, errs.NotFound, "MESSAGE_TYPE_NOT_FOUND")
	})
}

func TestMessage_readRecalledOnlyOfATypeThatTheCallerMay(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		w.permission.limit(clerk, "order")
		said, other := w.sayOf(t, name, mei, "mine", order), w.sayOf(t, name, mei, "not yours", complaint)
		c := w.messages(t, clerk)
		must(c.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: said.GetName()}))(t)
		_, err := c.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: other.GetName()})
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = c.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: name + "/messages/99"})
		wantErr(t, err, errs.NotFound, "MESSAGE_NOT_FOUND")
		_, err = w.recall(t, clerk, other.GetName())
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		must(w.recall(t, clerk, said.GetName()))(t)
		w.permission.limit(clerk, "none-of-them")
		_, err = c.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: name + "/messages/99"})
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = c.ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name})
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}

// TestMessage_listLeavesOutTypes lists a log of two types: what is left out is
// accounted for within each page, whichever way it is read.
func TestMessage_listLeavesOutTypes(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		for i := range 9 {
			w.sayOf(t, name, mei, fmt.Sprint(i), []string{order, complaint, complaint}[i%3])
		}
		w.permission.limit(clerk, "order")
		for _, orderBy := range []string{"sequence", ""} {
			var got, withheld []int64
			token := ""
			for {
				p := must(w.messages(t, clerk).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{
					Parent: name, PageSize: 4, PageToken: token, OrderBy: orderBy,
				}))(t)
				for _, m := range p.GetMessages() {
					got = append(got, m.GetSequence())
				}
				for _, r := range p.GetWithheld() {
					for s := r.GetFirstSequence(); s <= r.GetLastSequence(); s++ {
						withheld = append(withheld, s)
					}
				}
				if token = p.GetNextPageToken(); token == "" {
					break
				}
			}
			slices.Sort(got)
			slices.Sort(withheld)
			if !slices.Equal(got, []int64{1, 4, 7}) || !slices.Equal(withheld, []int64{2, 3, 5, 6, 8, 9}) {
				t.Errorf("in order %q: messages %v, withheld %v", orderBy, got, withheld)
			}
		}
	})
}

func TestMessage_retypedWithHistoryEventAndAudit(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei, li)
		said := w.sayOf(t, name, mei, "the tea is stale", order)
		req := &groupchatv1.RetypeMessageRequest{Name: said.GetName(), Type: complaint, Etag: said.GetEtag(), RequestId: "r1"}
		now := must(w.messages(t, clerk).RetypeMessage(t.Context(), req))(t)
		h := now.GetTypeChanges()
		if now.GetType() != complaint || now.GetText() != said.GetText() || len(h) != 1 || h[0].GetPreviousType() != order || h[0].GetActor() != clerk {
			t.Fatalf("re-typed: %v", now)
		}
		if again := must(w.messages(t, clerk).RetypeMessage(t.Context(), req))(t); !cmp.Equal(now, again, protocmp.Transform()) {
			t.Errorf("the retry gave %v", again)
		}
		_, err := w.messages(t, clerk).RetypeMessage(t.Context(), &groupchatv1.RetypeMessageRequest{Name: said.GetName(), Type: news, RequestId: "r1"})
		wantErr(t, err, errs.Invalid, "REQUEST_ID_REUSED")
		_, err = w.messages(t, clerk).RetypeMessage(t.Context(), &groupchatv1.RetypeMessageRequest{Name: said.GetName(), Type: news, Etag: said.GetEtag()})
		wantErr(t, err, errs.Conflict, "ETAG_MISMATCH")
		if same := must(w.retype(t, clerk, said.GetName(), complaint))(t); same.GetEtag() != now.GetEtag() {
			t.Errorf("the type it has changed it: %v", same)
		}
		_, err = w.retype(t, li, said.GetName(), order)
		wantErr(t, err, errs.Denied, "NOT_SENDER")
		_, err = w.retype(t, mei, said.GetName(), returns)
		wantErr(t, err, errs.NotFound, "MESSAGE_TYPE_NOT_FOUND")
		must(w.retype(t, mei, said.GetName(), order))(t) // its sender, soon after
		must(w.recall(t, mei, said.GetName()))(t)
		_, err = w.retype(t, clerk, said.GetName(), news)
		wantErr(t, err, errs.Precondition, "MESSAGE_RECALLED")
		entries := must(groupchatv1.NewGroupChatAuditServiceClient(w.As(t, boss)).ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{
			Parent: acme, Filter: `resource = "` + said.GetName() + `"`,
		}))(t).GetAuditEntries()
		if n := len(entries); n != 4 { // sent, re-typed twice, recalled
			t.Errorf("%d audit entries: %v", n, entries)
		}
		w.wantEvent(t, said.GetName(), "guildhall.groupchat.message.retyped.v1", &groupchatv1.MessageChanged{
			Sequence: 1, Sender: mei, Type: complaint, PreviousType: order,
		})
	})
}

// wantEvent wants the data of the first event of the type with the subject.
func (w *world) wantEvent(t *testing.T, subject, typeName string, want *groupchatv1.MessageChanged) {
	t.Helper()
	s := must(groupchatv1.NewGroupChatEventServiceClient(w.As(t, boss)).StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme, StopAtEnd: true}))(t)
	for {
		for _, e := range must(s.Recv())(t).GetEvents() {
			if e.GetSubject() != subject || e.GetType() != typeName {
				continue
			}
			got := &groupchatv1.MessageChanged{}
			if err := e.GetData().UnmarshalTo(got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("data of %s (-want +got):\n%s", typeName, diff)
			}
			return
		}
	}
}

// TestMessage_retypeTakesBothTypes: who may have to do with one of two types
// neither takes a message out of the other, nor puts one there; and to re-type
// is not to read.
func TestMessage_retypeTakesBothTypes(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei)
	said := w.sayOf(t, name, mei, "x", order)
	w.permission.limit(clerk, "order", "news")
	_, err := w.retype(t, clerk, said.GetName(), complaint)
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	must(w.retype(t, clerk, said.GetName(), news))(t)
	must(w.retype(t, boss, said.GetName(), complaint))(t)
	_, err = w.retype(t, clerk, said.GetName(), order)
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	w.permission.forbid(clerk, "groupchat.messages.get")
	must(w.retype(t, boss, said.GetName(), order))(t)
	if m := must(w.retype(t, clerk, said.GetName(), news))(t); m.GetText() != "" || m.GetType() != news {
		t.Errorf("who may not read was shown %v", m)
	}
}
