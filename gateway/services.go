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
		identityv1.RegisterContactServiceHandlerClient(ctx, mux, identityv1.NewContactServiceClient(conn)),
		identityv1.RegisterFactorServiceHandlerClient(ctx, mux, identityv1.NewFactorServiceClient(conn)),
		identityv1.RegisterPasskeyServiceHandlerClient(ctx, mux, identityv1.NewPasskeyServiceClient(conn)),
		identityv1.RegisterThrottleServiceHandlerClient(ctx, mux, identityv1.NewThrottleServiceClient(conn)),
		identityv1.RegisterOrganizationServiceHandlerClient(ctx, mux, identityv1.NewOrganizationServiceClient(conn)),
		identityv1.RegisterStaffServiceHandlerClient(ctx, mux, identityv1.NewStaffServiceClient(conn)),
		identityv1.RegisterCustomerServiceHandlerClient(ctx, mux, identityv1.NewCustomerServiceClient(conn)),
		identityv1.RegisterOrderServiceHandlerClient(ctx, mux, identityv1.NewOrderServiceClient(conn)),
		identityv1.RegisterInteractionServiceHandlerClient(ctx, mux, identityv1.NewInteractionServiceClient(conn)),
		identityv1.RegisterPreferenceServiceHandlerClient(ctx, mux, identityv1.NewPreferenceServiceClient(conn)),
		identityv1.RegisterServiceAccountServiceHandlerClient(ctx, mux, identityv1.NewServiceAccountServiceClient(conn)),
		identityv1.RegisterClientKeyServiceHandlerClient(ctx, mux, identityv1.NewClientKeyServiceClient(conn)),
		identityv1.RegisterOAuthClientServiceHandlerClient(ctx, mux, identityv1.NewOAuthClientServiceClient(conn)),
		identityv1.RegisterOAuthServiceHandlerClient(ctx, mux, identityv1.NewOAuthServiceClient(conn)),
		identityv1.RegisterTeamServiceHandlerClient(ctx, mux, identityv1.NewTeamServiceClient(conn)),
		identityv1.RegisterTagServiceHandlerClient(ctx, mux, identityv1.NewTagServiceClient(conn)),
		identityv1.RegisterAttributeServiceHandlerClient(ctx, mux, identityv1.NewAttributeServiceClient(conn)),
		identityv1.RegisterSegmentServiceHandlerClient(ctx, mux, identityv1.NewSegmentServiceClient(conn)),
		identityv1.RegisterDeliveryServiceHandlerClient(ctx, mux, identityv1.NewDeliveryServiceClient(conn)),
		identityv1.RegisterMessageTemplateServiceHandlerClient(ctx, mux, identityv1.NewMessageTemplateServiceClient(conn)),
		identityv1.RegisterOwnershipServiceHandlerClient(ctx, mux, identityv1.NewOwnershipServiceClient(conn)),
		identityv1.RegisterOwnershipTransferServiceHandlerClient(ctx, mux, identityv1.NewOwnershipTransferServiceClient(conn)),
		identityv1.RegisterStageServiceHandlerClient(ctx, mux, identityv1.NewStageServiceClient(conn)),
		identityv1.RegisterConsentServiceHandlerClient(ctx, mux, identityv1.NewConsentServiceClient(conn)),
		identityv1.RegisterTaskServiceHandlerClient(ctx, mux, identityv1.NewTaskServiceClient(conn)),
		identityv1.RegisterWorkdayServiceHandlerClient(ctx, mux, identityv1.NewWorkdayServiceClient(conn)),
		identityv1.RegisterDataSubjectRequestServiceHandlerClient(ctx, mux, identityv1.NewDataSubjectRequestServiceClient(conn)),
		identityv1.RegisterLegalHoldServiceHandlerClient(ctx, mux, identityv1.NewLegalHoldServiceClient(conn)),
		identityv1.RegisterDuplicateServiceHandlerClient(ctx, mux, identityv1.NewDuplicateServiceClient(conn)),
		identityv1.RegisterTimelineServiceHandlerClient(ctx, mux, identityv1.NewTimelineServiceClient(conn)),
		identityv1.RegisterMergeServiceHandlerClient(ctx, mux, identityv1.NewMergeServiceClient(conn)),
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
		permissionv1.RegisterPolicyServiceHandlerClient(ctx, mux, permissionv1.NewPolicyServiceClient(conn)),
		permissionv1.RegisterAccessServiceHandlerClient(ctx, mux, permissionv1.NewAccessServiceClient(conn)),
		permissionv1.RegisterExplainServiceHandlerClient(ctx, mux, permissionv1.NewExplainServiceClient(conn)),
		permissionv1.RegisterDecisionServiceHandlerClient(ctx, mux, permissionv1.NewDecisionServiceClient(conn)),
		permissionv1.RegisterPermissionChangeRequestServiceHandlerClient(ctx, mux, permissionv1.NewPermissionChangeRequestServiceClient(conn)),
		permissionv1.RegisterApprovalPolicyServiceHandlerClient(ctx, mux, permissionv1.NewApprovalPolicyServiceClient(conn)),
		permissionv1.RegisterNoticeServiceHandlerClient(ctx, mux, permissionv1.NewNoticeServiceClient(conn)),
		permissionv1.RegisterAccessReviewServiceHandlerClient(ctx, mux, permissionv1.NewAccessReviewServiceClient(conn)),
		permissionv1.RegisterSeparationRuleServiceHandlerClient(ctx, mux, permissionv1.NewSeparationRuleServiceClient(conn)),
		permissionv1.RegisterFieldPolicyServiceHandlerClient(ctx, mux, permissionv1.NewFieldPolicyServiceClient(conn)),
		permissionv1.RegisterAlarmServiceHandlerClient(ctx, mux, permissionv1.NewAlarmServiceClient(conn)),
		permissionv1.RegisterDutyProfileServiceHandlerClient(ctx, mux, permissionv1.NewDutyProfileServiceClient(conn)),
		permissionv1.RegisterCourseServiceHandlerClient(ctx, mux, permissionv1.NewCourseServiceClient(conn)),
		permissionv1.RegisterTrainingRecordServiceHandlerClient(ctx, mux, permissionv1.NewTrainingRecordServiceClient(conn)),
		permissionv1.RegisterCertificationRequirementServiceHandlerClient(ctx, mux, permissionv1.NewCertificationRequirementServiceClient(conn)),
		permissionv1.RegisterAdminAppointmentServiceHandlerClient(ctx, mux, permissionv1.NewAdminAppointmentServiceClient(conn)),
		permissionv1.RegisterAppointmentNoticeServiceHandlerClient(ctx, mux, permissionv1.NewAppointmentNoticeServiceClient(conn)),
		permissionv1.RegisterScorecardServiceHandlerClient(ctx, mux, permissionv1.NewScorecardServiceClient(conn)),
		permissionv1.RegisterAppraisalServiceHandlerClient(ctx, mux, permissionv1.NewAppraisalServiceClient(conn)),
		permissionv1.RegisterAwardServiceHandlerClient(ctx, mux, permissionv1.NewAwardServiceClient(conn)),
		permissionv1.RegisterInspectionServiceHandlerClient(ctx, mux, permissionv1.NewInspectionServiceClient(conn)),
		permissionv1.RegisterPermissionEventServiceHandlerClient(ctx, mux, permissionv1.NewPermissionEventServiceClient(conn)),
		permissionv1.RegisterPermissionAuditServiceHandlerClient(ctx, mux, permissionv1.NewPermissionAuditServiceClient(conn)),
	)
}

func registerGroupChat(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	return errors.Join(
		groupchatv1.RegisterGroupServiceHandlerClient(ctx, mux, groupchatv1.NewGroupServiceClient(conn)),
		groupchatv1.RegisterMessageServiceHandlerClient(ctx, mux, groupchatv1.NewMessageServiceClient(conn)),
		groupchatv1.RegisterMessageTypeServiceHandlerClient(ctx, mux, groupchatv1.NewMessageTypeServiceClient(conn)),
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
