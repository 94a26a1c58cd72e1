package grants

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// streamBatch is how many grants, or events, one response comes from.
const streamBatch = 200

// grantEvents begins the types of all events of grants.
const grantEvents = "guildhall.permission.grant."

// StreamGrants implements permissionv1.GrantServiceServer.
//
// A stream that held one snapshot of the store for as long as its client takes
// would let that client stop the store from reclaiming space. So it reads in
// pieces, as writers go on, and mends what it sent at its end: it reads the
// events from its beginning on, and sends the grants that they are about as
// they are now, until a read finds the end of the feed. That read saw the feed
// and the grants in one snapshot; so what was sent by then is exactly the state
// of that snapshot. (DBLog, Andreakis and Papapanagiotou 2020, mends a copy by
// the log in the same way.)
func (s *grants) StreamGrants(req *permissionv1.StreamGrantsRequest, stream grpc.ServerStreamingServer[permissionv1.StreamGrantsResponse]) error {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return err
	}
	at, query, err := s.startStream(stream.Context(), req)
	if err != nil {
		return err
	}
	for {
		resp, err := s.streamNext(stream.Context(), req.GetParent(), at)
		if err != nil {
			return err
		}
		position, err := proto.Marshal(at)
		if err != nil {
			return err
		}
		resp.Cursor = s.Journal.Pages.Next(query, position)
		// What concerned others alone is no news.
		if len(resp.Grants)+len(resp.Deleted) > 0 || resp.End != nil {
			if err := stream.Send(resp); err != nil {
				return err
			}
		}
		if resp.End != nil {
			return nil
		}
	}
}

// startStream returns where the stream begins or goes on.
func (s *grants) startStream(ctx context.Context, req *permissionv1.StreamGrantsRequest) (*storev1.GrantStream, page.Query, error) {
	query := page.Fingerprint("StreamGrants", authn.CallerOf(ctx).Name, req.GetParent())
	at := &storev1.GrantStream{}
	position, _, err := s.Journal.Pages.Start(page.Request{Token: req.GetCursor()}, query)
	if err == nil {
		err = proto.Unmarshal(position, at)
	}
	if err != nil {
		return nil, query, errs.InvalidField("cursor", feed.ReasonCursorInvalid,
			"send the cursor of a response to a stream of this parent, as it came, or none")
	}
	if position != nil {
		return at, query, nil
	}
	b, err := s.Journal.Feed.Read(ctx, feed.Latest, 1)
	at.Events = b.Cursor
	return at, query, err
}

// streamNext reads what comes next, and moves at behind it.
func (s *grants) streamNext(ctx context.Context, parent string, at *storev1.GrantStream) (resp *permissionv1.StreamGrantsResponse, err error) {
	from := proto.CloneOf(at)
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		proto.Reset(at)
		proto.Merge(at, from)
		if at.GetClosing() {
			resp, err = s.mend(r, parent, at)
			return err
		}
		resp = &permissionv1.StreamGrantsResponse{}
		more := false
		if resp.Grants, more, err = s.Grants.After(r, parent, at.GetAfter(), streamBatch); err != nil {
			return err
		}
		if n := len(resp.Grants); n > 0 {
			at.After = resp.Grants[n-1].GetName()
		}
		at.Closing = !more
		return nil
	})
	return resp, err
}

// mend returns what has become of the grants that the next events are about,
// and the end when there are no more events.
func (s *grants) mend(r kv.Reader, parent string, at *storev1.GrantStream) (*permissionv1.StreamGrantsResponse, error) {
	b, err := s.Journal.Feed.ReadIn(r, at.GetEvents(), streamBatch)
	if err != nil {
		return nil, err
	}
	at.Events = b.Cursor
	var names []string
	for _, e := range b.Events {
		if e.GetOrganization() == parent && strings.HasPrefix(e.GetType(), grantEvents) {
			names = append(names, e.GetSubject())
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	found, err := s.Grants.GetMany(r, names)
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.StreamGrantsResponse{}
	for i, g := range found {
		if g == nil {
			resp.Deleted = append(resp.Deleted, names[i])
		} else {
			resp.Grants = append(resp.Grants, g)
		}
	}
	if !b.More {
		head, err := revision.Head(r, parent)
		if err != nil {
			return nil, err
		}
		resp.End = &permissionv1.StreamGrantsEnd{Revision: head.Number, EventCursor: b.Cursor}
	}
	return resp, nil
}
