package bench

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/all/internal/stage"
)

// Empty is `guildhall bench empty`: a gRPC server with no interceptor at all
// that answers every check alike, without looking. It is what a check costs at
// the very least.
type Empty struct {
	ReadyFile string `required:"" help:"Where to write the addresses."`
}

// Run serves until ctx ends.
func (e *Empty) Run(ctx context.Context, _ *serve.Env) error {
	calls, err := net.Listen("tcp", stage.Loopback)
	if err != nil {
		return err
	}
	admin, err := net.Listen("tcp", stage.Loopback)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	permissionv1.RegisterCheckServiceServer(server, constant{})
	metrics := &http.Server{Handler: promhttp.Handler()}
	text, err := json.Marshal(serve.Addresses{GRPC: calls.Addr().String(), Admin: admin.Addr().String()})
	if err != nil {
		return err
	}
	if err := os.WriteFile(e.ReadyFile, text, 0o600); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(calls) })
	g.Go(func() error { return metrics.Serve(admin) })
	g.Go(func() error { <-ctx.Done(); server.Stop(); return metrics.Close() })
	return g.Wait()
}

// constant answers Check, and has the other methods of the service in name
// only.
type constant struct {
	permissionv1.CheckServiceServer
}

// Check implements permissionv1.CheckServiceServer.
func (constant) Check(context.Context, *permissionv1.CheckRequest) (*permissionv1.CheckResponse, error) {
	return &permissionv1.CheckResponse{Result: &permissionv1.CheckResult{
		Allowed: true, Grant: home + "/grants/0197a6d2-5c1e-7c3f-9f5e-0a1b2c3d4e5f", Role: home + "/roles/r10", Revision: 100_000,
	}}, nil
}
