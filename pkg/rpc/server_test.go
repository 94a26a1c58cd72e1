package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
)

const roleName = "organizations/acme/roles/clerk"

func getRole(ctx context.Context, conn *grpc.ClientConn, name string) error {
	_, err := permissionv1.NewRoleServiceClient(conn).GetRole(ctx, &permissionv1.GetRoleRequest{Name: name})
	return err
}

func TestUnary_handlerKnowsItsCaller(t *testing.T) {
	s := newSuite(t)
	var got authn.Caller
	var id string
	s.handlers.getRole = func(ctx context.Context, _ *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		got, _ = authn.FromContext(ctx)
		id = RequestID(ctx)
		if RemoteAddress(ctx).IsValid() {
			t.Error("an in-memory connection has an address")
		}
		return &permissionv1.Role{}, nil
	}
	ctx := metadata.AppendToOutgoingContext(as(t.Context(), s.token(time.Minute)),
		RequestIDHeader, "mine", "x-forwarded-for", "203.0.113.9", "accept-language", "zh-CN")
	if err := getRole(ctx, s.dial(nil), roleName); err != nil {
		t.Fatal(err)
	}
	if got.Name != staffName || got.Session != "sess1" {
		t.Errorf("caller %+v", got)
	}
	if id == "" || id == "mine" {
		t.Errorf("request id %q: want a new one, a stranger's word does not count", id)
	}
}

func TestUnary_refusesInOrder(t *testing.T) {
	s := newSuite(t)
	s.checker.revoke("organizations/acme/roles/secret")
	s.handlers.getRole = func(context.Context, *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		t.Error("a refused call reached the handler")
		return nil, nil
	}
	good := "Bearer " + s.token(time.Minute)
	for name, c := range map[string]struct {
		authorization []string
		resource      string
		kind          errs.Kind
		reason        string
	}{
		"without a token":           {nil, roleName, errs.Unauthenticated, "TOKEN_MISSING"},
		"bad token":                 {[]string{"Bearer x"}, roleName, errs.Unauthenticated, "TOKEN_INVALID"},
		"duplicate authorization":   {[]string{good, good}, roleName, errs.Unauthenticated, "TOKEN_INVALID"},
		"expired token":             {[]string{"Bearer " + s.token(-authn.Skew)}, roleName, errs.Unauthenticated, "TOKEN_EXPIRED"},
		"bad token and no resource": {[]string{"Bearer x"}, "", errs.Unauthenticated, "TOKEN_INVALID"},
		"no resource":               {[]string{good}, "", errs.Invalid, "RESOURCE_NAME_INVALID"},
		"malformed resource":        {[]string{good}, "organizations/acme/../x", errs.Invalid, "RESOURCE_NAME_INVALID"},
		"another tenant":            {[]string{good}, "organizations/other/roles/clerk", errs.NotFound, "RESOURCE_NOT_FOUND"},
		"not granted":               {[]string{good}, "organizations/acme/roles/secret", errs.Denied, "PERMISSION_DENIED"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			for _, a := range c.authorization {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a)
			}
			err := getRole(ctx, s.dial(nil), c.resource)
			if !errs.Is(err, c.kind) || errs.ReasonOf(err) != c.reason {
				t.Errorf("got %v, want %v %s", err, c.kind, c.reason)
			}
		})
	}
}

func TestUnary_deniedIsAuthorisedBeforeItIsValidated(t *testing.T) {
	s := newSuite(t)
	s.checker.revoke("organizations/acme")
	client := permissionv1.NewRoleServiceClient(s.dial(nil))
	bad := &permissionv1.CreateRoleRequest{Parent: "organizations/acme", Role: &permissionv1.Role{}} // no display_name
	ctx := as(t.Context(), s.token(time.Minute))
	if _, err := client.CreateRole(ctx, bad); !errs.Is(err, errs.Denied) {
		t.Errorf("got %v, want Denied: the stranger learns nothing of the rules", err)
	}
	s.checker.revoked = nil
	_, err := client.CreateRole(ctx, bad)
	e := errs.From(err)
	if e.Kind != errs.Invalid || e.Reason != "VALIDATION_FAILED" || len(e.Violations) == 0 {
		t.Fatalf("got %v, want violations", err)
	}
	v := e.Violations[0]
	if v.Field != "role.display_name" || v.Reason != "STRING_MIN_LEN" || v.Description == "" {
		t.Errorf("got %+v", v)
	}
}

func TestUnary_publicNeedsNoToken(t *testing.T) {
	s := newSuite(t)
	client := identityv1.NewAuthServiceClient(s.dial(nil))
	request := &identityv1.LoginRequest{Organization: "organizations/acme", Identifier: "a@b.example"}
	if _, err := client.Login(as(t.Context(), "an old one"), request); err != nil {
		t.Errorf("login with a dead token in the header: %v", err)
	}
	if _, err := client.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}); errs.ReasonOf(err) != "TOKEN_MISSING" {
		t.Errorf("an authenticated call without a token: %v", err)
	}
	if _, err := client.WhoAmI(as(t.Context(), s.token(time.Minute)), &identityv1.WhoAmIRequest{}); err != nil {
		t.Error(err)
	}
}

