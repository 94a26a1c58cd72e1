package watch

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	// workers is how many streams are authorised again at a time.
	workers = 16
	// again is how soon a stream is that could not be.
	again = time.Second
	// followAtOnce is how many organisations one request names.
	followAtOnce = 500
)

// Watch is one watch of service permission: CheckService.WatchChanges.
type Watch interface {
	Send(*permissionv1.WatchChangesRequest) error
	Recv() (*permissionv1.WatchChangesResponse, error)
}

// Run follows what changes and has streams authorised again, until ctx ends.
// open opens a watch, which ends with the context it is given. Without Run the
// streams are never Live.
func (s *Streams) Run(ctx context.Context, open func(context.Context) (Watch, error), logger *slog.Logger) {
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { s.work(ctx) })
	}
	defer running.Wait()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 20*time.Millisecond, time.Second
	for lost := false; ; {
		began := time.Now()
		err := s.follow(ctx, open)
		if ctx.Err() != nil {
			return
		}
		if s.heard.Swap(0) != 0 && time.Since(began) > quiet {
			wait.Reset()
			lost = false
		}
		if !lost {
			// A replica that is replaced is no fault, and streams are safe without.
			logger.DebugContext(ctx, "changes of permissions are not told; open streams ask before they send", "error", err)
			lost = true
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

// follow runs one watch.
func (s *Streams) follow(ctx context.Context, open func(context.Context) (Watch, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	watch, err := open(ctx)
	if err != nil {
		cancel()
		return err
	}
	// All organisations have to be followed anew.
	s.mu.Lock()
	s.fresh = s.fresh[:0]
	for home, o := range s.organizations {
		if o.count == 0 {
			delete(s.organizations, home)
			continue
		}
		o.followed.Store(false)
		s.fresh = append(s.fresh, home)
	}
	s.mu.Unlock()
	var asking sync.WaitGroup
	asking.Go(func() {
		defer cancel() // a watch that cannot be asked is over
		s.ask(ctx, watch)
	})
	defer asking.Wait()
	defer cancel()
	for {
		resp, err := watch.Recv()
		if err != nil {
			return err
		}
		s.hear(resp)
	}
}

// ask tells the watch which organisations to follow.
func (s *Streams) ask(ctx context.Context, watch Watch) {
	for {
		s.mu.Lock()
		fresh := slices.Clone(s.fresh)
		s.fresh = s.fresh[:0]
		s.mu.Unlock()
		// The first message is due also when there is nothing to follow yet.
		for len(fresh) > followAtOnce {
			if watch.Send(&permissionv1.WatchChangesRequest{Organizations: fresh[:followAtOnce]}) != nil {
				return
			}
			fresh = fresh[followAtOnce:]
		}
		if watch.Send(&permissionv1.WatchChangesRequest{Organizations: fresh}) != nil {
			return
		}
		select {
		case <-s.wanted:
		case <-ctx.Done():
			return
		}
	}
}

// hear takes over what the watch says. An organisation's first word is that
// everything may have changed: what changes from there on is told.
func (s *Streams) hear(resp *permissionv1.WatchChangesResponse) {
	for _, c := range resp.GetChanges() {
		names := c.GetNames()
		if c.GetEverything() {
			names = nil
		} else if len(names) == 0 {
			continue
		}
		s.Changed(c.GetOrganization(), names...)
		if c.GetEverything() {
			s.mu.Lock()
			if o := s.organizations[c.GetOrganization()]; o != nil {
				o.followed.Store(true)
			}
			s.mu.Unlock()
		}
	}
	s.heard.Store(int64(time.Since(s.started)))
}

// work authorises streams that are due, until ctx ends.
func (s *Streams) work(ctx context.Context) {
	for {
		st := s.take()
		if st == nil {
			select {
			case <-s.woken:
				continue
			case <-ctx.Done():
				return
			}
		}
		verdict := st.recheck(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case verdict.Ended != "":
			s.countEnd(ctx, verdict.Ended)
		case verdict.Unknown:
			time.AfterFunc(again, func() { s.requeue(st) })
		}
	}
}

// take returns a stream that is due, nil when there is none.
func (s *Streams) take() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.due) > 0 {
		st := s.due[0]
		s.due = s.due[1:]
		st.waits = false // a change from now on is another reason
		if !st.closed {
			if len(s.due) > 0 {
				signal(s.woken) // there is work for another
			}
			return st
		}
	}
	s.due = nil
	return nil
}

func (s *Streams) requeue(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !st.closed && !st.waits {
		st.waits = true
		s.due = append(s.due, st)
		signal(s.woken)
	}
}
