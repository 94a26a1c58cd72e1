package permission_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/testkit"
)

// rounds is how often a revocation is tried to be missed.
const rounds = 100

// TestCheck_revocationThroughAnotherReplicaIsNeverMissed is the promise: when
// a revocation has returned, no replica says yes; and when a grant has, none
// says no.
func TestCheck_revocationThroughAnotherReplicaIsNeverMissed(t *testing.T) {
	for _, with := range []string{"no Redis", "Redis", "Redis stopped halfway", "Redis frozen halfway"} {
		t.Run(with, func(t *testing.T) {
			in := install(t, "postgres")
			in.config.LeaseRenewal = 10 * time.Millisecond // what a change costs without Redis
			var server *testkit.RedisServer
			if with != "no Redis" {
				server = testkit.Redis(t)
				in.redisURL = server.URL
			}
			a, b := in.start(), in.start()
			in.seed(a)
			managers, checkers := []*client{a.as(admin), b.as(admin)}, []*client{b.asService("gateway"), a.asService("gateway")}
			resource := acme + "/groups/g1"
			for i := range rounds {
				switch {
				case i == rounds/2 && strings.Contains(with, "stopped"):
					server.Stop()
				case i == rounds/2 && strings.Contains(with, "frozen"):
					server.Pause()
					t.Cleanup(server.Resume)
				}
				manager, checker := managers[i%2], checkers[i%2]
				g := manager.grant(t, sue, "roles/customer.service", resource)
				if !checker.may(t, sue, "groupchat.messages.list", resource+"/messages/1") {
					t.Fatalf("round %d: a grant that has returned is not seen", i)
				}
				manager.revoke(t, g.GetName())
				if checker.may(t, sue, "groupchat.messages.list", resource+"/messages/1") {
					t.Fatalf("round %d: yes after the revocation has returned", i)
				}
			}
		})
	}
}

// TestCheck_oldEntriesInRedisAreNotBelieved puts back what Redis held before
// each revocation.
func TestCheck_oldEntriesInRedisAreNotBelieved(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	a := in.start()
	in.seed(a)
	opts, err := redis.ParseURL(in.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	ctx := t.Context()
	var refused int64
	for i := range 10 {
		subject := fmt.Sprintf("%s/staff/s%d", acme, i)
		g := a.as(admin).grant(t, subject, "roles/viewer", acme)
		client.FlushAll(ctx)
		planted := in.fillRedis(client, subject, 1)
		a.as(admin).revoke(t, g.GetName())
		client.FlushAll(ctx)
		for key, value := range planted {
			if err := client.Set(ctx, key, value, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
		}
		late := in.start()
		late.asService("gateway").wantMay(t, false, subject, "groupchat.groups.get", acme)
		refused += late.counter("guildhall.permission.redis.stale", "")
	}
	if refused == 0 {
		t.Error("no planted entry was even looked at: the test proves nothing")
	}
}

// fillRedis asks replicas that have just started about the subject until Redis
// holds so many entries, and returns them. On a busy machine Redis may answer a
// replica too late, which then leaves it alone for a while.
func (in *installation) fillRedis(client *redis.Client, subject string, want int) map[string]string {
	t := in.t
	t.Helper()
	for range 10 {
		fresh := in.start()
		fresh.asService("gateway").wantMay(t, true, subject, "groupchat.groups.get", acme)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); <-tick.C {
			if entries := readAll(t, client); len(entries) >= want {
				return entries
			}
		}
	}
	t.Fatal("nothing arrives in Redis")
	return nil
}

// readAll returns the entries that Redis holds.
func readAll(t testing.TB, client *redis.Client) map[string]string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "guildhall:permission:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	entries := make(map[string]string)
	for _, key := range keys {
		if entries[key], err = client.Get(t.Context(), key).Result(); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

// TestCheck_restartedReplicaReadsFromRedis shows that the second level is used,
// holds no name in clear, and that the service does without it.
func TestCheck_restartedReplicaReadsFromRedis(t *testing.T) {
	in := install(t, "postgres")
	server := testkit.Redis(t)
	in.redisURL = server.URL
	a := in.start()
	in.seed(a)
	a.as(admin).grant(t, sue, "roles/viewer", acme)
	opts, err := redis.ParseURL(in.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	for key, value := range in.fillRedis(client, sue, 1) {
		for _, name := range []string{"sue", "admin", "acme", "viewer"} {
			if strings.Contains(key, name) || strings.Contains(value, name) {
				t.Errorf("Redis shows %q", name)
			}
		}
	}
	// A busy machine may be too slow for the time that Redis is given.
	var hits int64
	for range 5 {
		b := in.start()
		b.asService("gateway").wantMay(t, true, sue, "groupchat.groups.get", acme)
		hits += b.counter("guildhall.permission.cache.lookups", "redis")
	}
	if hits == 0 {
		t.Error("replicas that had just started did not use Redis")
	}
	server.Stop()
	c := in.start()
	c.asService("gateway").wantMay(t, true, sue, "groupchat.groups.get", acme)
	if c.counter("guildhall.permission.cache.lookups", "store") == 0 || c.counter("guildhall.permission.redis.failures", "") == 0 {
		t.Error("without Redis the store was not read")
	}
}

// TestCheck_boltReadsNothing shows that a single process answers from memory.
func TestCheck_boltReadsNothing(t *testing.T) {
	in := install(t, "bolt")
	a := in.start()
	in.seed(a)
	gateway, manager := a.asService("gateway"), a.as(admin)
	for range rounds {
		g := manager.grant(t, sue, "roles/viewer", acme)
		gateway.wantMay(t, true, sue, "groupchat.groups.get", acme)
		manager.revoke(t, g.GetName())
		gateway.wantMay(t, false, sue, "groupchat.groups.get", acme)
	}
	if n := a.counter("guildhall.permission.revision.reads", ""); n != 0 {
		t.Errorf("%d reads of revisions by checks, want none", n)
	}
}
