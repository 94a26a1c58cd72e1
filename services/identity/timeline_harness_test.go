package identity_test

import (
	"context"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// sisterFeed is the feed of a sister: a real one, on a store of its own.
type sisterFeed struct {
	store kv.Store
	log   *feed.Log
}

// feedStream is the client's end of a stream of a sisterFeed.
type feedStream struct {
	grpc.ClientStream
	ctx  context.Context
	feed *sisterFeed
	sent chan *eventv1.StreamEventsResponse
	err  error // set before sent is closed
}

func (s *feedStream) SendMsg(m any) error {
	ctx := authn.WithCaller(s.ctx, authn.Caller{Name: authn.ServiceName("identity")})
	go func() { // ends with the context of the stream
		defer close(s.sent)
		s.err = feed.NewServer(s.feed.log).StreamEvents(m.(*eventv1.StreamEventsRequest), &feedServer{ctx: ctx, to: s.sent})
	}()
	return nil
}

func (s *feedStream) CloseSend() error { return nil }

func (s *feedStream) RecvMsg(m any) error {
	resp, ok := <-s.sent
	if ok {
		proto.Merge(m.(proto.Message), resp)
		return nil
	}
	if s.err == nil {
		return io.EOF
	}
	return s.err
}

// feedServer is the server's end.
type feedServer struct {
	grpc.ServerStream
	ctx context.Context
	to  chan<- *eventv1.StreamEventsResponse
}

func (s *feedServer) Context() context.Context { return s.ctx }

func (s *feedServer) Send(r *eventv1.StreamEventsResponse) error {
	select {
	case s.to <- r:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// sister gives the process a sister with a feed, which was away until then.
func (p *process) sister(name string) *sisterFeed {
	p.t.Helper()
	f := &sisterFeed{store: testkit.Store(p.t, "bolt", name, feed.Tables())}
	var err error
	if f.log, err = feed.Open(context.Background(), feed.Config{Service: name, Store: f.store, Retention: 24 * time.Hour, Clock: p.clock.now}); err != nil {
		p.t.Fatal(err)
	}
	p.permission.attach(name, f)
	return f
}

func (s *permission) attach(name string, f *sisterFeed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feeds == nil {
		s.feeds = make(map[string]*sisterFeed)
	}
	s.feeds[name] = f
}

// tell appends an event to the feed of a sister.
func (p *process) tell(f *sisterFeed, eventType, subject string, at time.Time, data proto.Message) {
	p.t.Helper()
	e := &eventv1.Event{Type: eventType, Subject: subject, Time: timestamppb.New(at), Organization: strings.Join(strings.Split(subject, "/")[:2], "/")}
	var err error
	if e.Data, err = anypb.New(data); err != nil {
		p.t.Fatal(err)
	}
	if err := f.store.Update(context.Background(), func(tx kv.Tx) error { return f.log.Append(tx, e) }); err != nil {
		p.t.Fatal(err)
	}
	f.log.Notify()
}

func (p *process) timelines() identityv1.TimelineServiceClient {
	return identityv1.NewTimelineServiceClient(p.conn)
}

// line returns what a timeline has, as "KIND:verb" with "=" and a state, in pages of
// so many.
func (p *process) line(ctx context.Context, customer, filter string, size int32) string {
	p.t.Helper()
	var all []string
	for r := (&identityv1.ListTimelineEventsRequest{Parent: customer, PageSize: size, Filter: filter}); ; {
		page, err := p.timelines().ListTimelineEvents(ctx, r)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, e := range page.GetTimelineEvents() {
			all = append(all, brief(e))
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return strings.Join(all, " ")
		}
	}
}

func brief(e *identityv1.TimelineEvent) string {
	text := strings.TrimPrefix(e.GetKind().String(), "KIND_") + ":" + strings.Split(e.GetType(), ".")[3]
	if e.GetState() != "" {
		text += "=" + e.GetState()
	}
	return text
}

// coverage returns how much of a source there is.
func (p *process) coverage(ctx context.Context, customer, source string) *identityv1.TimelineCoverage {
	p.t.Helper()
	resp, err := p.timelines().ListTimelineEvents(ctx, &identityv1.ListTimelineEventsRequest{Parent: customer, PageSize: 1})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range resp.GetCoverage() {
		if c.GetSource() == source {
			return c
		}
	}
	p.t.Fatalf("no coverage of %s", source)
	return nil
}

// viewed returns the view of a customer.
func (p *process) viewed(ctx context.Context, customer string) *identityv1.CustomerView {
	p.t.Helper()
	v, err := p.timelines().GetCustomerView(ctx, &identityv1.GetCustomerViewRequest{Name: customer})
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}
