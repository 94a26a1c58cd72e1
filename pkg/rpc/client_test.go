package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/reflect/protoregistry"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
)

func TestClient_remoteErrorTestsLikeALocalOne(t *testing.T) {
	s := newSuite(t)
	s.handlers.getRole = func(context.Context, *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		return nil, errs.New(errs.NotFound, "ROLE_NOT_FOUND", "no such role", errs.Meta("resource", roleName),
			errs.Field("name", "ROLE_NOT_FOUND", "send another"), errs.RetryAfter(3*time.Second))
	}
	e := errs.From(getRole(as(t.Context(), s.token(time.Minute)), s.dial(nil), roleName))
	if e.Kind != errs.NotFound || e.Reason != "ROLE_NOT_FOUND" || e.Message != "no such role" || e.RetryAfter != 3*time.Second {
		t.Errorf("got %+v", e)
	}
	want := []errs.Violation{{Field: "name", Reason: "ROLE_NOT_FOUND", Description: "send another"}}
	if diff := cmp.Diff(want, e.Violations); diff != "" || e.Metadata["resource"] != roleName {
		t.Errorf("metadata %v, violations (-want +got):\n%s", e.Metadata, diff)
	}
}

func TestClient_ownTokenRefusedIsNotTheCallersFault(t *testing.T) {
	s := newSuite(t)
	stranger := s.dial(authn.ServiceCredentials(authn.NewClusterKey(), "groupchat", "identity"))
	if err := getRole(t.Context(), stranger, roleName); !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "TOKEN_INVALID") {
		t.Errorf("got %v, want Internal with the cause for the log", err)
	}
	gateway := s.dial(authn.ForwarderCredentials(s.cluster, "gateway", "identity"))
	if err := getRole(t.Context(), gateway, roleName); errs.ReasonOf(err) != "TOKEN_MISSING" {
		t.Errorf("got %v, want TOKEN_MISSING: the gateway passes its caller's fault on", err)
	}
}

func TestClient_retriesReadsOfAnUnavailableServer(t *testing.T) {
	s := newSuite(t)
	away := errs.New(errs.Unavailable, "STORE_UNAVAILABLE", "away")
	tries := 0
	s.handlers.getRole = func(context.Context, *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		if tries++; tries < 3 {
			return nil, away
		}
		return &permissionv1.Role{}, nil
	}
	ctx := as(t.Context(), s.token(time.Minute))
	if err := getRole(ctx, s.dial(nil), roleName); err != nil || tries != 3 {
		t.Errorf("got %v after %d tries, want success at the third", err, tries)
	}
	writes := 0
	s.handlers.createRole = func(context.Context, *permissionv1.CreateRoleRequest) (*permissionv1.Role, error) {
		writes++
		return nil, away
	}
	_, err := permissionv1.NewRoleServiceClient(s.dial(nil)).CreateRole(ctx,
		&permissionv1.CreateRoleRequest{Parent: "organizations/acme", Role: &permissionv1.Role{DisplayName: "x"}})
	if errs.ReasonOf(err) != "STORE_UNAVAILABLE" || writes != 1 {
		t.Errorf("got %v after %d tries of a change, want one", err, writes)
	}
}

func TestClient_endOfItsOwnTime(t *testing.T) {
	s := newSuite(t)
	s.handlers.getRole = func(ctx context.Context, _ *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(as(t.Context(), s.token(time.Minute)), 50*time.Millisecond)
	defer cancel()
	err := getRole(ctx, s.dial(nil), roleName)
	if !errs.Is(err, errs.DeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestServiceConfig_retriesSafeMethodsOnly(t *testing.T) {
	var c config
	if err := json.Unmarshal([]byte(serviceConfig(nil)), &c); err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range c.Methods {
		for _, name := range m.Names {
			listed["/"+name.Service+"/"+name.Method] = true
		}
	}
	for method, want := range map[string]bool{
		permissionv1.RoleService_GetRole_FullMethodName:                       true,
		permissionv1.RoleService_ListRoles_FullMethodName:                     true,
		permissionv1.CheckService_Check_FullMethodName:                        true,
		permissionv1.CheckService_BatchCheck_FullMethodName:                   true,
		permissionv1.RoleService_CreateRole_FullMethodName:                    false,
		permissionv1.GrantService_SetManagedGrant_FullMethodName:              false,
		permissionv1.PermissionAuditService_ExportAuditEntries_FullMethodName: false,
		permissionv1.PermissionEventService_StreamEvents_FullMethodName:       false,
		grpc_health_v1.Health_Check_FullMethodName:                            false,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":           false,
		"/guildhall.identity.v1.AuthService/Login":                            false,
		"/guildhall.permission.v1.RoleService/ListPermissions":                true,
		"/guildhall.permission.v1.PermissionAuditService/ListAuditEntries":    true,
		"/guildhall.permission.v1.PermissionAuditService/VerifyAuditChain":    false,
		"/guildhall.identity.v1.CustomerService/BatchGetCustomers":            true,
		"/guildhall.identity.v1.CustomerService/ImportCustomers":              false,
		"/guildhall.identity.v1.OrganizationService/GetOrganization":          true,
		"/guildhall.identity.v1.OrganizationService/UpdateOrganization":       false,
		"/guildhall.identity.v1.AuthService/ListSessions":                     true,
		"/guildhall.identity.v1.AuthService/RevokeSession":                    false,
		"/guildhall.identity.v1.AuthService/GetJwks":                          true,
		"/guildhall.identity.v1.AuthService/RefreshToken":                     false,
		"/guildhall.identity.v1.IdentityAuditService/ListAuditEntries":        true,
		"/guildhall.identity.v1.IdentityEventService/StreamEvents":            false,
	} {
		if listed[method] != want {
			t.Errorf("%s is retried: %v, want %v", method, listed[method], want)
		}
	}
}

func TestCheckRegistered_namesRPCsWithoutARule(t *testing.T) {
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	permissionv1.RegisterRoleServiceServer(server, &handlers{})
	if err := CheckRegistered(server); err != nil {
		t.Errorf("all of these have rules: %v", err)
	}
	err := checkRegistered(server.GetServiceInfo(), authz.LoadRules(&protoregistry.Files{}))
	if err == nil || !strings.Contains(err.Error(), permissionv1.RoleService_GetRole_FullMethodName) {
		t.Errorf("without any proto: %v", err)
	}
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Unruly", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Do"}},
	}, nil)
	if err := CheckRegistered(server); err == nil || err.Error() != "rpc /test.Unruly/Do is not in a proto linked into this program" {
		t.Errorf("got %v", err)
	}
}

func TestServerOptions_refusesToGuardNothing(t *testing.T) {
	if _, err := ServerOptions(Config{}); err == nil {
		t.Error("a server without a verifier and a checker")
	}
}

func TestUnary_withoutARuleIsDenied(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.files = &protoregistry.Files{} })
	s.handlers.getRole = func(context.Context, *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
		t.Error("an RPC without a rule ran")
		return nil, nil
	}
	if err := getRole(as(t.Context(), s.token(time.Minute)), s.dial(nil), roleName); !errs.Is(err, errs.Internal) {
		t.Errorf("got %v", err)
	}
}
