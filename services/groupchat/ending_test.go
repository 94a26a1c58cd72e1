package groupchat_test

import (
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

func TestStreams_endWithTheirCallersRights(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, conn grpc.ClientConnInterface) func() error{
		"StreamMessages": func(t *testing.T, conn grpc.ClientConnInterface) func() error {
			messages := groupchatv1.NewMessageServiceClient(conn)
			return servetest.Standing(messages.StreamMessages(t.Context(), &groupchatv1.StreamMessagesRequest{Parent: acme + "/groups/g1"}))(t)
		},
		"StreamEvents": func(t *testing.T, conn grpc.ClientConnInterface) func() error {
			events := groupchatv1.NewGroupChatEventServiceClient(conn)
			return servetest.Standing(events.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme}))(t)
		},
	} {
		for _, engine := range testkit.Engines() {
			t.Run(name+"/"+engine, servetest.Ending{
				Organization: acme, Caller: mei, Other: li, Open: open,
				Start: func(t *testing.T, rights *servetest.Rights) *servetest.Server {
					w := start(t, setting{Options: servetest.Options{Engine: engine, May: rights.May, Standing: rights.Standing}})
					w.say(t, w.group(t, "g1", mei, li), clerk, "hello")
					return w.Server
				},
			}.Test)
		}
	}
}

// TestStream_ofAnAdministrator: who is a plain member from now on goes on
// reading; who is removed does not.
func TestStream_ofAnAdministrator(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1")
		w.add(t, name, bo, admin)
		w.say(t, name, clerk, "hello")
		s := w.open(t, bo, name)
		must(w.groups(t, clerk).UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
			Member: &groupchatv1.Member{Name: memberName(name, bo), Role: plain},
		}))(t)
		w.say(t, name, clerk, "to all members")
		if m := must(s.Recv())(t).GetMessage(); m.GetText() != "to all members" {
			t.Errorf("got %v", m)
		}
		must(w.groups(t, clerk).UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
			Member: &groupchatv1.Member{Name: memberName(name, bo), Role: admin},
		}))(t)
		if err := w.remove(t, clerk, name, bo); err != nil {
			t.Fatal(err)
		}
		_, err := s.Recv()
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = w.stream(t, t.Context(), bo, name, 0).Recv()
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}
