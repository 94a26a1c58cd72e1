package checks

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/watch"
)

const (
	// watchEvery is the longest silence of a watch.
	watchEvery = time.Second
	// watchGather is how long changes that follow each other are gathered.
	watchGather = 2 * time.Millisecond
)

// WatchChanges implements permissionv1.CheckServiceServer.
func (s *checks) WatchChanges(stream grpc.BidiStreamingServer[permissionv1.WatchChangesRequest, permissionv1.WatchChangesResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	watcher := watch.New(watch.Config{Cache: s.Cache, Store: s.Journal.Store, Grants: s.Grants, Clock: s.Clock})
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := followAll(watcher, first.GetOrganizations()); err != nil {
		return err
	}
	follow, ended := make(chan []string), make(chan error, 1)
	go func() { ended <- receive(ctx, stream, follow) }()
	silence := time.NewTicker(watchEvery)
	defer silence.Stop()
	for beat := true; ; {
		moved := s.Cache.Moved()
		if err := s.tell(ctx, stream, watcher, beat); err != nil {
			return err
		}
		beat = false
		select {
		case <-moved:
			select {
			case <-time.After(watchGather):
			case <-ctx.Done():
			}
		case organizations := <-follow:
			if err := followAll(watcher, organizations); err != nil {
				return err
			}
		case <-silence.C:
			beat = true
		case err := <-ended:
			return err
		case <-serve.Draining(ctx):
			return serve.ErrDraining()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func followAll(w *watch.Watcher, organizations []string) error {
	for _, name := range organizations {
		if err := subject.Organization.Check("organizations", name); err != nil {
			return err
		}
		w.Follow(name)
	}
	return nil
}

// tell sends what has changed; on a beat also that nothing has. When that cannot
// be known it says nothing, and the caller finds that it hears nothing.
func (s *checks) tell(ctx context.Context, stream grpc.BidiStreamingServer[permissionv1.WatchChangesRequest, permissionv1.WatchChangesResponse], w *watch.Watcher, beat bool) error {
	changed, err := w.Look(ctx)
	if err == nil && beat {
		var expired []watch.Changed
		expired, err = w.LookExpired(ctx)
		changed = append(changed, expired...)
	}
	// What was seen has to be told, whatever else could not be.
	if len(changed) == 0 && (err != nil || !beat) {
		return nil
	}
	// Who is told asks again, and may ask a replica that has not heard yet.
	if len(changed) > 0 {
		if err := s.Cache.Settle(ctx); err != nil {
			return err
		}
	}
	resp := &permissionv1.WatchChangesResponse{}
	for _, c := range changed {
		resp.Changes = append(resp.Changes, &permissionv1.ChangedNames{
			Organization: c.Organization, Names: c.Names, Everything: c.Everything,
		})
	}
	return stream.Send(resp)
}

// receive passes on which organisations the caller wants to follow, until it
// says no more.
func receive(ctx context.Context, stream grpc.BidiStreamingServer[permissionv1.WatchChangesRequest, permissionv1.WatchChangesResponse], follow chan<- []string) error {
	for {
		req, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		select {
		case follow <- req.GetOrganizations():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
