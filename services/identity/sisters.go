package identity

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/serve"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// sister is another service of the suite that keeps data of customers.
type sister struct {
	name   string
	client interface {
		EraseSubject(context.Context, *subjectv1.EraseSubjectRequest, ...grpc.CallOption) (*subjectv1.EraseSubjectResponse, error)
		ExportSubject(context.Context, *subjectv1.ExportSubjectRequest, ...grpc.CallOption) (*subjectv1.ExportSubjectResponse, error)
		MoveSubject(context.Context, *subjectv1.MoveSubjectRequest, ...grpc.CallOption) (*subjectv1.MoveSubjectResponse, error)
	}
}

// sisters returns them, in the order in which they are asked: permission is the last,
// since others still tell it of what ends with them. A service that comes to keep data
// of customers has its line here; erasures, exports and merges wait for it from then on.
func sisters(kit *serve.Kit) []sister {
	return []sister{
		{"groupchat", groupchatv1.NewGroupchatSubjectServiceClient(kit.Dial("groupchat"))},
		{"feedback", feedbackv1.NewFeedbackSubjectServiceClient(kit.Dial("feedback"))},
		{"permission", permissionv1.NewPermissionSubjectServiceClient(kit.Dial("permission"))},
	}
}

// erase has the service erase what it keeps of a customer.
func (s sister) erase(ctx context.Context, customer string) (*subjectv1.ErasureReceipt, error) {
	resp, err := s.client.EraseSubject(ctx, &subjectv1.EraseSubjectRequest{Subject: customer})
	return resp.GetReceipt(), err
}

// export returns a page of what the service keeps of a customer.
func (s sister) export(ctx context.Context, req *subjectv1.ExportSubjectRequest) (*subjectv1.ExportSubjectResponse, error) {
	return s.client.ExportSubject(ctx, req)
}

// move has the service give what it keeps of a customer to another one, or back.
func (s sister) move(ctx context.Context, req *subjectv1.MoveSubjectRequest) (*subjectv1.MoveReceipt, error) {
	resp, err := s.client.MoveSubject(ctx, req)
	return resp.GetReceipt(), err
}
