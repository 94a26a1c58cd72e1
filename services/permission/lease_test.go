package permission_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission"
)

// frozen is a way to the store on which nothing moves while it is shut.
type frozen struct {
	kv.Store
	mu   sync.Mutex
	shut chan struct{} // closed by open; nil while it is open
}

func (f *frozen) freeze() { f.mu.Lock(); defer f.mu.Unlock(); f.shut = make(chan struct{}) }

func (f *frozen) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut != nil {
		close(f.shut)
		f.shut = nil
	}
}

// pass waits while it is shut, as long as the caller does.
func (f *frozen) pass(ctx context.Context) error {
	f.mu.Lock()
	shut := f.shut
	f.mu.Unlock()
	if shut == nil {
		return nil
	}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return errs.New(errs.Unavailable, kv.ReasonUnavailable, "frozen", errs.Cause(ctx.Err()))
	}
}

func (f *frozen) View(ctx context.Context, fn func(kv.Reader) error) error {
	return errors.Join(f.pass(ctx), f.Store.View(ctx, fn), f.pass(ctx))
}

func (f *frozen) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := f.pass(ctx); err != nil {
		return err
	}
	return f.Store.Update(ctx, fn)
}

// startFrozen starts a replica with a way to the store that can be frozen.
func (in *installation) startFrozen() (*replica, *frozen) {
	in.t.Helper()
	f := &frozen{}
	in.decorate = func(s kv.Store) kv.Store { f.Store = s; return f }
	r := in.start()
	in.decorate = nil
	in.t.Cleanup(f.thaw)
	return r, f
}

// holdsLease reports whether checks of the replica confirm no revision.
func (r *replica) holdsLease() bool {
	r.in.t.Helper()
	const reads = "guildhall.permission.revision.reads"
	before := r.counter(reads, "")
	r.asService("gateway").may(r.in.t, admin, "identity.staff.get", acme)
	return r.counter(reads, "") == before
}

const (
	listMessages = "groupchat.messages.list"
	g1           = acme + "/groups/g1"
)

func TestLease_checksReadNothing(t *testing.T) {
	in := install(t, "postgres")
	a, b := in.start(), in.start()
	in.seed(a)
	a.as(admin).grant(t, sue, "roles/customer.service", g1)
	in.await(b.holdsLease)
	gateway := b.asService("gateway")
	gateway.wantMay(t, true, sue, listMessages, g1)
	reads, lookups := b.counter("guildhall.permission.revision.reads", ""), b.counter("guildhall.permission.cache.lookups", "store")
	for range 50 {
		gateway.wantMay(t, true, sue, listMessages, g1)
	}
	if r, l := b.counter("guildhall.permission.revision.reads", ""), b.counter("guildhall.permission.cache.lookups", "store"); r != reads || l != lookups {
		t.Errorf("50 checks made %d reads of revisions and %d of subjects", r-reads, l-lookups)
	}
}

// TestLease_frozenReplica freezes one of three replicas past its lease: a
// revocation returns when that has run out, and from then on the frozen one
// says nothing, and the truth when it goes on.
func TestLease_frozenReplica(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	in.config = permission.Config{LeaseLength: time.Second, LeaseRenewal: 100 * time.Millisecond}
	a, c := in.start(), in.start()
	b, store := in.startFrozen()
	in.seed(a)
	g := a.as(admin).grant(t, sue, "roles/customer.service", g1)
	in.await(b.holdsLease)
	gateway := b.asService("gateway")
	gateway.wantMay(t, true, sue, listMessages, g1)
	store.freeze()
	gateway.wantMay(t, true, sue, listMessages, g1) // the lease runs, and nothing was taken back
	start := time.Now()
	a.as(admin).revoke(t, g.GetName())
	t.Logf("the revocation took %s", time.Since(start))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	resp, err := gateway.Check(ctx, &permissionv1.CheckRequest{
		Parent: acme, Query: &permissionv1.CheckQuery{Subject: sue, Permission: listMessages, Resource: g1},
	})
	if err == nil {
		t.Errorf("a replica that is cut off answers: %v", resp)
	}
	c.asService("gateway").wantMay(t, false, sue, listMessages, g1)
	store.thaw()
	gateway.wantMay(t, false, sue, listMessages, g1)
	in.await(b.holdsLease)
	gateway.wantMay(t, false, sue, listMessages, g1)
}

// TestLease_retryWaitsToo cuts the waiting of a revocation off and sends it
// again.
func TestLease_retryWaitsToo(t *testing.T) {
	in := install(t, "postgres")
	in.config = permission.Config{LeaseLength: 2 * time.Second, LeaseRenewal: 100 * time.Millisecond}
	a := in.start()
	b, store := in.startFrozen()
	in.seed(a)
	g := a.as(admin).grant(t, sue, "roles/customer.service", g1)
	in.await(b.holdsLease)
	gateway := b.asService("gateway")
	gateway.wantMay(t, true, sue, listMessages, g1)
	store.freeze()
	req := &permissionv1.DeleteGrantRequest{Name: g.GetName(), RequestId: "3f5e3a52-5f0e-4a30-8d3c-6d4b9a3e2b11"}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := a.as(admin).DeleteGrant(ctx, req); err == nil {
		t.Error("the revocation returned while a replica says yes")
	}
	gateway.wantMay(t, true, sue, listMessages, g1) // nobody was told that it is in effect
	if _, err := a.as(admin).DeleteGrant(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	store.thaw()
	gateway.wantMay(t, false, sue, listMessages, g1)
}

// TestLease_redisThatLies: one replica hears nothing but nonsense, and another
// what is said to a Redis where nobody else is.
func TestLease_redisThatLies(t *testing.T) {
	in := install(t, "postgres")
	in.config.LeaseRenewal = 20 * time.Millisecond
	one, two := testkit.Redis(t), testkit.Redis(t)
	in.redisURL = one.URL
	a := in.start()
	in.redisURL = two.URL
	b := in.start()
	in.seed(a)
	liar := redis.NewClient(&redis.Options{Addr: one.URL[len("redis://") : len(one.URL)-len("/0")]})
	defer liar.Close()
	var lying sync.WaitGroup
	defer lying.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lying.Go(func() {
		for ctx.Err() == nil {
			liar.Publish(ctx, "guildhall:permission:leases", "all is well")
		}
	})
	for i := range 20 {
		g := b.as(admin).grant(t, sue, "roles/customer.service", g1)
		a.asService("gateway").wantMay(t, true, sue, listMessages, g1)
		[]*replica{a, b}[i%2].as(admin).revoke(t, g.GetName())
		a.asService("gateway").wantMay(t, false, sue, listMessages, g1)
		b.asService("gateway").wantMay(t, false, sue, listMessages, g1)
	}
}
