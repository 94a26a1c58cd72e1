package groupchat_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// TestTenants_noRPCShowsAnother calls every RPC of the service on another
// organisation's resources, as one who may do anything in its own.
func TestTenants_noRPCShowsAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		group := w.group(t, "g1", mei)
		member, message := memberName(group, mei), w.say(t, group, mei, "a secret").GetName()
		requests := map[string]proto.Message{
			"CreateGroup":    &groupchatv1.CreateGroupRequest{Parent: acme, Group: &groupchatv1.Group{DisplayName: "x"}},
			"GetGroup":       &groupchatv1.GetGroupRequest{Name: group},
			"ListGroups":     &groupchatv1.ListGroupsRequest{Parent: acme},
			"UpdateGroup":    &groupchatv1.UpdateGroupRequest{Group: &groupchatv1.Group{Name: group, DisplayName: "x"}},
			"DeleteGroup":    &groupchatv1.DeleteGroupRequest{Name: group},
			"UndeleteGroup":  &groupchatv1.UndeleteGroupRequest{Name: group},
			"CreateMember":   &groupchatv1.CreateMemberRequest{Parent: group, Member: &groupchatv1.Member{Account: rival}},
			"GetMember":      &groupchatv1.GetMemberRequest{Name: member},
			"ListMembers":    &groupchatv1.ListMembersRequest{Parent: group},
			"UpdateMember":   &groupchatv1.UpdateMemberRequest{Member: &groupchatv1.Member{Name: member, Role: admin}},
			"DeleteMember":   &groupchatv1.DeleteMemberRequest{Name: member},
			"CreateMessage":  &groupchatv1.CreateMessageRequest{Parent: group, Message: &groupchatv1.Message{Text: "x"}},
			"GetMessage":     &groupchatv1.GetMessageRequest{Name: message},
			"ListMessages":   &groupchatv1.ListMessagesRequest{Parent: group},
			"RecallMessage":  &groupchatv1.RecallMessageRequest{Name: message},
			"RetypeMessage":  &groupchatv1.RetypeMessageRequest{Name: message, Type: acme + "/messageTypes/news"},
			"StreamMessages": &groupchatv1.StreamMessagesRequest{Parent: group},

			"CreateMessageType":     &groupchatv1.CreateMessageTypeRequest{Parent: acme, MessageTypeId: "x", MessageType: &groupchatv1.MessageType{DisplayName: "x"}},
			"GetMessageType":        &groupchatv1.GetMessageTypeRequest{Name: acme + "/messageTypes/news"},
			"ListMessageTypes":      &groupchatv1.ListMessageTypesRequest{Parent: acme},
			"UpdateMessageType":     &groupchatv1.UpdateMessageTypeRequest{MessageType: &groupchatv1.MessageType{Name: acme + "/messageTypes/news", DisplayName: "x"}},
			"SetDefaultMessageType": &groupchatv1.SetDefaultMessageTypeRequest{Name: acme + "/messageTypes/news"},
			"DeleteMessageType":     &groupchatv1.DeleteMessageTypeRequest{Name: acme + "/messageTypes/news"},
			"UndeleteMessageType":   &groupchatv1.UndeleteMessageTypeRequest{Name: acme + "/messageTypes/news"},

			"StreamEvents":       &eventv1.StreamEventsRequest{Parent: acme},
			"ListAuditEntries":   &auditv1.ListAuditEntriesRequest{Parent: acme},
			"ExportAuditEntries": &auditv1.ExportAuditEntriesRequest{Parent: acme},
			"VerifyAuditChain":   &auditv1.VerifyAuditChainRequest{Parent: acme},
		}
		conn := w.As(t, rival)
		for method := range methods() {
			t.Run(string(method.Name()), func(t *testing.T) {
				req := requests[string(method.Name())]
				if req == nil {
					t.Fatal("the test does not know this RPC")
				}
				wantErr(t, call(t.Context(), conn, method, req), errs.NotFound, "RESOURCE_NOT_FOUND")
			})
		}
		g := must(w.groups(t, boss).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: group}))(t)
		if g.GetMemberCount() != 2 || g.GetDeleteTime() != nil || g.GetLastSequence() != 1 {
			t.Errorf("the group afterwards: %v", g)
		}
	})
}

// methods yields the RPCs of the service.
func methods() func(yield func(protoreflect.MethodDescriptor) bool) {
	files := []protoreflect.FileDescriptor{
		groupchatv1.File_guildhall_groupchat_v1_group_proto,
		groupchatv1.File_guildhall_groupchat_v1_message_proto,
		groupchatv1.File_guildhall_groupchat_v1_message_type_proto,
		groupchatv1.File_guildhall_groupchat_v1_journal_proto,
	}
	return func(yield func(protoreflect.MethodDescriptor) bool) {
		for _, f := range files {
			for i := range f.Services().Len() {
				for j := range f.Services().Get(i).Methods().Len() {
					if !yield(f.Services().Get(i).Methods().Get(j)) {
						return
					}
				}
			}
		}
	}
}

// call makes a call and returns how it ended.
func call(ctx context.Context, conn grpc.ClientConnInterface, method protoreflect.MethodDescriptor, req proto.Message) error {
	path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: method.IsStreamingServer()}, path)
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(req), stream.CloseSend()); err != nil {
		return err
	}
	for {
		// Any message will do: what it holds is not looked at.
		if err := stream.RecvMsg(&groupchatv1.Group{}); err != nil || !method.IsStreamingServer() {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func TestTenants_groupsOfOneNameAreTwo(t *testing.T) {
	w := start(t, setting{})
	ours := w.group(t, "g1")
	theirs := must(w.groups(t, rival).CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: "organizations/rival", GroupId: "g1", Group: &groupchatv1.Group{DisplayName: "Theirs"},
	}))(t)
	w.say(t, ours, clerk, "ours")
	p := must(w.messages(t, rival).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: theirs.GetName()}))(t)
	if len(p.GetMessages()) != 0 {
		t.Errorf("their group shows %v", p)
	}
	if got := listGroups(t, w.groups(t, boss), false, 0); !slices.Equal(got, []string{ours}) {
		t.Errorf("ours: %v", got)
	}
}
