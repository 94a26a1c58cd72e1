package rpc

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
)

type eventStream = grpc.ServerStreamingServer[eventv1.StreamEventsResponse]

type importStream = grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]

// firstEvent opens a stream and returns it with how its first message came.
func firstEvent(t *testing.T, ctx context.Context, conn *grpc.ClientConn, parent string) (grpc.ServerStreamingClient[eventv1.StreamEventsResponse], error) {
	t.Helper()
	stream, err := identityv1.NewIdentityEventServiceClient(conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	return stream, err
}

func TestStream_requestIsCheckedBeforeTheHandlerSeesIt(t *testing.T) {
	s := newSuite(t)
	s.checker.revoke("organizations/acme")
	s.handlers.events = func(*eventv1.StreamEventsRequest, eventStream) error {
		t.Error("a refused stream reached the handler")
		return nil
	}
	person := as(t.Context(), s.token(time.Minute))
	for name, c := range map[string]struct {
		ctx    context.Context
		conn   *grpc.ClientConn
		parent string
		reason string
	}{
		"without a token":   {t.Context(), s.dial(nil), "organizations/acme", "TOKEN_MISSING"},
		"not granted":       {person, s.dial(nil), "organizations/acme", "PERMISSION_DENIED"},
		"another tenant":    {person, s.dial(nil), "organizations/other", "RESOURCE_NOT_FOUND"},
		"all tenants":       {person, s.dial(nil), "-", "RESOURCE_NAME_INVALID"},
		"invalid":           {t.Context(), s.sister("feedback"), "", "VALIDATION_FAILED"},
		"gateway by itself": {t.Context(), s.sister("gateway"), "-", "PERMISSION_DENIED"},
	} {
		if _, err := firstEvent(t, c.ctx, c.conn, c.parent); errs.ReasonOf(err) != c.reason {
			t.Errorf("%s: got %v, want %s", name, err, c.reason)
		}
	}
}

func TestStream_sisterFollowsAllTenants(t *testing.T) {
	s := newSuite(t)
	s.handlers.events = func(r *eventv1.StreamEventsRequest, stream eventStream) error {
		if _, ok := stream.Context().Deadline(); ok {
			t.Error("a sister's stream ends with its one-minute token")
		}
		return stream.Send(&eventv1.StreamEventsResponse{Cursor: r.GetParent()})
	}
	stream, err := firstEvent(t, t.Context(), s.sister("feedback"), "-")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	if s.checker.count() != 0 {
		t.Error("a sister's stream asked for a permission")
	}
}

func TestStream_endsWithItsToken(t *testing.T) {
	for name, wait := range map[string]func(eventStream) error{
		"handler returns the context's end": func(s eventStream) error { <-s.Context().Done(); return s.Context().Err() },
		"handler returns nil":               func(s eventStream) error { <-s.Context().Done(); return nil },
		"handler sends on":                  func(s eventStream) error { <-s.Context().Done(); return s.Send(&eventv1.StreamEventsResponse{}) },
		"handler ignores the refusal": func(s eventStream) error {
			<-s.Context().Done()
			_ = s.Send(&eventv1.StreamEventsResponse{})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for its token's real end
			s := newSuite(t)
			s.handlers.events = func(_ *eventv1.StreamEventsRequest, stream eventStream) error { return wait(stream) }
			// Tokens count in seconds and live on for the skew.
			token := s.token(-authn.Skew + 2*time.Second)
			if _, err := firstEvent(t, as(t.Context(), token), s.dial(nil), "organizations/acme"); errs.ReasonOf(err) != "TOKEN_EXPIRED" {
				t.Errorf("got %v, want TOKEN_EXPIRED", err)
			}
		})
	}
}

func TestStream_revokedOneGoesSilent(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.Recheck = time.Nanosecond })
	sent, next := make(chan struct{}), make(chan struct{})
	s.handlers.events = func(_ *eventv1.StreamEventsRequest, stream eventStream) error {
		if err := stream.Send(&eventv1.StreamEventsResponse{Cursor: "1"}); err != nil {
			return err
		}
		close(sent)
		<-next
		_ = stream.Send(&eventv1.StreamEventsResponse{Cursor: "2"})
		return nil
	}
	stream, err := firstEvent(t, as(t.Context(), s.token(time.Minute)), s.dial(nil), "organizations/acme")
	if err != nil {
		t.Fatal(err)
	}
	<-sent
	s.checker.revoke("organizations/acme")
	close(next)
	if got, err := stream.Recv(); !errs.Is(err, errs.Denied) {
		t.Errorf("got %v, %v after the revocation, want Denied", got, err)
	}
}

