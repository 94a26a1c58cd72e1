package rpc

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestStream_quotaIsPerAccountAndReturned(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.MaxStreams = 2 })
	s.handlers.events = func(_ *eventv1.StreamEventsRequest, stream eventStream) error {
		if err := stream.Send(&eventv1.StreamEventsResponse{Cursor: "open"}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	}
	conn := s.dial(nil)
	open := func() (end func(), err error) {
		ctx, cancel := context.WithCancel(as(t.Context(), s.token(time.Minute)))
		t.Cleanup(cancel)
		_, err = firstEvent(t, ctx, conn, "organizations/acme")
		return cancel, err
	}
	end, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errs.Is(err, errs.Exhausted) || errs.ReasonOf(err) != "TOO_MANY_STREAMS" {
		t.Fatalf("the third stream: %v", err)
	}
	end()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := open(); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("an ended stream still counts: %v", err)
		}
	}
}

func TestStream_silentOneIsEnded(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.FirstMessage = 10 * time.Millisecond })
	s.handlers.imports = func(stream importStream) error {
		_, err := stream.Recv()
		return err
	}
	client := identityv1.NewCustomerServiceClient(s.dial(nil))
	stream, err := client.ImportCustomers(as(t.Context(), s.token(time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); errs.ReasonOf(err) != "FIRST_MESSAGE_LATE" {
		t.Errorf("got %v, want FIRST_MESSAGE_LATE", err)
	}
}

func TestServer_hugeHeadersAreRefusedBeforeAnybodyIsKnown(t *testing.T) {
	s := newSuite(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-padding", strings.Repeat("a", 1<<20))
	if _, err := identityv1.NewAuthServiceClient(s.dial(nil)).GetJwks(ctx, &identityv1.GetJwksRequest{}); err == nil {
		t.Error("a call with a megabyte of headers was served")
	}
}
