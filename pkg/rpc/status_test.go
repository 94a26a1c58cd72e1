package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
)

func TestStatus_everyKindSurvivesTheWire(t *testing.T) {
	want := map[errs.Kind]codes.Code{
		errs.Conflict: codes.Aborted, errs.Precondition: codes.FailedPrecondition, errs.Exhausted: codes.ResourceExhausted,
		errs.OutOfRange: codes.OutOfRange, errs.Denied: codes.PermissionDenied, errs.Exists: codes.AlreadyExists,
		errs.Invalid: codes.InvalidArgument, errs.NotFound: codes.NotFound, errs.Unavailable: codes.Unavailable,
	}
	for kind := errs.Internal; kind <= errs.OutOfRange; kind++ {
		s := ToStatus(errs.New(kind, "SOME_REASON", "text"), "")
		if code, ok := want[kind]; ok && s.Code() != code {
			t.Errorf("%v became %v, want %v", kind, s.Code(), code)
		}
		if back := FromStatus(s.Err()); errs.KindOf(back) != kind || errs.ReasonOf(back) != "SOME_REASON" {
			t.Errorf("%v came back as %v", kind, back)
		}
	}
}

func TestStatus_roundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[A-Z][A-Z_]{0,20}`)
		text := rapid.String()
		sent := errs.New(errs.Kind(rapid.IntRange(int(errs.Invalid), int(errs.OutOfRange)).Draw(t, "kind")), word.Draw(t, "reason"), text.Draw(t, "message"))
		for range rapid.IntRange(0, 3).Draw(t, "violations") {
			errs.Field(text.Draw(t, "field"), word.Draw(t, "rule"), text.Draw(t, "description"))(sent)
		}
		for range rapid.IntRange(0, 3).Draw(t, "metadata") {
			errs.Meta(text.Draw(t, "key"), text.Draw(t, "value"))(sent)
		}
		sent.RetryAfter = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "retry"))
		got := errs.From(FromStatus(ToStatus(fmt.Errorf("somewhere: %w", sent), "req-1").Err()))
		if diff := cmp.Diff(sent, got, cmpopts.IgnoreUnexported(errs.Error{})); diff != "" {
			t.Fatalf("(-sent +got):\n%s", diff)
		}
	})
}

func TestToStatus_hidesWhatIsInside(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code codes.Code
	}{
		"foreign error":     {errors.New("pq: secret"), codes.Internal},
		"status of another": {status.Error(codes.NotFound, "secret"), codes.Internal},
		"internal":          {errs.New(errs.Internal, "INTERNAL", "secret"), codes.Internal},
		"cause":             {errs.New(errs.NotFound, "X", "public", errs.Cause(errors.New("secret"))), codes.NotFound},
		"canceled":          {fmt.Errorf("secret: %w", context.Canceled), codes.Canceled},
		"out of time":       {fmt.Errorf("secret: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		"unknown kind":      {errs.New(errs.Kind(200), "X", "public"), codes.Internal},
	} {
		s := ToStatus(c.err, "")
		if s.Code() != c.code || strings.Contains(s.Proto().String(), "secret") {
			t.Errorf("%s: got %v", name, s.Proto())
		}
	}
	if s := ToStatus(nil, ""); s.Code() != codes.OK {
		t.Errorf("nil became %v", s)
	}
}

func TestToStatus_namesTheRequest(t *testing.T) {
	for _, d := range ToStatus(errors.New("x"), "req-1").Details() {
		if info, ok := d.(*errdetails.RequestInfo); ok && info.GetRequestId() == "req-1" {
			return
		}
	}
	t.Error("no RequestInfo")
}

func TestFromStatus_keepsForeignTextToTheLog(t *testing.T) {
	err := FromStatus(status.Error(codes.Unavailable, "dial tcp 10.0.0.7:443: refused"))
	e := errs.From(err)
	if e.Kind != errs.Unavailable || e.Reason != "UNAVAILABLE" || strings.Contains(e.Message, "10.0.0.7") {
		t.Errorf("got %+v", e)
	}
	if !strings.Contains(err.Error(), "10.0.0.7") {
		t.Errorf("%v: the log learns nothing", err)
	}
	foreign, err := status.New(codes.NotFound, "text").WithDetails(&errdetails.ErrorInfo{Reason: "R", Domain: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	if e := errs.From(FromStatus(foreign.Err())); e.Reason != "NOT_FOUND" {
		t.Errorf("took the reason of another domain: %v", e)
	}
	if e := errs.From(FromStatus(status.Error(codes.DataLoss, "x"))); e.Kind != errs.Internal {
		t.Errorf("DataLoss became %v", e)
	}
	for _, same := range []error{nil, io.EOF, errs.New(errs.Exists, "X", "x")} {
		if got := FromStatus(same); got != same {
			t.Errorf("%v became %v", same, got)
		}
	}
}
