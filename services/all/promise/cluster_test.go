package promise_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/all/internal/stage"
)

const (
	home          = "organizations/acme"
	administrator = home + "/staff/admin"

	// leaseLength is short, so that a run sees many leases end.
	leaseLength  = time.Second
	leaseRenewal = 100 * time.Millisecond
)

// cluster is three replicas of the permission service on one PostgreSQL and one
// Redis, each with wires of its own.
type cluster struct {
	t        *testing.T
	ctx      context.Context
	binary   string
	binaries [3]string // of replicas that run by another name
	folder   string
	identity *stage.StandIn
	redis    *testkit.RedisServer
	peek     *redis.Client // a client of our own, past the wires
	replicas [3]*replica
	// forgets says that the program is a mutant, whose memory may keep for good
	// what was asked too early.
	forgets bool
	// unwritten is the replica through which nothing is changed at the moment.
	unwritten atomic.Pointer[replica]
}

// replica is one process and the wires that it depends on.
type replica struct {
	name     string
	cluster  *cluster
	binary   string
	args     []string
	env      []string
	database *proxy
	redis    *proxy

	mu      sync.RWMutex
	process *stage.Process
	admin   *grpc.ClientConn // as the administrator
	checks  *grpc.ClientConn // as a sister service
	system  *grpc.ClientConn // as service identity
}

// mutated is for a program that is one of the mutants.
func mutated(c *cluster) { c.forgets = true }

func startCluster(t *testing.T, binary string, options ...func(*cluster)) *cluster {
	t.Helper()
	c := &cluster{t: t, ctx: t.Context(), binary: binary, folder: t.TempDir(), redis: testkit.Redis(t)}
	for _, set := range options {
		set(c)
	}
	var err error
	if c.identity, err = stage.StartIdentity(c.ctx, c.folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.identity.Close)
	address, err := redis.ParseURL(c.redis.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.peek = redis.NewClient(address)
	t.Cleanup(func() { c.peek.Close() })
	database := testkit.Postgres(t)
	for i := range c.replicas {
		c.replicas[i] = c.replica(fmt.Sprintf("permission-%d", i+1), database)
		c.replicas[i].binary = cmp.Or(c.binaries[i], c.binary)
	}
	for _, r := range c.replicas {
		r.start()
		t.Cleanup(func() { r.process.Kill() })
	}
	c.seed()
	return c
}

func (c *cluster) replica(name, database string) *replica {
	c.t.Helper()
	r := &replica{name: name, cluster: c}
	via := func(raw string, p **proxy) string {
		u, err := url.Parse(raw)
		if err != nil {
			c.t.Fatal(err)
		}
		*p = newProxy(c.t, u.Host)
		u.Host = (*p).address()
		return u.String()
	}
	r.args = []string{
		"serve", "--target=permission", "--auth.cluster_key_file=" + c.identity.KeyFile, "--auth.issuer=" + stage.Issuer,
		"--services.identity=" + c.identity.Address, "--seal.keyset_file=" + filepath.Join(c.folder, "keys.json"),
		"--permission.lease_length=" + leaseLength.String(), "--permission.lease_renewal=" + leaseRenewal.String(),
	}
	r.env = []string{"GUILDHALL_STORE=" + via(database, &r.database), "GUILDHALL_REDIS_URL=" + via(c.redis.URL, &r.redis)}
	return r
}

// start starts the process, again after it was killed.
func (r *replica) start() {
	c := r.cluster
	log, err := os.OpenFile(filepath.Join(c.folder, r.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	p, err := stage.Spawn(c.ctx, stage.Program{Binary: r.binary, Name: r.name, Folder: c.folder, Args: r.args, Env: r.env, Notes: log})
	if err != nil {
		c.t.Errorf("%v; its log ends with:\n%s", err, tail(filepath.Join(c.folder, r.name+".log")))
		c.t.FailNow()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = p
	for _, one := range []struct {
		conn **grpc.ClientConn
		dial func() (*grpc.ClientConn, error)
	}{
		{&r.admin, func() (*grpc.ClientConn, error) { return c.identity.As(p.At.GRPC, administrator) }},
		{&r.checks, func() (*grpc.ClientConn, error) { return c.identity.AsService(p.At.GRPC, "permission", "gateway") }},
		{&r.system, func() (*grpc.ClientConn, error) { return c.identity.AsService(p.At.GRPC, "permission", "identity") }},
	} {
		if *one.conn != nil {
			(*one.conn).Close()
		}
		if *one.conn, err = one.dial(); err != nil {
			c.t.Fatal(err)
		}
		conn := *one.conn
		c.t.Cleanup(func() { conn.Close() })
	}
}

// conns returns the connections to the replica as it runs now.
func (r *replica) conns() (admin, checks, system *grpc.ClientConn) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.admin, r.checks, r.system
}

// seed makes the organisation, and waits until every replica knows it.
func (c *cluster) seed() {
	c.t.Helper()
	err := c.identity.Tell(c.ctx, home, stage.Event{
		Type: "guildhall.identity.organization.created.v1", Subject: home,
		Data: &identityv1.OrganizationCreated{Administrator: administrator},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range c.replicas {
		asked := time.Now()
		err := stage.Await(c.ctx, r.name+" knows the organisation", time.Minute, func() (bool, error) {
			allowed, err := r.may(c.ctx, administrator, "permission.grants.create", home)
			if err == nil && !allowed && c.forgets && time.Since(asked) > 5*time.Second {
				r.process.Kill()
				c.peek.FlushDB(c.ctx)
				r.start()
				asked = time.Now()
			}
			return err == nil && allowed, nil
		})
		if err != nil {
			c.t.Fatalf("%v; its log ends with:\n%s", err, tail(filepath.Join(c.folder, r.name+".log")))
		}
	}
}

// may asks the replica one question.
func (r *replica) may(ctx context.Context, subject, permission, resource string) (bool, error) {
	_, checks, _ := r.conns()
	resp, err := permissionv1.NewCheckServiceClient(checks).Check(ctx, &permissionv1.CheckRequest{
		Parent: home, Query: &permissionv1.CheckQuery{Subject: subject, Permission: permission, Resource: resource},
	})
	return resp.GetResult().GetAllowed(), err
}

// tail returns the end of a file.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
