package rpc

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
)

// approvals allows everything, and remembers the approvals it was asked with.
type approvals struct {
	authz.Checker // of which nothing else is asked
	mu            sync.Mutex
	asked         []authz.Approval
}

func (a *approvals) Check(_ context.Context, r authz.Request) (authz.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Approval)
	return authz.Answer{Allowed: true}, nil
}

func (a *approvals) last(t *testing.T) authz.Approval {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.asked) == 0 {
		t.Fatal("nothing was asked")
	}
	return a.asked[len(a.asked)-1]
}

const approval = staffName + "/permissionChangeRequests/r1"

func naming(ctx context.Context, names ...string) context.Context {
	for _, name := range names {
		ctx = metadata.AppendToOutgoingContext(ctx, "guildhall-approval", name)
	}
	return ctx
}

func TestApproval_reachesTheChecker(t *testing.T) {
	checker := &approvals{}
	s := newSuite(t, func(cfg *Config) { cfg.Checker = checker })
	var inHandler authz.Approval
	s.handlers.createRole = func(ctx context.Context, r *permissionv1.CreateRoleRequest) (*permissionv1.Role, error) {
		inHandler = authz.ApprovalOf(ctx)
		return r.GetRole(), nil
	}
	person := as(t.Context(), s.token(time.Minute))
	client := permissionv1.NewRoleServiceClient(s.dial(nil))
	create := func(ctx context.Context, requestID string) authz.Approval {
		t.Helper()
		role := &permissionv1.Role{DisplayName: "Clerk", Permissions: []string{"groupchat.groups.get"}}
		if _, err := client.CreateRole(ctx, &permissionv1.CreateRoleRequest{Parent: "organizations/acme", RoleId: "clerk", Role: role, RequestId: requestID}); err != nil {
			t.Fatal(err)
		}
		return checker.last(t)
	}
	if got := create(person, "m1"); got != (authz.Approval{}) {
		t.Errorf("without the header: %v", got)
	}
	first, again, other := create(naming(person, approval), "m1"), create(naming(person, approval), "m1"), create(naming(person, approval), "m2")
	if first.Name != approval || first.Call == "" || other != inHandler {
		t.Errorf("asked with %v and %v, the handler has %v", first, other, inHandler)
	}
	if again != first || other == first {
		t.Errorf("a call sent again is %v after %v, another one %v", again, first, other)
	}
	if got := create(naming(person, approval), ""); got != (authz.Approval{Name: approval}) {
		t.Errorf("a call that cannot be sent again: %v", got)
	}
}

func TestApproval_malformedIsInvalid(t *testing.T) {
	s := newSuite(t)
	s.handlers.events = func(*eventv1.StreamEventsRequest, eventStream) error {
		t.Error("a refused stream reached the handler")
		return nil
	}
	person := as(t.Context(), s.token(time.Minute))
	client := permissionv1.NewRoleServiceClient(s.dial(nil))
	for name, ctx := range map[string]context.Context{
		"no name": naming(person, "yes"), "two": naming(person, approval, approval), "empty": naming(person, ""),
	} {
		_, err := client.GetRole(ctx, &permissionv1.GetRoleRequest{Name: "organizations/acme/roles/clerk"})
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "APPROVAL_INVALID" {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := firstEvent(t, ctx, s.dial(nil), "organizations/acme"); errs.ReasonOf(err) != "APPROVAL_INVALID" {
			t.Errorf("%s, on a stream: got %v", name, err)
		}
	}
	// Who is nobody learns nothing of it, and a sister service has no use for one.
	if _, err := client.GetRole(naming(t.Context(), "yes"), &permissionv1.GetRoleRequest{Name: "organizations/acme/roles/clerk"}); errs.ReasonOf(err) != "TOKEN_MISSING" {
		t.Errorf("nobody: got %v", err)
	}
	_, err := permissionv1.NewGrantServiceClient(s.sister("groupchat")).SetManagedGrant(naming(t.Context(), "yes"), &permissionv1.SetManagedGrantRequest{
		Subject: staffName, Resource: "organizations/acme/groups/g1", Version: 1,
	})
	if err != nil {
		t.Errorf("a sister: %v", err)
	}
}

func TestApproval_ofAStreamIsOneCall(t *testing.T) {
	checker := &approvals{}
	s := newSuite(t, func(cfg *Config) { cfg.Checker, cfg.Recheck = checker, time.Nanosecond })
	s.handlers.events = func(_ *eventv1.StreamEventsRequest, stream eventStream) error {
		return stream.Send(&eventv1.StreamEventsResponse{})
	}
	ctx := naming(as(t.Context(), s.token(time.Minute)), approval)
	for range 2 {
		if _, err := firstEvent(t, ctx, s.dial(nil), "organizations/acme"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(checker.asked); n != 4 || checker.asked[0] != checker.asked[1] || checker.asked[1] == checker.asked[2] || checker.asked[0].Call == "" {
		t.Errorf("two streams, looked at twice each, asked with %v", checker.asked)
	}
}
