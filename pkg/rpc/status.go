package rpc

import (
	"context"
	"errors"
	"io"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
)

// kindCodes is the suite's one mapping between error kinds and gRPC codes.
var kindCodes = [...]codes.Code{
	errs.Internal:         codes.Internal,
	errs.Invalid:          codes.InvalidArgument,
	errs.Unauthenticated:  codes.Unauthenticated,
	errs.Denied:           codes.PermissionDenied,
	errs.NotFound:         codes.NotFound,
	errs.Exists:           codes.AlreadyExists,
	errs.Conflict:         codes.Aborted,
	errs.Precondition:     codes.FailedPrecondition,
	errs.Exhausted:        codes.ResourceExhausted,
	errs.Unavailable:      codes.Unavailable,
	errs.Unimplemented:    codes.Unimplemented,
	errs.Canceled:         codes.Canceled,
	errs.DeadlineExceeded: codes.DeadlineExceeded,
	errs.OutOfRange:       codes.OutOfRange,
}

// bare is what a status without our ErrorInfo becomes: one that gRPC itself
// made, whose text names addresses and transports and is for the log only.
var bare = [...]struct{ reason, message string }{
	errs.Internal:         {"INTERNAL", errs.InternalMessage},
	errs.Invalid:          {"INVALID", "the request is not valid"},
	errs.Unauthenticated:  {"UNAUTHENTICATED", "the call needs a valid token"},
	errs.Denied:           {"PERMISSION_DENIED", "you do not have the permission that this needs"},
	errs.NotFound:         {"NOT_FOUND", "the resource does not exist, or is not yours to see"},
	errs.Exists:           {"ALREADY_EXISTS", "the resource exists already"},
	errs.Conflict:         {"CONFLICT", "somebody else changed the resource; read it again"},
	errs.Precondition:     {"FAILED_PRECONDITION", "the resource is not in a state that allows this"},
	errs.Exhausted:        {"EXHAUSTED", "a limit is reached"},
	errs.Unavailable:      {"UNAVAILABLE", "the service cannot be reached at the moment; try again"},
	errs.Unimplemented:    {"UNIMPLEMENTED", "this server does not offer the call"},
	errs.Canceled:         {"CANCELED", "the caller gave the call up"},
	errs.DeadlineExceeded: {"DEADLINE_EXCEEDED", "the call ran out of time"},
	errs.OutOfRange:       {"OUT_OF_RANGE", "the position is not there"},
}

// known turns any error that a handler returned into the suite's own. The end
// of a context keeps its meaning; what else is not an errs error is Internal.
func known(err error) *errs.Error {
	if e, ok := errors.AsType[*errs.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return newBare(errs.Canceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return newBare(errs.DeadlineExceeded, err)
	}
	return errs.From(err)
}

func newBare(kind errs.Kind, cause error) *errs.Error {
	return errs.New(kind, bare[kind].reason, bare[kind].message, errs.Cause(cause))
}

// ToStatus returns the status that err is sent as: the kind as code, the public
// message, ErrorInfo with the reason and metadata, BadRequest with the
// violations, RetryInfo (AIP-193). The cause stays here. requestID, when not
// empty, is added as RequestInfo, so that a caller can quote it. A nil err is
// OK.
func ToStatus(err error, requestID string) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	e := known(err)
	message := e.Message
	if e.Kind == errs.Internal {
		message = errs.InternalMessage
	}
	code := codes.Internal
	if int(e.Kind) < len(kindCodes) {
		code = kindCodes[e.Kind]
	}
	s := status.New(code, message)
	detailed, err := s.WithDetails(details(e, message, requestID)...)
	if err != nil {
		return s
	}
	return detailed
}

func details(e *errs.Error, message, requestID string) []protoadapt.MessageV1 {
	out := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: e.Reason, Domain: errs.Domain, Metadata: e.Metadata},
		// The text again: a gRPC client that gives up after retries puts words of
		// its own around the status's, and those are not for callers.
		&errdetails.LocalizedMessage{Locale: "en", Message: message},
	}
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Reason: v.Reason, Description: v.Description,
			})
		}
		out = append(out, bad)
	}
	if e.RetryAfter > 0 {
		out = append(out, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	if requestID != "" {
		out = append(out, &errdetails.RequestInfo{RequestId: requestID})
	}
	return out
}

// FromStatus is the inverse of ToStatus: it returns an error of gRPC as an
// *errs.Error with the reason, metadata, violations and delay that the server
// gave it, and the status as its cause. nil, io.EOF and errors that are ours
// already come back unchanged.
func FromStatus(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return known(err)
	}
	kind := kindOf(s.Code())
	e := newBare(kind, err)
	known := false
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == errs.Domain {
				e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
				known = true
			}
		case *errdetails.LocalizedMessage:
			if known { // it follows our ErrorInfo; another's text is not ours to pass on
				e.Message = d.GetMessage()
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				errs.Field(v.GetField(), v.GetReason(), v.GetDescription())(e)
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}

func kindOf(code codes.Code) errs.Kind {
	for kind, c := range kindCodes {
		if c == code {
			return errs.Kind(kind)
		}
	}
	return errs.Internal // Unknown, DataLoss: nothing the caller can act on
}
