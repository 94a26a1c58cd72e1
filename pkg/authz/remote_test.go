package authz

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// conn answers in place of the permission service.
type conn struct {
	grpc.ClientConnInterface
	answer func(ctx context.Context, request any) (proto.Message, error)
}

func (c conn) Invoke(ctx context.Context, _ string, request, reply any, _ ...grpc.CallOption) error {
	answer, err := c.answer(ctx, request)
	if err == nil {
		proto.Merge(reply.(proto.Message), answer)
	}
	return err
}

func question(resources ...string) Request {
	return Request{Caller: authn.Caller{Name: "organizations/acme/staff/s1"}, Permission: "test.things.get", Resources: resources}
}

func TestRemote_asksForTheCallersOrganisation(t *testing.T) {
	const a, b = "organizations/acme/things/a", "organizations/acme/things/b"
	query := func(resource string) *permissionv1.CheckQuery {
		return &permissionv1.CheckQuery{Subject: "organizations/acme/staff/s1", Permission: "test.things.get", Resource: resource}
	}
	result := func(allowed bool) *permissionv1.CheckResult { return &permissionv1.CheckResult{Allowed: allowed} }
	for name, c := range map[string]struct {
		resources       []string
		request, answer proto.Message
		denied          string
	}{
		"one": {[]string{a},
			&permissionv1.CheckRequest{Parent: "organizations/acme", Query: query(a)},
			&permissionv1.CheckResponse{Result: result(true)}, ""},
		"one denied": {[]string{a},
			&permissionv1.CheckRequest{Parent: "organizations/acme", Query: query(a)},
			&permissionv1.CheckResponse{Result: result(false)}, a},
		"empty answer": {[]string{a},
			&permissionv1.CheckRequest{Parent: "organizations/acme", Query: query(a)},
			&permissionv1.CheckResponse{}, a},
		"two": {[]string{a, b},
			&permissionv1.BatchCheckRequest{Parent: "organizations/acme", Queries: []*permissionv1.CheckQuery{query(a), query(b)}},
			&permissionv1.BatchCheckResponse{Results: []*permissionv1.CheckResult{result(true), result(true)}}, ""},
		"second denied": {[]string{a, b},
			&permissionv1.BatchCheckRequest{Parent: "organizations/acme", Queries: []*permissionv1.CheckQuery{query(a), query(b)}},
			&permissionv1.BatchCheckResponse{Results: []*permissionv1.CheckResult{result(true), result(false)}}, b},
	} {
		t.Run(name, func(t *testing.T) {
			remote := Remote(conn{answer: func(_ context.Context, request any) (proto.Message, error) {
				if !proto.Equal(c.request, request.(proto.Message)) {
					t.Errorf("asked %v, want %v", request, c.request)
				}
				return c.answer, nil
			}})
			_, err := remote.Check(t.Context(), question(c.resources...))
			if c.denied == "" && err != nil {
				t.Errorf("got %v", err)
			}
			if c.denied != "" && (!errs.Is(err, errs.Denied) || errs.From(err).Metadata["resource"] != c.denied) {
				t.Errorf("got %v, want a denial on %s", err, c.denied)
			}
		})
	}
}

func TestRemote_failsClosed(t *testing.T) {
	for name, answer := range map[string]func() (proto.Message, error){
		"away":           func() (proto.Message, error) { return nil, errs.New(errs.Unavailable, "UNAVAILABLE", "away") },
		"refuses us":     func() (proto.Message, error) { return nil, errs.New(errs.Denied, "PERMISSION_DENIED", "no") },
		"broken":         func() (proto.Message, error) { return nil, errors.New("eof") },
		"answers short":  func() (proto.Message, error) { return &permissionv1.BatchCheckResponse{}, nil },
		"not in time":    func() (proto.Message, error) { return nil, context.DeadlineExceeded },
		"gives us up":    func() (proto.Message, error) { return nil, errs.New(errs.Canceled, "CANCELED", "gone") },
		"does not exist": func() (proto.Message, error) { return nil, errs.New(errs.Unimplemented, "UNIMPLEMENTED", "?") },
	} {
		remote := Remote(conn{answer: func(context.Context, any) (proto.Message, error) { return answer() }})
		_, err := remote.Check(t.Context(), question("organizations/acme/things/a", "organizations/acme/things/b"))
		if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != "PERMISSION_UNAVAILABLE" {
			t.Errorf("%s: got %v, want PERMISSION_UNAVAILABLE", name, err)
		}
	}
}

func TestRemote_usesUpAnApproval(t *testing.T) {
	const on = "organizations/acme/things/a"
	r := question(on)
	r.Approval = Approval{Name: approvalName, Call: "c1"}
	query := &permissionv1.CheckQuery{Subject: r.Caller.Name, Permission: r.Permission, Resource: on, Approval: approvalName}
	var asked []proto.Message
	answer, err := Remote(conn{answer: func(ctx context.Context, request any) (proto.Message, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a call without a deadline")
		}
		asked = append(asked, request.(proto.Message))
		if len(asked) == 1 {
			return &permissionv1.CheckResponse{Result: &permissionv1.CheckResult{Allowed: true, ApprovalSingleUse: true, Restricted: true}}, nil
		}
		return &permissionv1.UseApprovalResponse{}, nil
	}}).Check(t.Context(), r)
	want := []proto.Message{
		&permissionv1.CheckRequest{Parent: "organizations/acme", Query: query},
		&permissionv1.UseApprovalRequest{
			Parent: "organizations/acme", Approval: approvalName, Subject: r.Caller.Name, Permission: r.Permission, Resource: on, RequestId: r.useID(on),
		},
	}
	if diff := cmp.Diff(want, asked, protocmp.Transform()); diff != "" || err != nil || answer != (Answer{Allowed: true, Restricted: true}) {
		t.Errorf("%v, %v; asked (-want +got):\n%s", answer, err, diff)
	}
}

func TestRemote_endsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	remote := Remote(conn{answer: func(ctx context.Context, _ any) (proto.Message, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a check without a deadline")
		}
		cancel()
		return nil, errs.New(errs.Canceled, "CANCELED", "gone")
	}})
	if _, err := remote.Check(ctx, question("organizations/acme")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

func TestCatalogue_readsTheLinkedProtos(t *testing.T) {
	var roles Permission
	names := make([]string, 0, 64)
	for _, p := range Catalogue() {
		names = append(names, p.Name)
		if p.Name == "permission.roles.update" {
			roles = p
		}
	}
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			t.Fatalf("%s before %s", names[i-1], names[i])
		}
	}
	want := Permission{
		Name: "permission.roles.update", Service: "permission", Resource: "roles", Verb: "update", Mutates: true,
		Methods: []string{
			"/guildhall.permission.v1.RoleService/RollbackRole", "/guildhall.permission.v1.RoleService/UpdateRole",
		},
		Patterns: []string{"organizations/*/roles/*"},
	}
	if diff := cmp.Diff(want, roles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
