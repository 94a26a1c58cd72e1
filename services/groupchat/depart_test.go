package groupchat_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// sisterFeed serves a feed to a caller that is a sister service, as it is
// behind the interceptors.
type sisterFeed struct {
	*feed.Server
}

func (s sisterFeed) StreamEvents(req *eventv1.StreamEventsRequest, stream grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	return s.Server.StreamEvents(req, sisterStream{stream})
}

type sisterStream struct {
	grpc.ServerStreamingServer[eventv1.StreamEventsResponse]
}

func (s sisterStream) Context() context.Context {
	return authn.WithCaller(s.ServerStreamingServer.Context(), authn.Caller{Name: "services/groupchat"})
}

func TestPurgedAccount_leavesItsGroups(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			store := testkit.Store(t, "bolt", "identity", feed.Tables())
			log := must(feed.Open(t.Context(), feed.Config{Service: "identity", Store: store}))(t)
			w := start(t, setting{Options: servetest.Options{Engine: engine, Sisters: map[string]grpc.ClientConnInterface{
				"identity": servetest.Sister(t, func(r grpc.ServiceRegistrar) {
					identityv1.RegisterCustomerServiceServer(r, directory{})
					identityv1.RegisterStaffServiceServer(r, directory{})
					identityv1.RegisterIdentityEventServiceServer(r, sisterFeed{feed.NewServer(log)})
				}),
			}}})
			alone, plainOnly := w.group(t, "alone"), w.group(t, "plain", mei, li)
			run := w.group(t, "run", mei)
			w.add(t, run, bo, admin)
			err := store.Update(t.Context(), func(tx kv.Tx) error {
				return log.Append(tx, &eventv1.Event{
					Type: "guildhall.identity.account.purged.v1", Subject: clerk, Organization: acme, Time: timestamppb.Now(),
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			log.Notify()
			for group, heir := range map[string]string{alone: "", plainOnly: mei, run: bo} {
				eventually(t, "the owner's grant on "+group+" ends", func() bool { return w.permission.role(clerk, group) == "" })
				g := must(w.groups(t, boss).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: group}))(t)
				if g.GetOwner() != heir || (g.GetDeleteTime() != nil) != (heir == "") {
					t.Errorf("%s: owner %q, deleted %v; want owner %q", group, g.GetOwner(), g.GetDeleteTime(), heir)
				}
				if heir != "" {
					eventually(t, "the heir's grant", func() bool { return w.permission.role(heir, group) == "roles/group.owner" })
				}
				_, err := w.groups(t, boss).GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(group, clerk)})
				wantErr(t, err, errs.NotFound, "MEMBER_NOT_FOUND")
			}
		})
	}
}
