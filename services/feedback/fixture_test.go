package feedback_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/feedback"
)

const (
	acme  = "organizations/acme"
	clerk = acme + "/staff/clerk"
	mei   = acme + "/customers/mei"
)

// directory is an identity that knows one customer.
type directory struct {
	identityv1.CustomerServiceServer
}

func (directory) GetCustomer(_ context.Context, req *identityv1.GetCustomerRequest) (*identityv1.Customer, error) {
	switch req.GetName() {
	case mei:
		return &identityv1.Customer{Name: mei, State: identityv1.AccountState_ACCOUNT_STATE_ACTIVE}, nil
	case acme + "/customers/gone":
		return &identityv1.Customer{Name: req.GetName(), State: identityv1.AccountState_ACCOUNT_STATE_DELETED}, nil
	}
	return nil, errs.NotFoundName("CUSTOMER_NOT_FOUND", req.GetName())
}

func build(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
	return feedback.Builder().Build(ctx, kit)
}

// eachEngine runs test against the service on both engines.
func eachEngine(t *testing.T, test func(t *testing.T, s *servetest.Server)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, start(t, servetest.Options{Engine: engine})) })
	}
}

// start serves the service beside an identity that knows mei.
func start(t *testing.T, opts servetest.Options) *servetest.Server {
	opts.Sisters = map[string]grpc.ClientConnInterface{
		"identity": servetest.Sister(t, func(r grpc.ServiceRegistrar) {
			identityv1.RegisterCustomerServiceServer(r, directory{})
		}),
	}
	return servetest.Start(t, "feedback", build, opts)
}

func surveys(t *testing.T, s *servetest.Server, account string) feedbackv1.SurveyServiceClient {
	return feedbackv1.NewSurveyServiceClient(s.As(t, account))
}

func complaints(t *testing.T, s *servetest.Server, account string) feedbackv1.ComplaintServiceClient {
	return feedbackv1.NewComplaintServiceClient(s.As(t, account))
}

// must returns the value of a call that may not fail.
func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantErr fails unless err has the kind and the reason, and the field when one
// is given.
func wantErr(t *testing.T, err error, kind errs.Kind, reason string, field ...string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Fatalf("got %v, want %s with reason %s", err, kind, reason)
	}
	if len(field) > 0 {
		if v := errs.From(err).Violations; len(v) == 0 || v[0].Field != field[0] {
			t.Fatalf("got violations %v, want one of %s", v, field[0])
		}
	}
}

func TestUnpermitted_deniedAndAudited(t *testing.T) {
	s := start(t, servetest.Options{May: func(r authz.Request) bool { return r.Permission == "feedback.auditEntries.list" }})
	_, err := surveys(t, s, clerk).CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: acme, Survey: draft()})
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	awaitDenial(t, s)
}
