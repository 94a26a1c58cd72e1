package feed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// AllOrganizations is the parent of a stream of everything.
const AllOrganizations = "-"

const organization = resource.Pattern("organizations/{organization}")

// Server serves a log as the StreamEvents RPC that every service's
// EventService has. The interceptors have authorised the call on its parent;
// Server adds that only the suite's own services read all organisations.
type Server struct{ log *Log }

// NewServer returns the server of a log.
func NewServer(l *Log) *Server { return &Server{log: l} }

// StreamEvents sends the events behind the request's cursor, then waits for
// more, unless told to stop at the end. It sends a response at once, so that
// a client that began at "latest" knows where it stands, and then after every
// heartbeat interval in which it had nothing to send. A service that reads all
// organisations hears at once how far the log has come, also when nothing of that is
// what it asked for: it may be waiting for the end (Consumer.CaughtUp). Others do
// not, who would hear how busy the rest is. A slow client holds up its own stream
// only: each batch is read from the store when the one before it has been sent.
//
// Errors are those of Log.Read, Denied (FEED_SERVICES_ONLY), and Unavailable
// (FEED_STOPPING) when this process shuts down.
func (s *Server) StreamEvents(req *eventv1.StreamEventsRequest, stream grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	ctx := stream.Context()
	if err := checkParent(ctx, req.GetParent()); err != nil {
		return err
	}
	heartbeat := time.NewTimer(s.log.cfg.Heartbeat)
	defer heartbeat.Stop()
	cursor, due, fromOldest := req.GetCursor(), true, req.GetCursor() == ""
	for {
		// Taken before the read, so that a commit between the two is no loss.
		changed := s.log.Changed()
		batch, err := s.log.Read(ctx, cursor, MaxBatch)
		if err != nil {
			return err
		}
		cursor = batch.Cursor
		atEnd := req.GetStopAtEnd() && !batch.More
		news := len(batch.Events) > 0 && !batch.More && req.GetParent() == AllOrganizations
		if events := selectEvents(req, batch.Events); len(events) > 0 || due || atEnd || news {
			resp := &eventv1.StreamEventsResponse{Events: events, Cursor: cursor}
			if fromOldest {
				if resp.KeptSince, err = s.log.keptSince(ctx); err != nil {
					return err
				}
				fromOldest = false
			}
			if err := stream.Send(resp); err != nil {
				return err
			}
			heartbeat.Reset(s.log.cfg.Heartbeat)
		}
		if atEnd {
			return nil
		}
		if due, err = s.wait(ctx, batch.More, changed, heartbeat.C); err != nil {
			return err
		}
	}
}

// wait returns when there is something to read, or a heartbeat is due.
func (s *Server) wait(ctx context.Context, more bool, changed <-chan struct{}, heartbeat <-chan time.Time) (due bool, err error) {
	if more {
		ready := make(chan struct{})
		close(ready)
		changed = ready
	}
	select {
	case <-ctx.Done():
		return false, ended(ctx)
	case <-s.log.stopping:
		return false, errs.New(errs.Unavailable, "FEED_STOPPING", "this server is shutting down; connect again")
	case <-heartbeat:
		return true, nil
	case <-changed:
		return false, nil
	}
}

func checkParent(ctx context.Context, parent string) error {
	if parent != AllOrganizations {
		_, err := organization.Parse("parent", parent)
		return err
	}
	if caller, ok := authn.FromContext(ctx); !ok || caller.Kind() != authn.System {
		return errs.New(errs.Denied, "FEED_SERVICES_ONLY", "only the suite's own services read the events of all organisations; name one organisation")
	}
	return nil
}

func selectEvents(req *eventv1.StreamEventsRequest, events []*eventv1.Event) []*eventv1.Event {
	all := req.GetParent() == AllOrganizations
	prefixes := req.GetTypePrefixes()
	return slices.DeleteFunc(events, func(e *eventv1.Event) bool {
		if !all && e.GetOrganization() != req.GetParent() {
			return true
		}
		return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool {
			return strings.HasPrefix(e.GetType(), p)
		})
	})
}

func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errs.New(errs.DeadlineExceeded, "DEADLINE_EXCEEDED", "the stream's deadline has passed", errs.Cause(ctx.Err()))
	}
	return errs.New(errs.Canceled, "CANCELED", "the caller ended the stream", errs.Cause(ctx.Err()))
}
