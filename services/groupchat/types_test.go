package groupchat_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

const (
	general   = acme + "/messageTypes/general"
	order     = acme + "/messageTypes/order"
	complaint = acme + "/messageTypes/complaint"
	news      = acme + "/messageTypes/news"
	returns   = acme + "/messageTypes/returns" // of the organisation's own
)

func (w *world) types(t testing.TB, account string) groupchatv1.MessageTypeServiceClient {
	return groupchatv1.NewMessageTypeServiceClient(w.As(t, account))
}

// addType has boss add a type.
func (w *world) addType(t testing.TB, id string) *groupchatv1.MessageType {
	t.Helper()
	return must(w.types(t, boss).CreateMessageType(t.Context(), &groupchatv1.CreateMessageTypeRequest{
		Parent: acme, MessageTypeId: id, RequestId: "add-" + id,
		MessageType: &groupchatv1.MessageType{DisplayName: "Type " + id, DisplayNameZh: "类型" + id},
	}))(t)
}

// sayOf has an account send a text of a type.
func (w *world) sayOf(t testing.TB, group, account, text, name string) *groupchatv1.Message {
	t.Helper()
	return must(w.send(t, group, account, text, name))(t)
}

func (w *world) send(t testing.TB, group, account, text, name string) (*groupchatv1.Message, error) {
	return w.messages(t, account).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: group, Message: &groupchatv1.Message{Text: text, Type: name},
	})
}

func TestTypes_addedChangedTakenOutOfUse(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		c := w.types(t, boss)
		made := w.addType(t, "returns")
		if made.GetName() != returns || made.GetBuiltIn() || made.GetDefault() || made.GetEtag() == "" || made.GetCreateTime() == nil {
			t.Fatalf("made: %v", made)
		}
		if again := w.addType(t, "returns"); !cmp.Equal(made, again, protocmp.Transform()) {
			t.Errorf("the retry gave %v", again)
		}
		_, err := c.UpdateMessageType(t.Context(), &groupchatv1.UpdateMessageTypeRequest{
			MessageType: &groupchatv1.MessageType{Name: returns, DisplayName: "Returned goods", Etag: "old"},
		})
		wantErr(t, err, errs.Conflict, "ETAG_MISMATCH")
		changed := must(c.UpdateMessageType(t.Context(), &groupchatv1.UpdateMessageTypeRequest{
			MessageType: &groupchatv1.MessageType{Name: returns, DisplayName: "Returned goods", Etag: made.GetEtag()},
			UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"display_name", "description"}},
		}))(t)
		if changed.GetDisplayName() != "Returned goods" || changed.GetDisplayNameZh() != "类型returns" {
			t.Errorf("changed: %v", changed)
		}
		gone := must(c.DeleteMessageType(t.Context(), &groupchatv1.DeleteMessageTypeRequest{Name: returns, Etag: changed.GetEtag()}))(t)
		if gone.GetDeleteTime() == nil {
			t.Errorf("out of use: %v", gone)
		}
		name := w.group(t, "g1")
		_, err = w.send(t, name, clerk, "x", returns)
		wantErr(t, err, errs.Precondition, "MESSAGE_TYPE_DELETED")
		_, err = c.CreateMessageType(t.Context(), &groupchatv1.CreateMessageTypeRequest{
			Parent: acme, MessageTypeId: "returns", MessageType: &groupchatv1.MessageType{DisplayName: "Another"},
		})
		wantErr(t, err, errs.Exists, "MESSAGE_TYPE_EXISTS")
		must(c.UndeleteMessageType(t.Context(), &groupchatv1.UndeleteMessageTypeRequest{Name: returns}))(t)
		if m := w.sayOf(t, name, clerk, "x", returns); m.GetType() != returns {
			t.Errorf("sent: %v", m)
		}
		_, err = c.UndeleteMessageType(t.Context(), &groupchatv1.UndeleteMessageTypeRequest{Name: returns})
		wantErr(t, err, errs.Exists, "NOT_DELETED")
	})
}

func TestTypes_listedBuiltInFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.addType(t, "returns")
		w.addType(t, "audits")
		must(w.types(t, boss).DeleteMessageType(t.Context(), &groupchatv1.DeleteMessageTypeRequest{Name: acme + "/messageTypes/audits"}))(t)
		list := func(deleted bool) (names []string) {
			token := ""
			for {
				p := must(w.types(t, mei).ListMessageTypes(t.Context(), &groupchatv1.ListMessageTypesRequest{
					Parent: acme, PageSize: 3, PageToken: token, ShowDeleted: deleted,
				}))(t)
				for _, v := range p.GetMessageTypes() {
					names = append(names, v.GetName()[len(acme+"/messageTypes/"):])
					if v.GetDefault() != (v.GetName() == general) || v.GetDisplayNameZh() == "" {
						t.Errorf("listed: %v", v)
					}
				}
				if token = p.GetNextPageToken(); token == "" {
					return names
				}
			}
		}
		want := []string{"general", "inquiry", "order", "complaint", "announcement", "news", "returns"}
		if diff := cmp.Diff(want, list(false)); diff != "" {
			t.Errorf("in use (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(slices.Insert(want, 6, "audits"), list(true)); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
	})
}

