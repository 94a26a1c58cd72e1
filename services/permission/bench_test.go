package permission_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// members and groups are the size of the benchmarks' organisation: each member
// is in one group of its own and one of all.
const (
	members = 500
	callers = 64
)

// BenchmarkCheck compares a check with an empty call of the same messages
// through the same interceptors, both over an in-memory connection with 64
// callers. Read the ratios: the absolute figures are the machine's.
func BenchmarkCheck(b *testing.B) {
	b.Run("empty", func(b *testing.B) { benchChecks(b, emptyClient(b, install(b, "bolt")), 1) })
	for _, setup := range []string{"bolt", "postgres", "postgres+redis"} {
		engine := setup
		in := func() *installation {
			if setup == "postgres+redis" {
				engine = "postgres"
			}
			in := install(b, engine)
			if setup == "postgres+redis" {
				in.redisURL = testkit.Redis(b).URL
			}
			return in
		}()
		r := in.start()
		in.seed(r)
		fill(b, r)
		c := r.asService("gateway")
		b.Run(setup, func(b *testing.B) { benchChecks(b, c, 1) })
		b.Run(setup+"/batch=50", func(b *testing.B) { benchChecks(b, c, 50) })
	}
}

// fill puts every member into a group of its own.
func fill(b *testing.B, r *replica) {
	b.Helper()
	chat := r.asService("groupchat")
	for i := range members {
		_, err := chat.SetManagedGrant(b.Context(), &permissionv1.SetManagedGrantRequest{
			Subject: fmt.Sprintf("%s/staff/s%d", acme, i), Resource: fmt.Sprintf("%s/groups/g%d", acme, i),
			Role: "roles/group.member", Version: 1,
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchChecks(b *testing.B, c *client, batch int) {
	b.ReportAllocs()
	b.SetParallelism(callers / 2) // times GOMAXPROCS
	var caller atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		i := int(caller.Add(1)) * 7919
		for pb.Next() {
			i++
			var err error
			if batch == 1 {
				_, err = c.Check(context.Background(), &permissionv1.CheckRequest{Parent: acme, Query: benchQuery(i)})
			} else {
				req := &permissionv1.BatchCheckRequest{Parent: acme, Queries: make([]*permissionv1.CheckQuery, batch)}
				for k := range req.Queries {
					req.Queries[k] = benchQuery(i + k)
				}
				_, err = c.BatchCheck(context.Background(), req)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "checks/s")
}

// benchQuery asks about a message of the member's own group, or, every second
// time, of the next one's.
func benchQuery(i int) *permissionv1.CheckQuery {
	member := i / 2 % members
	return &permissionv1.CheckQuery{
		Subject: fmt.Sprintf("%s/staff/s%d", acme, member), Permission: "groupchat.messages.create",
		Resource: fmt.Sprintf("%s/groups/g%d/messages/-", acme, member+i%2),
	}
}

// emptyClient returns a client of a server that answers every check alike.
func emptyClient(b *testing.B, in *installation) *client {
	b.Helper()
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: issuer, Cluster: in.cluster, Services: []string{"permission"},
		Keys: func(context.Context) (authn.JWKS, error) { return in.signer.JWKS(), nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	r := &replica{in: in, lis: bufconn.Listen(1 << 20)}
	opts, err := rpc.ServerOptions(rpc.Config{
		Verifier: verifier, Checker: in.start().service.Checker(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	permissionv1.RegisterCheckServiceServer(server, &constant{&permissionv1.CheckResponse{Result: &permissionv1.CheckResult{
		Allowed: true, Grant: acme + "/grants/0197a6d2-5c1e-7c3f-9f5e-0a1b2c3d4e5f", Role: "roles/group.member", Revision: 1000,
	}}, permissionv1.CheckServiceServer(nil)})
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(r.lis) }()
	b.Cleanup(func() { server.Stop(); <-done })
	return r.asService("gateway")
}

// constant answers Check, and has the other methods of the service in name
// only.
type constant struct {
	answer *permissionv1.CheckResponse
	permissionv1.CheckServiceServer
}

func (c *constant) Check(context.Context, *permissionv1.CheckRequest) (*permissionv1.CheckResponse, error) {
	return c.answer, nil
}

// BenchmarkChange makes grants through one replica, from one caller and from
// 64: alone, and with others whose leases it waits for.
func BenchmarkChange(b *testing.B) {
	for _, c := range []struct {
		engine            string
		replicas, callers int
	}{
		{"bolt", 1, 1}, {"bolt", 1, callers}, {"postgres", 1, 1}, {"postgres", 1, callers}, {"postgres", 3, 1}, {"postgres", 3, callers},
	} {
		b.Run(fmt.Sprintf("%s/replicas=%d/callers=%d", c.engine, c.replicas, c.callers), func(b *testing.B) {
			in := install(b, c.engine)
			in.redisURL = testkit.Redis(b).URL
			r := in.start()
			in.seed(r)
			for range c.replicas - 1 {
				in.await(in.start().holdsLease)
			}
			manager := r.as(admin)
			var next atomic.Int64
			b.ResetTimer()
			var making sync.WaitGroup
			for range c.callers {
				making.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						manager.grant(b, sue, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, n))
					}
				})
			}
			making.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
