package gateway

import (
	"context"
	"errors"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// service is one service of the suite and its generated routes, below
// "/<name>/". A test finds an RPC whose routes are not registered here.
type service struct {
	name     string
	register func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error
}

func services() []service {
	return []service{
		{"identity", registerIdentity}, {"permission", registerPermission},
		{"groupchat", registerGroupChat}, {"feedback", registerFeedback},
	}
}

func registerIdentity(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	return errors.Join(
		identityv1.RegisterAuthServiceHandlerClient(ctx, mux, identityv1.NewAuthServiceClient(conn)),
		identityv1.RegisterOrganizationServiceHandlerClient(ctx, mux, identityv1.NewOrganizationServiceClient(conn)),
		identityv1.RegisterStaffServiceHandlerClient(ctx, mux, identityv1.NewStaffServiceClient(conn)),
		identityv1.RegisterCustomerServiceHandlerClient(ctx, mux, identityv1.NewCustomerServiceClient(conn)),
		identityv1.RegisterTeamServiceHandlerClient(ctx, mux, identityv1.NewTeamServiceClient(conn)),
		identityv1.RegisterIdentityEventServiceHandlerClient(ctx, mux, identityv1.NewIdentityEventServiceClient(conn)),
		identityv1.RegisterIdentityAuditServiceHandlerClient(ctx, mux, identityv1.NewIdentityAuditServiceClient(conn)),
	)
}

func registerPermission(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	return errors.Join(
		permissionv1.RegisterRoleServiceHandlerClient(ctx, mux, permissionv1.NewRoleServiceClient(conn)),
		permissionv1.RegisterResourceTypeServiceHandlerClient(ctx, mux, permissionv1.NewResourceTypeServiceClient(conn)),
		permissionv1.RegisterPropertyServiceHandlerClient(ctx, mux, permissionv1.NewPropertyServiceClient(conn)),
		permissionv1.RegisterGrantServiceHandlerClient(ctx, mux, permissionv1.NewGrantServiceClient(conn)),
		permissionv1.RegisterGrantUsageServiceHandlerClient(ctx, mux, permissionv1.NewGrantUsageServiceClient(conn)),
		permissionv1.RegisterCheckServiceHandlerClient(ctx, mux, permissionv1.NewCheckServiceClient(conn)),
		permissionv1.RegisterDecisionServiceHandlerClient(ctx, mux, permissionv1.NewDecisionServiceClient(conn)),
		permissionv1.RegisterPermissionEventServiceHandlerClient(ctx, mux, permissionv1.NewPermissionEventServiceClient(conn)),
		permissionv1.RegisterPermissionAuditServiceHandlerClient(ctx, mux, permissionv1.NewPermissionAuditServiceClient(conn)),
	)
}

func registerGroupChat(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	return errors.Join(
		groupchatv1.RegisterGroupServiceHandlerClient(ctx, mux, groupchatv1.NewGroupServiceClient(conn)),
		groupchatv1.RegisterMessageServiceHandlerClient(ctx, mux, groupchatv1.NewMessageServiceClient(conn)),
		groupchatv1.RegisterGroupChatEventServiceHandlerClient(ctx, mux, groupchatv1.NewGroupChatEventServiceClient(conn)),
		groupchatv1.RegisterGroupChatAuditServiceHandlerClient(ctx, mux, groupchatv1.NewGroupChatAuditServiceClient(conn)),
	)
}

func registerFeedback(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	return errors.Join(
		feedbackv1.RegisterSurveyServiceHandlerClient(ctx, mux, feedbackv1.NewSurveyServiceClient(conn)),
		feedbackv1.RegisterComplaintServiceHandlerClient(ctx, mux, feedbackv1.NewComplaintServiceClient(conn)),
		feedbackv1.RegisterFeedbackEventServiceHandlerClient(ctx, mux, feedbackv1.NewFeedbackEventServiceClient(conn)),
		feedbackv1.RegisterFeedbackAuditServiceHandlerClient(ctx, mux, feedbackv1.NewFeedbackAuditServiceClient(conn)),
	)
}
