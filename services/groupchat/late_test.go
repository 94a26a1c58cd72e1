package groupchat_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestErased_doesNotComeBackByACall: calls by the customer and about it that were
// let in before the erasure, and come to the store after it, are refused.
func TestErased_doesNotComeBackByACall(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := leaving(t, engine)
			hers, others := w.life(t)
			shop := acme + "/groups/shop"
			w.erase(t, mei)
			ctx, groups, messages := t.Context(), w.groups(t, mei), w.messages(t, mei)
			for what, call := range map[string]func() error{
				"sends": func() error {
					return second(messages.CreateMessage(ctx, &groupchatv1.CreateMessageRequest{Parent: shop, Message: &groupchatv1.Message{Text: private}}))
				},
				"sends once more": func() error {
					return second(messages.CreateMessage(ctx, &groupchatv1.CreateMessageRequest{
						Parent: shop, RequestId: "r5" + shop, Message: &groupchatv1.Message{Text: "I am " + private},
					}))
				},
				"recalls her own":  func() error { return second(w.recall(t, mei, hers.GetName())) },
				"re-types another": func() error { return second(w.retype(t, mei, others.GetName(), news)) },
				"makes a group": func() error {
					return second(groups.CreateGroup(ctx, &groupchatv1.CreateGroupRequest{Parent: acme, Group: &groupchatv1.Group{DisplayName: private}}))
				},
				"describes a group": func() error {
					return second(groups.UpdateGroup(ctx, &groupchatv1.UpdateGroupRequest{
						Group: &groupchatv1.Group{Name: shop, Description: private}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
					}))
				},
				"adds a member": func() error {
					return second(groups.CreateMember(ctx, &groupchatv1.CreateMemberRequest{Parent: shop, Member: &groupchatv1.Member{Account: bo}}))
				},
				"is added": func() error {
					return second(w.groups(t, clerk).CreateMember(ctx, &groupchatv1.CreateMemberRequest{
						Parent: shop, Member: &groupchatv1.Member{Account: mei, Nickname: private},
					}))
				},
				"is named": func() error {
					return second(w.groups(t, clerk).UpdateMember(ctx, &groupchatv1.UpdateMemberRequest{Member: &groupchatv1.Member{
						Name: memberName(shop, mei), Nickname: private,
					}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nickname"}}}))
				},
			} {
				switch err := call(); errs.ReasonOf(err) {
				case "CUSTOMER_ERASED", "NOT_A_MEMBER", "MEMBER_NOT_FOUND":
				default:
					t.Errorf("she %s: %v, want it to be refused", what, err)
				}
			}
			if where := w.Holding(t, private); len(where) > 0 {
				t.Errorf("the words are back in %v", where)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// TestErased_doesNotComeBackByAnEvent: identity's feed may be read again from an
// earlier place, and tell of what there was before.
func TestErased_doesNotComeBackByAnEvent(t *testing.T) {
	store := testkit.Store(t, "bolt", "identity", feed.Tables())
	log := must(feed.Open(t.Context(), feed.Config{Service: "identity", Store: store}))(t)
	w := start(t, setting{Options: servetest.Options{
		May: func(authz.Request) bool { return true },
		Sisters: map[string]grpc.ClientConnInterface{"identity": servetest.Sister(t, func(r grpc.ServiceRegistrar) {
			identityv1.RegisterCustomerServiceServer(r, directory{})
			identityv1.RegisterStaffServiceServer(r, directory{})
			identityv1.RegisterIdentityEventServiceServer(r, sisterFeed{feed.NewServer(log)})
		})},
	}})
	w.life(t)
	w.add(t, acme+"/groups/shop", bo, plain)
	w.erase(t, mei)
	if err := store.Update(t.Context(), func(tx kv.Tx) error {
		for _, gone := range []string{mei, bo} {
			if err := log.Append(tx, &eventv1.Event{
				Type: "guildhall.identity.account.purged.v1", Subject: gone, Organization: acme, Time: timestamppb.Now(),
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	log.Notify()
	eventually(t, "both events are applied", func() bool {
		_, err := w.groups(t, clerk).GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(acme+"/groups/shop", bo)})
		return errs.ReasonOf(err) == "MEMBER_NOT_FOUND" && !slices.Contains(w.Holding(t, mei), "departures")
	})
	for _, table := range []string{"groups", "members", "members__account", "messages", "departures"} {
		if slices.Contains(w.Holding(t, mei), table) {
			t.Errorf("the name is back in %s", table)
		}
	}
}
