package rpc

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/watch"
)

// telling is a watch of permission whose other end is the test.
type telling chan *permissionv1.WatchChangesResponse

func (telling) Send(*permissionv1.WatchChangesRequest) error { return nil }

func (t telling) Recv() (*permissionv1.WatchChangesResponse, error) {
	if resp, open := <-t; open {
		return resp, nil
	}
	return nil, io.EOF
}

func (t telling) changed(names ...string) {
	t <- &permissionv1.WatchChangesResponse{Changes: []*permissionv1.ChangedNames{
		{Organization: "organizations/acme", Names: names, Everything: len(names) == 0},
	}}
}

// watched returns a suite whose streams hear of changes.
func watched(t *testing.T, change ...func(*Config)) (*suite, telling) {
	t.Helper()
	streams, err := watch.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(telling)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		streams.Run(ctx, func(context.Context) (watch.Watch, error) { return told, nil }, slog.New(slog.DiscardHandler))
	})
	t.Cleanup(func() {
		cancel()
		close(told)
		running.Wait()
	})
	return newSuite(t, append(change, func(cfg *Config) { cfg.Streams = streams })...), told
}

// idle sends one message and then waits for the end of its stream.
func idle(_ *eventv1.StreamEventsRequest, stream eventStream) error {
	if err := stream.Send(&eventv1.StreamEventsResponse{Cursor: "1"}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func TestStream_endsWhenItsCallerMayNotGoOn(t *testing.T) {
	s, told := watched(t)
	s.handlers.events = idle
	stream, err := firstEvent(t, as(t.Context(), s.token(time.Minute)), s.dial(nil), "organizations/acme")
	if err != nil {
		t.Fatal(err)
	}
	told.changed() // nothing was taken away
	s.checker.revoke("organizations/acme")
	told.changed("organizations/acme/staff/another")
	told.changed(staffName)
	if _, err := stream.Recv(); !errs.Is(err, errs.Denied) || errs.ReasonOf(err) != "PERMISSION_DENIED" {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestStream_endsWhileItWaitsForItsClient: what the client sends afterwards, if
// anything, no handler sees.
func TestStream_endsWhileItWaitsForItsClient(t *testing.T) {
	s, told := watched(t)
	first, pieces := make(chan struct{}), make(chan int, 1)
	s.handlers.imports = func(stream importStream) error {
		for n := 0; ; n++ {
			if _, err := stream.Recv(); err != nil {
				pieces <- n
				return err
			}
			if n == 0 {
				close(first)
			}
		}
	}
	stream, err := identityv1.NewCustomerServiceClient(s.dial(nil)).ImportCustomers(as(t.Context(), s.token(time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{
		Options: &identityv1.ImportOptions{Parent: "organizations/acme"},
	}}); err != nil {
		t.Fatal(err)
	}
	<-first
	s.checker.revoke("organizations/acme")
	told.changed(staffName)
	if _, err := stream.Recv(); errs.ReasonOf(err) != "PERMISSION_DENIED" {
		t.Errorf("the stream ended with %v", err)
	}
	if n := <-pieces; n != 1 {
		t.Errorf("the handler got %d messages", n)
	}
}

// TestStream_changeDuringItsFirstCheckIsNotMissed: the answer to the first check
// may be from before the change.
func TestStream_changeDuringItsFirstCheckIsNotMissed(t *testing.T) {
	s, told := watched(t)
	s.handlers.events = idle
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.checker.before = func() { once.Do(func() { close(asked); <-answer }) }
	ended := make(chan error, 1)
	go func() {
		stream, err := identityv1.NewIdentityEventServiceClient(s.dial(nil)).StreamEvents(
			as(t.Context(), s.token(time.Minute)), &eventv1.StreamEventsRequest{Parent: "organizations/acme"})
		for err == nil {
			_, err = stream.Recv()
		}
		ended <- err
	}()
	<-asked // the answer is yes already
	s.checker.revoke("organizations/acme")
	told.changed(staffName)
	told.changed("organizations/acme/staff/another")
	close(answer)
	if err := <-ended; errs.ReasonOf(err) != "PERMISSION_DENIED" {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestStream_liveOneDoesNotAskBeforeItSends: nothing changes, so nothing is
// asked.
func TestStream_liveOneDoesNotAskBeforeItSends(t *testing.T) {
	s, told := watched(t, func(cfg *Config) { cfg.Recheck = time.Nanosecond })
	send := make(chan struct{})
	s.handlers.events = func(_ *eventv1.StreamEventsRequest, stream eventStream) error {
		for range send {
			if err := stream.Send(&eventv1.StreamEventsResponse{}); err != nil {
				return err
			}
		}
		return nil
	}
	stream, err := identityv1.NewIdentityEventServiceClient(s.dial(nil)).StreamEvents(
		as(t.Context(), s.token(time.Minute)), &eventv1.StreamEventsRequest{Parent: "organizations/acme"})
	if err != nil {
		t.Fatal(err)
	}
	get := func(stream grpc.ServerStreamingClient[eventv1.StreamEventsResponse]) {
		t.Helper()
		send <- struct{}{}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	get(stream)
	if n := s.checker.count(); n < 2 {
		t.Errorf("asked %d times: before the watch follows, each message asks", n)
	}
	before := s.checker.count()
	told.changed()
	told.changed("organizations/acme/staff/another") // the first is heard
	for deadline := time.Now().Add(10 * time.Second); s.checker.count() == before; {
		if time.Now().After(deadline) {
			t.Fatal("the stream is not authorised again")
		}
	}
	before = s.checker.count()
	for range 10 {
		get(stream)
	}
	if n := s.checker.count() - before; n != 0 {
		t.Errorf("ten messages of a live stream asked %d times", n)
	}
	close(send)
}
