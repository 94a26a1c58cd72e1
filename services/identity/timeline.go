package identity

import (
	"context"

	"guildhall.dev/pkg/serve"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/chronicle"
)

// newFollowers returns what hears from the sisters what happened to customers.
func newFollowers(ctx context.Context, c *api.Centres, kit *serve.Kit) (*chronicle.Followers, error) {
	return chronicle.Open(ctx, chronicle.Config{
		Store: c.Store, Scribe: c.Scribe, Timeline: c.Timeline, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
		Sources: []chronicle.Source{
			{Name: "groupchat", Open: groupchatv1.NewGroupChatEventServiceClient(kit.Dial("groupchat")).StreamEvents},
			{Name: "feedback", Open: feedbackv1.NewFeedbackEventServiceClient(kit.Dial("feedback")).StreamEvents},
			{Name: "permission", Open: permissionv1.NewPermissionEventServiceClient(kit.Dial("permission")).StreamEvents},
		},
	})
}
