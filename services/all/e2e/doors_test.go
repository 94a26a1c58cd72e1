package e2e

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// door is a way into the suite. Both are connections for the generated clients,
// so that a test is written once and comes in by either; the HTTP one does what
// the routes in the protos say (see http_test.go). Errors of both are
// *errs.Error.
type door string

const (
	grpcDoor door = "grpc"
	httpDoor door = "http"
)

// eachDoor runs a test once for each door.
func eachDoor(t *testing.T, test func(t *testing.T, d door)) {
	for _, d := range []door{grpcDoor, httpDoor} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, d)
		})
	}
}

// api is every public service of the suite, called with one token.
type api struct {
	auth          identityv1.AuthServiceClient
	organizations identityv1.OrganizationServiceClient
	staff         identityv1.StaffServiceClient
	customers     identityv1.CustomerServiceClient
	teams         identityv1.TeamServiceClient
	roles         permissionv1.RoleServiceClient
	grants        permissionv1.GrantServiceClient
	checks        permissionv1.CheckServiceClient
	fields        permissionv1.FieldPolicyServiceClient
	groups        groupchatv1.GroupServiceClient
	messages      groupchatv1.MessageServiceClient
	types         groupchatv1.MessageTypeServiceClient
	surveys       feedbackv1.SurveyServiceClient
	complaints    feedbackv1.ComplaintServiceClient

	// conn is the connection to a service, for calls by their full name.
	conn func(service string) grpc.ClientConnInterface
}

// open returns the API as the holder of a token sees it; "" is nobody.
func (s *suite) open(t testing.TB, d door, token string) *api {
	conn := func(service string) grpc.ClientConnInterface {
		if d == httpDoor {
			return &httpConn{t: t, base: s.http, token: token}
		}
		return tokenConn{s.dial(service), token}
	}
	return newAPI(conn)
}

func newAPI(conn func(service string) grpc.ClientConnInterface) *api {
	identity, permission, groupchat, feedback := conn("identity"), conn("permission"), conn("groupchat"), conn("feedback")
	return &api{
		auth:          identityv1.NewAuthServiceClient(identity),
		organizations: identityv1.NewOrganizationServiceClient(identity),
		staff:         identityv1.NewStaffServiceClient(identity),
		customers:     identityv1.NewCustomerServiceClient(identity),
		teams:         identityv1.NewTeamServiceClient(identity),
		roles:         permissionv1.NewRoleServiceClient(permission),
		grants:        permissionv1.NewGrantServiceClient(permission),
		checks:        permissionv1.NewCheckServiceClient(permission),
		fields:        permissionv1.NewFieldPolicyServiceClient(permission),
		groups:        groupchatv1.NewGroupServiceClient(groupchat),
		messages:      groupchatv1.NewMessageServiceClient(groupchat),
		types:         groupchatv1.NewMessageTypeServiceClient(groupchat),
		surveys:       feedbackv1.NewSurveyServiceClient(feedback),
		complaints:    feedbackv1.NewComplaintServiceClient(feedback),
		conn:          conn,
	}
}

// dial returns the suite's one connection to a service.
func (s *suite) dial(service string) *grpc.ClientConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn, ok := s.conns[service]; ok {
		return conn
	}
	// A call to a service that is being started again waits for it.
	options := append(rpc.DialOptions(rpc.DialConfig{}), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	conn, err := grpc.NewClient(s.grpc[service], options...)
	if err != nil {
		s.t.Errorf("dialling %s: %v", service, err)
		return nil
	}
	s.conns[service] = conn
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// tokenConn sends a token with each call.
type tokenConn struct {
	*grpc.ClientConn
	token string
}

func (c tokenConn) with(ctx context.Context) context.Context {
	if c.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
}

func (c tokenConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return again(func() error { return c.ClientConn.Invoke(c.with(ctx), method, args, reply, opts...) })
}

// again makes a call again when permission had no answer in time, before which
// nothing was done: the machine may be busy.
func again(call func() error) (err error) {
	for range 3 {
		if err = call(); errs.ReasonOf(err) != "PERMISSION_UNAVAILABLE" {
			break
		}
	}
	return err
}

func (c tokenConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConn.NewStream(c.with(ctx), desc, method, opts...)
}

// need returns the answer of a call that has to succeed:
//
//	group := need(api.groups.GetGroup(ctx, req))(t)
func need[T any](answer T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return answer
	}
}

// patiently makes a call again while there is no answer in time, as clients do: the
// machine may be busy. The call names its request.
func patiently[T any](t testing.TB, call func(ctx context.Context) (T, error)) (answer T) {
	t.Helper()
	until(t, "an answer in time", func(ctx context.Context) (err error) {
		if answer, err = call(ctx); err != nil && !errs.Is(err, errs.Unavailable) {
			t.Fatalf("refused: %v", err)
		}
		return err
	})
	return answer
}

// refused wants a call to fail with a kind and a reason; "" is any reason. It
// returns the error.
func refused[T any](answer T, err error) func(t testing.TB, kind errs.Kind, reason string) *errs.Error {
	return func(t testing.TB, kind errs.Kind, reason string) *errs.Error {
		t.Helper()
		if err == nil {
			t.Errorf("got %v, want %v %s", answer, kind, reason)
			return errs.New(kind, reason, "")
		}
		e := errs.From(err)
		if e.Kind != kind || reason != "" && e.Reason != reason {
			t.Errorf("got %v, want %v %s", err, kind, reason)
		}
		leaksNothing(t, e.Message)
		return e
	}
}