func TestTypes_badRequestsAreRefused(t *testing.T) {
	w := start(t, setting{})
	c, name := w.types(t, boss), w.group(t, "g1", mei)
	create := func(id string) error {
		_, err := c.CreateMessageType(t.Context(), &groupchatv1.CreateMessageTypeRequest{
			Parent: acme, MessageTypeId: id, MessageType: &groupchatv1.MessageType{DisplayName: "x"},
		})
		return err
	}
	wantErr(t, create("order"), errs.Exists, "MESSAGE_TYPE_EXISTS")
	wantErr(t, create("No"), errs.Invalid, "RESOURCE_NAME_INVALID", "message_type_id")
	_, err := c.UpdateMessageType(t.Context(), &groupchatv1.UpdateMessageTypeRequest{MessageType: &groupchatv1.MessageType{Name: order, DisplayName: "x"}})
	wantErr(t, err, errs.Precondition, "MESSAGE_TYPE_BUILT_IN")
	_, err = c.DeleteMessageType(t.Context(), &groupchatv1.DeleteMessageTypeRequest{Name: order})
	wantErr(t, err, errs.Precondition, "MESSAGE_TYPE_BUILT_IN")
	_, err = c.GetMessageType(t.Context(), &groupchatv1.GetMessageTypeRequest{Name: returns})
	wantErr(t, err, errs.NotFound, "MESSAGE_TYPE_NOT_FOUND")
	_, err = w.send(t, name, mei, "x", returns)
	wantErr(t, err, errs.NotFound, "MESSAGE_TYPE_NOT_FOUND")
	_, err = w.send(t, name, mei, "x", "organizations/rival/messageTypes/order")
	wantErr(t, err, errs.NotFound, "MESSAGE_TYPE_NOT_FOUND")
	_, err = w.send(t, name, mei, "x", "order")
	wantErr(t, err, errs.Invalid, "RESOURCE_NAME_INVALID", "message.type")
	_, err = w.types(t, mei).SetDefaultMessageType(t.Context(), &groupchatv1.SetDefaultMessageTypeRequest{Name: order})
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	for i := range 100 {
		if err := create(fmt.Sprintf("t%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, create("one-too-many"), errs.Exhausted, "MESSAGE_TYPES_FULL")
}

// TestTypes_defaults: a message that names no type gets the group's default,
// while it is in use, else the organisation's.
func TestTypes_defaults(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		c, name := w.types(t, boss), w.group(t, "g1")
		typeNow := func(want string) {
			t.Helper()
			if got := w.say(t, name, clerk, "x").GetType(); got != want {
				t.Errorf("a message that names no type has %s, want %s", got, want)
			}
		}
		typeNow(general)
		if v := must(c.SetDefaultMessageType(t.Context(), &groupchatv1.SetDefaultMessageTypeRequest{Name: order}))(t); !v.GetDefault() {
			t.Errorf("made the default: %v", v)
		}
		typeNow(order)
		w.addType(t, "returns")
		set := func(typeName string) error {
			_, err := w.groups(t, clerk).UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
				Group: &groupchatv1.Group{Name: name, DefaultMessageType: typeName}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"default_message_type"}},
			})
			return err
		}
		wantErr(t, set(acme+"/messageTypes/none"), errs.NotFound, "MESSAGE_TYPE_NOT_FOUND")
		if err := set(returns); err != nil {
			t.Fatal(err)
		}
		typeNow(returns)
		must(c.DeleteMessageType(t.Context(), &groupchatv1.DeleteMessageTypeRequest{Name: returns}))(t)
		typeNow(order)
		wantErr(t, set(returns), errs.Precondition, "MESSAGE_TYPE_DELETED")
		if err := set(""); err != nil {
			t.Fatal(err)
		}
		_, err := c.SetDefaultMessageType(t.Context(), &groupchatv1.SetDefaultMessageTypeRequest{Name: returns})
		wantErr(t, err, errs.Precondition, "MESSAGE_TYPE_DELETED")
		must(c.UndeleteMessageType(t.Context(), &groupchatv1.UndeleteMessageTypeRequest{Name: returns}))(t)
		must(c.SetDefaultMessageType(t.Context(), &groupchatv1.SetDefaultMessageTypeRequest{Name: returns}))(t)
		_, err = c.DeleteMessageType(t.Context(), &groupchatv1.DeleteMessageTypeRequest{Name: returns})
		wantErr(t, err, errs.Precondition, "MESSAGE_TYPE_IS_DEFAULT")
		entries := must(groupchatv1.NewGroupChatAuditServiceClient(w.As(t, boss)).ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{
			Parent: acme, Filter: `resource = "` + returns + `"`,
		}))(t).GetAuditEntries()
		if len(entries) != 4 { // created, deleted, undeleted, made the default
			t.Errorf("%d audit entries of the type: %v", len(entries), entries)
		}
	})
}
