package rpc

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/telemetry"
)

// BenchmarkUnary is an empty call over an in-memory connection: over bare
// gRPC, and through both chains with a verified token, a permission check and
// validation.
func BenchmarkUnary(b *testing.B) {
	quiet := func(cfg *Config) { cfg.Logger = telemetry.NewLogger(io.Discard, telemetry.LogConfig{}) }
	b.Run("bare", func(b *testing.B) {
		s := &suite{t: b, handlers: &handlers{}, listener: bufconn.Listen(1 << 20)}
		s.serve(grpc.NewServer())
		conn, err := grpc.NewClient("passthrough:///identity",
			grpc.WithContextDialer(s.pipe), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		benchGetRole(b, conn, "")
	})
	b.Run("chain", func(b *testing.B) {
		s := newSuite(b, quiet)
		benchGetRole(b, s.dial(nil), s.token(5*time.Minute))
	})
	b.Run("server's interceptors alone", func(b *testing.B) {
		s := newSuite(b, quiet)
		chain, err := newServer(s.cfg)
		if err != nil {
			b.Fatal(err)
		}
		ctx := metadata.NewIncomingContext(b.Context(), metadata.Pairs("authorization", "Bearer "+s.token(5*time.Minute)))
		info := &grpc.UnaryServerInfo{FullMethod: permissionv1.RoleService_GetRole_FullMethodName}
		request, answer := &permissionv1.GetRoleRequest{Name: roleName}, &permissionv1.Role{}
		handler := func(context.Context, any) (any, error) { return answer, nil }
		b.ReportAllocs()
		for b.Loop() {
			if _, err := chain.unary(ctx, request, info, handler); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("chain as a sister", func(b *testing.B) {
		s := newSuite(b, quiet)
		client := permissionv1.NewGrantServiceClient(s.dial(authn.ServiceCredentials(s.cluster, "groupchat", "identity")))
		request := &permissionv1.SetManagedGrantRequest{Subject: staffName, Resource: "organizations/acme/groups/g1", Version: 1}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.SetManagedGrant(b.Context(), request); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("chain, public", func(b *testing.B) {
		s := newSuite(b, quiet)
		client := identityv1.NewAuthServiceClient(s.dial(nil))
		request := &identityv1.LoginRequest{Organization: "organizations/acme", Identifier: "a@b.example"}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.Login(b.Context(), request); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchGetRole(b *testing.B, conn *grpc.ClientConn, token string) {
	b.Helper()
	ctx := b.Context()
	if token != "" {
		ctx = as(ctx, token)
	}
	client := permissionv1.NewRoleServiceClient(conn)
	request := &permissionv1.GetRoleRequest{Name: roleName}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.GetRole(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}
