package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
)

const (
	acme = "organizations/acme"
	sue  = acme + "/staff/sue"
	tom  = acme + "/staff/tom"
	zoe  = "organizations/zeta/staff/zoe"
)

// permission is the other end of watches.
type permission struct {
	mu       sync.Mutex
	followed []string
	opened   int
	tell     chan *permissionv1.WatchChangesResponse
	cut      chan struct{}
}

// start runs streams against a permission service until the test ends, those
// that are opened before included.
func start(t *testing.T, before ...func(*Streams)) (*Streams, *permission) {
	t.Helper()
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range before {
		f(s)
	}
	p := &permission{tell: make(chan *permissionv1.WatchChangesResponse), cut: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s.Run(ctx, func(ctx context.Context) (Watch, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.opened++
			p.followed = nil
			return &end{p, ctx}, nil
		}, slog.New(slog.DiscardHandler))
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return s, p
}

type end struct {
	p   *permission
	ctx context.Context
}

func (e *end) Send(req *permissionv1.WatchChangesRequest) error {
	e.p.mu.Lock()
	e.p.followed = append(e.p.followed, req.GetOrganizations()...)
	e.p.mu.Unlock()
	for _, o := range req.GetOrganizations() {
		go e.p.changed(o)
	}
	return nil
}

func (e *end) Recv() (*permissionv1.WatchChangesResponse, error) {
	select {
	case resp := <-e.p.tell:
		return resp, nil
	case <-e.p.cut:
		return nil, errors.New("cut off")
	case <-e.ctx.Done():
		return nil, e.ctx.Err()
	}
}

func (p *permission) changed(organization string, names ...string) {
	p.tell <- &permissionv1.WatchChangesResponse{Changes: []*permissionv1.ChangedNames{
		{Organization: organization, Names: names, Everything: len(names) == 0},
	}}
}

// open opens a stream of the account and counts how often it is authorised
// again.
func open(s *Streams, account string, verdict Verdict) (h *Stream, asked *atomic.Int64) {
	asked = &atomic.Int64{}
	return s.Open(authn.Caller{Name: account}, func(context.Context) Verdict {
		asked.Add(1)
		return verdict
	}), asked
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not come", what)
		}
	}
}

func TestStreams_aChangeReachesWhomItConcerns(t *testing.T) {
	s, p := start(t)
	sueStream, ofSue := open(s, sue, Verdict{})
	tomStream, ofTom := open(s, tom, Verdict{})
	zoeStream, ofZoe := open(s, zoe, Verdict{})
	for _, h := range []*Stream{sueStream, tomStream, zoeStream} {
		await(t, "the watch follows the organisation", h.Live)
	}
	counts := func() [3]int64 { return [3]int64{ofSue.Load(), ofTom.Load(), ofZoe.Load()} }
	// Each was authorised again when its organisation began to be followed.
	await(t, "a first look", func() bool { return counts() == [3]int64{1, 1, 1} })
	for _, step := range []struct {
		organization string
		names        []string
		want         [3]int64
	}{
		{acme, []string{sue}, [3]int64{2, 1, 1}},
		{acme, []string{acme + "/staff/nobody"}, [3]int64{2, 1, 1}},
		{acme, []string{acme + "/teams/sales"}, [3]int64{3, 2, 1}},
		{acme, []string{sue, acme + "/roles/clerk"}, [3]int64{4, 3, 1}},
		{"organizations/zeta", nil, [3]int64{4, 3, 2}},
		{acme, nil, [3]int64{5, 4, 2}},
	} {
		p.changed(step.organization, step.names...)
		p.changed("organizations/other", "x") // all before is heard
		await(t, fmt.Sprint(step.names), func() bool { return counts() == step.want })
	}
	sueStream.Close()
	p.changed(acme)
	await(t, "the others", func() bool { return counts() == [3]int64{5, 5, 2} })
}

func TestStreams_aLostWatchMayHaveMissedAnything(t *testing.T) {
	s, p := start(t)
	h, asked := open(s, sue, Verdict{})
	await(t, "live", h.Live)
	await(t, "a first look", func() bool { return asked.Load() == 1 })
	close(p.cut)
	await(t, "the stream is not believed to be told", func() bool { return !h.Live() })
	p.mu.Lock()
	p.cut = make(chan struct{})
	p.mu.Unlock()
	await(t, "live again", h.Live)
	await(t, "another look", func() bool { return asked.Load() >= 2 })
}

func TestStreams_areNotLiveWithoutAWatch(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	h, _ := open(s, sue, Verdict{})
	if h.Live() {
		t.Error("a stream that nobody tells of changes is live")
	}
}

func TestStreams_whatIsUnknownIsAskedAgain(t *testing.T) {
	s, p := start(t)
	h, asked := open(s, sue, Verdict{Unknown: true})
	await(t, "live", h.Live)
	await(t, "asked again by itself", func() bool { return asked.Load() >= 2 })
	p.changed(acme, sue)
}

// TestStreams_idleOnesCostNothing: of ten thousand, only those of whom
// something changed are asked about.
func TestStreams_idleOnesCostNothing(t *testing.T) {
	const all = 10_000
	var asked atomic.Int64
	_, p := start(t, func(s *Streams) {
		for i := range all {
			s.Open(authn.Caller{Name: fmt.Sprintf("%s/customers/c%d", acme, i)}, func(context.Context) Verdict {
				asked.Add(1)
				return Verdict{}
			})
		}
	})
	await(t, "a first look", func() bool { return asked.Load() == all })
	for range 5 {
		p.tell <- &permissionv1.WatchChangesResponse{}
	}
	p.changed(acme, acme+"/customers/c7")
	p.changed(acme, acme+"/customers/c8")
	await(t, "the two", func() bool { return asked.Load() == all+2 })
}
