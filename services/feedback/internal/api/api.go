// Package api is service feedback's gRPC surface: it turns requests into calls
// of the centres (survey, complaint) and their results into responses.
//
// No rule lives here but one: what a customer may see of a complaint or a
// draft, because that depends on who asks and not on the thing itself.
// Callers are authenticated, authorised and validated before they get here.
package api

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/subjectdata"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	"guildhall.dev/services/feedback/internal/complaint"
	"guildhall.dev/services/feedback/internal/customer"
	"guildhall.dev/services/feedback/internal/survey"
)

// Server answers all RPCs of the service. Its fields are all required.
type Server struct {
	Journal    *journal.Journal
	Surveys    *survey.Surveys
	Complaints *complaint.Complaints
	Customers  *customer.Directory
	// Refuse refuses what names a customer that is erased, or merged into another.
	Refuse   func(r kv.Reader, accounts ...string) error
	Subjects *subjectdata.Server
	Events   *feed.Server
	Audit    *audit.Server
}

// Register registers the handlers.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	feedbackv1.RegisterSurveyServiceServer(r, surveys{s})
	feedbackv1.RegisterComplaintServiceServer(r, complaints{s})
	feedbackv1.RegisterFeedbackSubjectServiceServer(r, s.Subjects)
	feedbackv1.RegisterFeedbackEventServiceServer(r, s.Events)
	feedbackv1.RegisterFeedbackAuditServiceServer(r, s.Audit)
}

// caller returns the name of the account that calls, and whether it is a
// customer's.
func caller(ctx context.Context) (name string, customer bool) {
	c, _ := authn.FromContext(ctx)
	return c.Name, c.Kind() == authn.Customer
}
