package feed_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

func stopAtEnd(parent string, prefixes ...string) *eventv1.StreamEventsRequest {
	return &eventv1.StreamEventsRequest{Parent: parent, TypePrefixes: prefixes, StopAtEnd: true}
}

// drain reads a stream to its end and returns the subjects.
func drain(t *testing.T, p *pipe, req *eventv1.StreamEventsRequest) (subjects []string, cursor string) {
	t.Helper()
	st, err := p.open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return subjects, cursor
		}
		if err != nil {
			t.Fatal(err)
		}
		cursor = resp.GetCursor()
		for _, e := range resp.GetEvents() {
			subjects = append(subjects, e.GetSubject())
		}
	}
}

func firstError(t *testing.T, p *pipe, req *eventv1.StreamEventsRequest) error {
	t.Helper()
	st, err := p.open(t.Context(), req)
	if err != nil {
		return err
	}
	for {
		if _, err := st.Recv(); err != nil {
			return err
		}
	}
}

func TestStreamEvents_filtersByOrganisationAndType(t *testing.T) {
	s := openBolt(t)
	l := openLog(t, s)
	p := newPipe(t, l)
	other := event("organizations/evil/groups/x")
	other.Organization = "organizations/evil"
	deleted := event(group(2))
	deleted.Type = "guildhall.groupchat.group.deleted.v1"
	installation := event("policies/p")
	installation.Organization = ""
	appendAll(t, s, l, event(group(1)), other, deleted, installation)

	p.caller = authn.Caller{Name: "organizations/acme/staff/a"}
	if got, _ := drain(t, p, stopAtEnd("organizations/acme")); len(got) != 2 {
		t.Errorf("acme sees %v, want its own two", got)
	}
	if got, _ := drain(t, p, stopAtEnd("organizations/acme", "guildhall.groupchat.group.d", "x")); len(got) != 1 || got[0] != group(2) {
		t.Errorf("deletions of acme: got %v, want %s", got, group(2))
	}
	p.caller = authn.Caller{Name: authn.ServiceName("identity")}
	if got, _ := drain(t, p, stopAtEnd(feed.AllOrganizations)); len(got) != 4 {
		t.Errorf("a sister service sees %v, want all four", got)
	}
}

func TestStreamEvents_onlyServicesReadAllOrganisations(t *testing.T) {
	p := newPipe(t, openLog(t, openBolt(t)))
	for _, name := range []string{"", "organizations/acme/staff/a", "organizations/acme/serviceAccounts/a"} {
		p.caller = authn.Caller{Name: name}
		if err := firstError(t, p, stopAtEnd(feed.AllOrganizations)); !errs.Is(err, errs.Denied) {
			t.Errorf("caller %q: got %v, want Denied", name, err)
		}
	}
	for _, parent := range []string{"acme", "organizations/", "organizations/*", "organizations/acme/groups/g"} {
		if err := firstError(t, p, stopAtEnd(parent)); !errs.Is(err, errs.Invalid) {
			t.Errorf("parent %q: got %v, want Invalid", parent, err)
		}
	}
}

func TestStreamEvents_wakesOnACommit(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s, func(c *feed.Config) { c.Heartbeat = time.Hour })
		st, err := newPipe(t, l).open(t.Context(), &eventv1.StreamEventsRequest{Parent: "-", Cursor: feed.Latest})
		if err != nil {
			t.Fatal(err)
		}
		if first, err := st.Recv(); err != nil || first.GetCursor() == "" || len(first.GetEvents()) != 0 {
			t.Fatalf("first response: got %v, %v; want a cursor and no events", first, err)
		}
		appendAll(t, s, l, event(group(1)))
		if resp, err := st.Recv(); err != nil || len(resp.GetEvents()) != 1 {
			t.Fatalf("after a commit: got %v, %v; want one event", resp, err)
		}
	})
}

// Another replica's commit is no Notify here: Run has to find it.
func TestRun_findsEventsOfOtherReplicas(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s, func(c *feed.Config) { c.Heartbeat, c.Poll = time.Hour, time.Millisecond })
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- l.Run(ctx) }()
		st, err := newPipe(t, l).open(t.Context(), &eventv1.StreamEventsRequest{Parent: "-", Cursor: feed.Latest})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
		appendAll(t, s, openLog(t, s), event(group(1)))
		if resp, err := st.Recv(); err != nil || len(resp.GetEvents()) != 1 {
			t.Fatalf("after another replica's commit: got %v, %v; want one event", resp, err)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if _, err := st.Recv(); errs.ReasonOf(err) != "FEED_STOPPING" {
			t.Errorf("after Run has ended: got %v, want FEED_STOPPING", err)
		}
	})
}

func TestStreamEvents_heartbeatsCarryTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openBolt(t)
		l := openLog(t, s)
		appendAll(t, s, l, event(group(1)))
		_, end := readAll(t, l, "", 0)
		ctx, cancel := context.WithCancel(t.Context())
		p := newPipe(t, l)
		st, err := p.open(ctx, &eventv1.StreamEventsRequest{Parent: "-", Cursor: end})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 4 {
			resp, err := st.Recv()
			if err != nil || resp.GetCursor() != end {
				t.Fatalf("got %v, %v; want the cursor %s", resp, err, end)
			}
		}
		if took := time.Since(begin); took != 3*feed.DefaultHeartbeat {
			t.Errorf("the first response and 3 heartbeats took %v, want %v", took, 3*feed.DefaultHeartbeat)
		}
		cancel()
		if _, err := st.Recv(); !errors.Is(err, context.Canceled) {
			t.Errorf("after the client left: got %v, want Canceled", err)
		}
	})
}