func TestUnary_internalIsForListedSisters(t *testing.T) {
	var denied []string
	s := newSuite(t, func(cfg *Config) {
		cfg.OnDenied = func(_ context.Context, r authz.Request, method string) {
			denied = append(denied, r.Caller.Name+" "+method)
		}
	})
	set := func(conn *grpc.ClientConn, ctx context.Context) error {
		_, err := permissionv1.NewGrantServiceClient(conn).SetManagedGrant(ctx,
			&permissionv1.SetManagedGrantRequest{Subject: staffName, Resource: "organizations/acme/groups/g1", Version: 1})
		return err
	}
	if err := set(s.sister("groupchat"), t.Context()); err != nil {
		t.Errorf("the listed sister: %v", err)
	}
	if err := set(s.sister("feedback"), t.Context()); !errs.Is(err, errs.Denied) {
		t.Errorf("another sister: %v", err)
	}
	if err := set(s.dial(nil), as(t.Context(), s.token(time.Minute))); !errs.Is(err, errs.Denied) {
		t.Errorf("a person: %v", err)
	}
	method := permissionv1.GrantService_SetManagedGrant_FullMethodName
	if want := []string{"services/feedback " + method, staffName + " " + method}; strings.Join(denied, ",") != strings.Join(want, ",") {
		t.Errorf("the hook heard %v, want %v", denied, want)
	}
}

func TestUnary_forwarderSpeaksForItsCaller(t *testing.T) {
	s := newSuite(t)
	var address, id, language string
	s.handlers.login = func(ctx context.Context) error {
		address, id, language = RemoteAddress(ctx).String(), RequestID(ctx), AcceptLanguage(ctx)
		return nil
	}
	login := func(conn *grpc.ClientConn, kv ...string) error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), kv...)
		_, err := identityv1.NewAuthServiceClient(conn).Login(ctx,
			&identityv1.LoginRequest{Organization: "organizations/acme", Identifier: "a@b.example"})
		return err
	}
	said := []string{RequestIDHeader, "req-1", "x-forwarded-for", "203.0.113.9, ::ffff:198.51.100.7", "accept-language", "zh-CN"}
	gateway := s.dial(authn.ForwarderCredentials(s.cluster, "gateway", "identity"))
	if err := login(gateway, said...); err != nil {
		t.Fatal(err)
	}
	if address != "198.51.100.7" || id != "req-1" || language != "zh-CN" {
		t.Errorf("got %q %q %q: want what the gateway saw itself", address, id, language)
	}
	if err := login(gateway, RequestIDHeader, strings.Repeat("a", maxRequestID+1)); err != nil || len(id) > 64 {
		t.Errorf("a huge request id: %v, kept %q", err, id)
	}
	if err := login(s.dial(authn.ForwarderCredentials(s.cluster, "feedback", "identity")), said[2:]...); errs.ReasonOf(err) != "TOKEN_INVALID" {
		t.Errorf("a sister that is no forwarder: %v", err)
	}
	if err := login(s.dial(nil), authn.ForwarderHeader, s.token(time.Minute)); errs.ReasonOf(err) != "TOKEN_INVALID" {
		t.Errorf("a person that says it is the gateway: %v", err)
	}
}

func TestUnary_requestIDGoesAlong(t *testing.T) {
	s := newSuite(t)
	var ids []string
	sister := s.sister("groupchat")
	s.handlers.getRole = func(ctx context.Context, _ *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		ids = append(ids, RequestID(ctx))
		_, err := permissionv1.NewGrantServiceClient(sister).SetManagedGrant(ctx,
			&permissionv1.SetManagedGrantRequest{Subject: staffName, Resource: "organizations/acme/groups/g1", Version: 1})
		return &permissionv1.Role{}, err
	}
	if err := getRole(as(t.Context(), s.token(time.Minute)), s.dial(nil), roleName); err != nil {
		t.Fatal(err)
	}
	lines := s.lines()
	if len(lines) != 2 || lines[0]["request_id"] != ids[0] || lines[1]["request_id"] != ids[0] {
		t.Errorf("want two lines of request %s, got %v", ids[0], lines)
	}
}

func TestUnary_panicIsOneFailedCall(t *testing.T) {
	s := newSuite(t)
	s.handlers.getRole = func(context.Context, *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		panic("the secret inside")
	}
	err := getRole(as(t.Context(), s.token(time.Minute)), s.dial(nil), roleName)
	if !errs.Is(err, errs.Internal) || errs.From(err).Message != errs.InternalMessage || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want the fixed text", err)
	}
	lines := s.lines()
	if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["error"] != "panic: the secret inside" {
		t.Fatalf("got %v", lines)
	}
	if stack, _ := lines[0]["stack"].(string); !strings.Contains(stack, "TestUnary_panicIsOneFailedCall") {
		t.Errorf("the stack does not lead to the handler:\n%s", stack)
	}
}

