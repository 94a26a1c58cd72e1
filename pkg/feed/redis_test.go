package feed_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// replica is a log with its Run, as another process has it.
func replica(t *testing.T, s kv.Store, r *testkit.RedisServer, poll time.Duration) *feed.Log {
	t.Helper()
	opts, err := redis.ParseURL(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	l := openLog(t, s, func(c *feed.Config) {
		c.Redis, c.Heartbeat, c.Poll = client, time.Hour, poll
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestRun_redisWakesOtherReplicas(t *testing.T) {
	s, r := openBolt(t), testkit.Redis(t)
	writer, reader := replica(t, s, r, time.Hour), replica(t, s, r, time.Hour)
	// A subscription takes effect some time after it is asked for; words said
	// before are lost, and with a poll of an hour nothing else wakes.
	for {
		changed := reader.Changed()
		appendAll(t, s, writer, event(group(1)))
		select {
		case <-changed:
			return
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the reader was not woken")
		}
	}
}

func TestRun_withoutRedisThePollWakes(t *testing.T) {
	s, r := openBolt(t), testkit.Redis(t)
	writer, reader := replica(t, s, r, 10*time.Millisecond), replica(t, s, r, 10*time.Millisecond)
	st, err := newPipe(t, reader).open(t.Context(), &eventv1.StreamEventsRequest{Parent: "-", Cursor: feed.Latest})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(){func() {}, r.Pause, r.Resume, r.Stop} {
		change()
		appendAll(t, s, writer, event(group(i)))
		if resp, err := st.Recv(); err != nil || len(resp.GetEvents()) != 1 {
			t.Fatalf("event %d: got %v, %v", i, resp, err)
		}
	}
}
