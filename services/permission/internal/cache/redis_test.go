package cache

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/revision"
)

func dialRedis(t *testing.T) (*redis.Client, *testkit.RedisServer) {
	t.Helper()
	server := testkit.Redis(t)
	opts, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	opts.ContextTimeoutEnabled, opts.MaxRetries, opts.DialerRetries = true, 1, 1
	client := redis.NewClient(opts)
	t.Cleanup(func() { client.Close() })
	return client, server
}

// awaitKeys waits until Redis has so many entries and returns them.
func awaitKeys(t *testing.T, client *redis.Client, want int) map[string]string {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		keys, err := client.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) >= want {
			entries := make(map[string]string)
			for _, key := range keys {
				if entries[key], err = client.Get(t.Context(), key).Result(); err != nil {
					t.Fatal(err)
				}
			}
			return entries
		}
		if time.Now().After(deadline) {
			t.Fatalf("Redis has %d entries, want %d", len(keys), want)
		}
	}
}

// needed are the subjects that a check of a member of staff looks at: its own,
// all staff, everyone, and the grants to holders.
const needed = 4

func TestRedis_entriesServeTheNextReplica(t *testing.T) {
	s := newSuite(t, "bolt")
	client, _ := dialRedis(t)
	s.grant(s.store, sue, "roles/viewer", acme)
	s.wantMay(s.cache(&shared{Store: s.store}, client), true, sue)
	awaitKeys(t, client, needed)
	next := s.reader(&shared{Store: s.store}, client)
	s.wantMay(next, true, sue)
	if next.Stats().Redis.Load() != needed || next.Stats().Store.Load() != 0 {
		t.Errorf("found %d in Redis and %d in the store", next.Stats().Redis.Load(), next.Stats().Store.Load())
	}
	// A change of another name leaves the entry good, one of sue's does not.
	s.grant(s.store, tom, "roles/viewer", acme)
	third := s.reader(&shared{Store: s.store}, client)
	s.wantMay(third, true, sue)
	if third.Stats().Redis.Load() != needed {
		t.Error("a change of another name made the entry useless")
	}
	s.change(s.store, func(tx kv.Tx) error { return s.loader.Subjects.SetState(tx, at, sue, "SUSPENDED") })
	fourth := s.reader(&shared{Store: s.store}, client)
	s.wantMay(fourth, false, sue)
	if fourth.Stats().RedisStale.Load() != 1 {
		t.Error("the old entry was not looked at")
	}
}

// TestRedis_entriesOfAnotherHistoryAreRefused: after a restore from a backup
// the numbers are given out again.
func TestRedis_entriesOfAnotherHistoryAreRefused(t *testing.T) {
	for _, length := range []int{1, 2, 5} {
		before := newSuite(t, "bolt")
		client, _ := dialRedis(t)
		before.grant(before.store, tom, "roles/viewer", acme)
		before.grant(before.store, sue, "roles/viewer", acme)
		before.wantMay(before.cache(&shared{Store: before.store}, client), true, sue)
		awaitKeys(t, client, needed)
		restored := newSuite(t, "bolt")
		restored.ring = before.ring
		c := restored.cache(&shared{Store: restored.store}, client)
		for range length {
			restored.change(restored.store, func(tx kv.Tx) error { _, err := revision.Bump(tx, acme, at, tom); return err })
		}
		restored.wantMay(c, false, sue)
		if c.Stats().RedisStale.Load() == 0 {
			t.Errorf("length %d: the entry was not looked at", length)
		}
	}
}

// TestRedis_foreignEntriesAreRefused plants the entry of one subject under the
// key of another, and rubbish.
func TestRedis_foreignEntriesAreRefused(t *testing.T) {
	s := newSuite(t, "bolt")
	client, _ := dialRedis(t)
	s.grant(s.store, sue, "roles/viewer", acme)
	c := s.cache(&shared{Store: s.store}, client)
	s.wantMay(c, true, sue)
	var sealed string
	for _, value := range awaitKeys(t, client, needed) {
		sealed = value
	}
	for _, value := range []string{sealed, sealed[:len(sealed)-1], "", "rubbish"} {
		if err := client.Set(t.Context(), c.second.key(tom), value, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		next := s.reader(&shared{Store: s.store}, client)
		s.wantMay(next, false, tom)
		if next.Stats().RedisStale.Load() != 1 {
			t.Errorf("%.10q: not looked at", value)
		}
	}
}

func TestRedis_goneIsOneTimeoutAPause(t *testing.T) {
	for name, harm := range map[string]func(*testkit.RedisServer){
		"stopped": (*testkit.RedisServer).Stop,
		"frozen":  (*testkit.RedisServer).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, "bolt")
			s.patience = redisTimeout
			client, server := dialRedis(t)
			if name == "frozen" {
				t.Cleanup(server.Resume)
			}
			c := s.cache(&shared{Store: s.store}, client)
			harm(server)
			for i := range 50 {
				s.wantMay(c, false, sue)
				s.wantMay(c, false, acme+"/staff/s"+string(rune('a'+i%26)))
			}
			if n := c.Stats().RedisFailures.Load(); n == 0 || n > 10 {
				t.Errorf("%d failures of Redis, want one a pause", n)
			}
		})
	}
}

func TestRedis_writerEndsWithItsContext(t *testing.T) {
	s := newSuite(t, "bolt")
	client, _ := dialRedis(t)
	c, err := New(Config{Store: s.store, Loader: s.loader, MemoryBytes: 1 << 20, Redis: client, Ring: s.ring, RedisTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
}