func TestUnary_oneLogLineWithoutBodies(t *testing.T) {
	s := newSuite(t)
	s.handlers.createRole = func(context.Context, *permissionv1.CreateRoleRequest) (*permissionv1.Role, error) {
		return nil, fmt.Errorf("storing: %w", errs.New(errs.Exists, "ROLE_EXISTS", "the role exists", errs.Cause(errors.New("row 7"))))
	}
	_, err := permissionv1.NewRoleServiceClient(s.dial(nil)).CreateRole(as(t.Context(), s.token(time.Minute)),
		&permissionv1.CreateRoleRequest{Parent: "organizations/acme", Role: &permissionv1.Role{DisplayName: "Planted Name"}})
	if !errs.Is(err, errs.Exists) || strings.Contains(err.Error(), "row 7") {
		t.Errorf("got %v: want ROLE_EXISTS without its cause", err)
	}
	lines := s.lines()
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1: %v", len(lines), lines)
	}
	line := lines[0]
	for key, want := range map[string]any{
		"msg": "call", "method": permissionv1.RoleService_CreateRole_FullMethodName, "code": "AlreadyExists",
		"reason": "ROLE_EXISTS", "caller": staffName, "level": "INFO",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if text, _ := line["error"].(string); !strings.Contains(text, "row 7") {
		t.Errorf("the cause is not in the log: %v", line)
	}
	if line["request_id"] == nil || line["duration"] == nil {
		t.Errorf("no request id or duration: %v", line)
	}
	if strings.Contains(string(s.logs.copy()), "Planted") {
		t.Error("the request's body is in the log")
	}
}

func TestUnary_deadlines(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.DefaultDeadline, cfg.MaxDeadline = time.Minute, time.Hour })
	var left time.Duration
	s.handlers.getRole = func(ctx context.Context, _ *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Error("no deadline")
		}
		left = time.Until(deadline)
		return &permissionv1.Role{}, nil
	}
	// Our own client never calls without a deadline, so it asks for a long one.
	conn, err := grpc.NewClient("passthrough:///identity", append(DialOptions(DialConfig{Timeout: 24 * time.Hour}), grpc.WithContextDialer(s.pipe))...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	token := as(t.Context(), s.token(time.Minute))
	if err := getRole(token, conn, roleName); err != nil || left > time.Hour {
		t.Errorf("asked for a day: %v, got %v, want at most the cap", err, left)
	}
	ctx, cancel := context.WithTimeout(token, 30*time.Second)
	defer cancel()
	if err := getRole(ctx, conn, roleName); err != nil || left > 30*time.Second {
		t.Errorf("asked for 30 s: %v, got %v", err, left)
	}
	srv := &server{cfg: Config{DefaultDeadline: time.Minute, MaxDeadline: time.Hour}}
	without := &unaryContext{call: call{start: time.Now()}}
	srv.bound(context.Background(), without)
	if d, ok := without.Deadline(); !ok || time.Until(d) > time.Minute {
		t.Errorf("a call without a deadline got %v", d)
	}
}

func TestUnary_readOnlyRefusesChanges(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.ReadOnly = func() bool { return true } })
	ctx := as(t.Context(), s.token(time.Minute))
	_, err := permissionv1.NewRoleServiceClient(s.dial(nil)).CreateRole(ctx,
		&permissionv1.CreateRoleRequest{Parent: "organizations/acme", Role: &permissionv1.Role{DisplayName: "x"}})
	if !errs.Is(err, errs.Precondition) || errs.ReasonOf(err) != "READ_ONLY" {
		t.Errorf("a change: %v", err)
	}
	if err := getRole(ctx, s.dial(nil), roleName); err != nil {
		t.Errorf("a read: %v", err)
	}
}

// TestUnary_checksKnowWhereTheCallerIs: what the gateway saw, and nothing that
// the caller says of itself.
func TestUnary_checksKnowWhereTheCallerIs(t *testing.T) {
	s := newSuite(t)
	address := func(conn *grpc.ClientConn) string {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "203.0.113.9, 198.51.100.7", "authorization", "Bearer "+s.token(time.Minute))
		if _, err := permissionv1.NewRoleServiceClient(conn).GetRole(ctx, &permissionv1.GetRoleRequest{Name: "organizations/acme/roles/r1"}); err != nil {
			t.Fatal(err)
		}
		return s.checker.known.GetAddress()
	}
	if got := address(s.dial(authn.ForwarderCredentials(s.cluster, "gateway", "identity"))); got != "198.51.100.7" {
		t.Errorf("through the gateway the check knows %q", got)
	}
	// The connection in memory has no address of its own.
	if got := address(s.dial(nil)); got != "" {
		t.Errorf("a caller that says where it is was believed: %q", got)
	}
}