func TestStream_recheckIsNoOlderThanConfigured(t *testing.T) {
	check := &grants{}
	g := &guardedStream{
		ctx: t.Context(), s: &server{cfg: Config{Recheck: time.Hour}, guard: authz.Guard{Checker: check}},
		c: &call{
			rule:   authz.LoadRules(nil).Lookup(identityv1.IdentityEventService_StreamEvents_FullMethodName),
			caller: authn.Caller{Name: staffName},
		},
	}
	if err := g.authorise(true, []string{"organizations/acme"}, nil); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 3; want++ {
		for range 5 {
			if err := g.recheck(); err != nil {
				t.Fatal(err)
			}
		}
		if n := check.count(); n != want {
			t.Errorf("asked %d times in %d hours, want once an hour", n, want)
		}
		g.checked = g.checked.Add(-time.Hour)
	}
}

func TestStream_bidi(t *testing.T) {
	options := func(parent string) *identityv1.ImportCustomersRequest {
		return &identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{
			Options: &identityv1.ImportOptions{Parent: parent},
		}}
	}
	data := func(text string) *identityv1.ImportCustomersRequest {
		return &identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Data{Data: []byte(text)}}
	}
	for name, c := range map[string]struct {
		send   []*identityv1.ImportCustomersRequest
		reason string
		asked  int
	}{
		"options then data":         {[]*identityv1.ImportCustomersRequest{options("organizations/acme"), data("a"), data("b")}, "", 1},
		"the same options again":    {[]*identityv1.ImportCustomersRequest{options("organizations/acme"), options("organizations/acme")}, "", 1},
		"data first":                {[]*identityv1.ImportCustomersRequest{data("a")}, "RESOURCE_NAME_INVALID", 0},
		"another tenant later":      {[]*identityv1.ImportCustomersRequest{options("organizations/acme"), options("organizations/other")}, "RESOURCE_NOT_FOUND", 1},
		"a malformed name later":    {[]*identityv1.ImportCustomersRequest{options("organizations/acme"), options("acme")}, "RESOURCE_NAME_INVALID", 1},
		"an invalid message later":  {[]*identityv1.ImportCustomersRequest{options("organizations/acme"), {}}, "VALIDATION_FAILED", 1},
		"a second granted resource": {[]*identityv1.ImportCustomersRequest{options("organizations/acme"), options("organizations/acme/teams/t1")}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t)
			s.handlers.imports = func(stream importStream) error {
				for {
					if _, err := stream.Recv(); errors.Is(err, io.EOF) {
						return nil
					} else if err != nil {
						return nil // dropped on purpose: the refusal stands
					}
				}
			}
			stream, err := identityv1.NewCustomerServiceClient(s.dial(nil)).ImportCustomers(as(t.Context(), s.token(time.Minute)))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range c.send {
				if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
			if err := stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			if c.reason == "" && !errors.Is(err, io.EOF) || c.reason != "" && errs.ReasonOf(err) != c.reason {
				t.Errorf("got %v, want %q", err, c.reason)
			}
			if n := s.checker.count(); n != c.asked {
				t.Errorf("asked %d times, want %d", n, c.asked)
			}
		})
	}
}

func TestStream_sendsNothingBeforeItIsAuthorised(t *testing.T) {
	s := newSuite(t)
	s.handlers.imports = func(stream importStream) error {
		_ = stream.Send(&identityv1.ImportCustomersResponse{})
		return nil
	}
	stream, err := identityv1.NewCustomerServiceClient(s.dial(nil)).ImportCustomers(as(t.Context(), s.token(time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); !errs.Is(err, errs.Internal) {
		t.Errorf("got %v, %v; want Internal and no message", m, err)
	}
}

func TestStream_clientGivesUp(t *testing.T) {
	s := newSuite(t)
	entered, ended := make(chan struct{}), make(chan error, 1)
	s.handlers.imports = func(stream importStream) error {
		close(entered)
		_, err := stream.Recv()
		ended <- err
		return err
	}
	ctx, cancel := context.WithCancel(as(t.Context(), s.token(time.Minute)))
	defer cancel()
	stream, err := identityv1.NewCustomerServiceClient(s.dial(nil)).ImportCustomers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	cancel()
	if _, err := stream.Recv(); !errs.Is(err, errs.Canceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v, want Canceled", err)
	}
	if err := known(<-ended); err.Kind != errs.Canceled {
		t.Errorf("the handler got %v, want Canceled", err)
	}
}
