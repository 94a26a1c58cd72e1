// Package errs is the one error type that crosses Guildhall's layers.
//
// An error is made where the fact is known, as a Kind (what the caller can do
// about it), a Reason (a stable UPPER_SNAKE word a program can compare), a
// public message, and, for bad input, the fields at fault. Everything else is
// a cause: it is logged once and never leaves the process. Layers in between
// wrap with %w and nothing more.
//
// The package knows neither gRPC nor HTTP. pkg/rpc maps kinds to gRPC status
// and back, the gateway maps them to RFC 9457 problems; nothing else does.
package errs

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller can do about an error.
type Kind uint8

const (
	// Internal is a defect or a fault of ours; its message is fixed.
	Internal Kind = iota
	// Invalid is input that can never succeed as it is.
	Invalid
	// Unauthenticated is a missing, expired or forged identity.
	Unauthenticated
	// Denied is a known caller without the permission.
	Denied
	// NotFound is a resource that is absent, or that the caller may not know of.
	NotFound
	// Exists is a name or a unique value that is taken.
	Exists
	// Conflict is a lost race: read again, then decide (AIP-154 etags).
	Conflict
	// Precondition is a state that forbids the call until something else changes.
	Precondition
	// Exhausted is a limit or quota; RetryAfter may say when to come back.
	Exhausted
	// Unavailable is a passing fault: the same call may succeed later.
	Unavailable
	// Unimplemented is a call this server does not offer.
	Unimplemented
	// Canceled is a call its caller gave up.
	Canceled
	// DeadlineExceeded is a call that ran out of its caller's time.
	DeadlineExceeded
	// OutOfRange is a position that is no longer, or not yet, there: a feed
	// cursor older than retention, for one.
	OutOfRange
)

var kindNames = [...]string{
	Internal: "internal", Invalid: "invalid", Unauthenticated: "unauthenticated",
	Denied: "denied", NotFound: "not found", Exists: "already exists",
	Conflict: "conflict", Precondition: "failed precondition",
	Exhausted: "exhausted", Unavailable: "unavailable",
	Unimplemented: "unimplemented", Canceled: "canceled",
	DeadlineExceeded: "deadline exceeded", OutOfRange: "out of range",
}

// String returns the kind in lower-case words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Domain is the ErrorInfo domain of every reason of the suite (AIP-193).
const Domain = "guildhall.dev"

// InternalMessage is all a caller ever learns of an Internal error.
const InternalMessage = "internal error; the request id names it in our logs"

// Violation is one fault of one field of the request.
type Violation struct {
	// Field is the path in the request, as in "group.display_name".
	Field string
	// Reason is a stable UPPER_SNAKE word, or a protovalidate rule id.
	Reason string
	// Description says in a sentence what to send instead. It never quotes
	// the value, which may be personal.
	Description string
}

// Error is the suite's error. Make one with New; do not build it by hand.
type Error struct {
	Kind       Kind
	Reason     string
	Message    string // public, in English; the gateway translates by Reason
	Violations []Violation
	// Metadata is public detail that a program may read, as in
	// {"resource": "organizations/acme/groups/g1"}.
	Metadata map[string]string
	// RetryAfter is how long to wait before the same call; zero says nothing.
	RetryAfter time.Duration

	cause error
}

// Error returns the public message and, for logs only, the cause.
func (e *Error) Error() string {
	s := e.Kind.String() + ": " + e.Message
	if e.Reason != "" {
		s += " [" + e.Reason + "]"
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause, which never leaves the process.
func (e *Error) Unwrap() error { return e.cause }

// Option adds detail to a new error.
type Option func(*Error)

// New makes an error. The message is public: it names what to do and holds no
// personal data, no internal name and no text of another error.
func New(kind Kind, reason, message string, opts ...Option) *Error {
	e := &Error{Kind: kind, Reason: reason, Message: message}
	for _, opt := range opts {
		opt(e)
	}
	return e
}

// Field adds a violation.
func Field(field, reason, description string) Option {
	return func(e *Error) {
		e.Violations = append(e.Violations, Violation{Field: field, Reason: reason, Description: description})
	}
}

// Cause adds the error behind this one, for the log.
func Cause(err error) Option { return func(e *Error) { e.cause = err } }

// Meta adds one public key and value.
func Meta(key, value string) Option {
	return func(e *Error) {
		if e.Metadata == nil {
			e.Metadata = make(map[string]string)
		}
		e.Metadata[key] = value
	}
}

// RetryAfter says how long to wait before the same call.
func RetryAfter(d time.Duration) Option { return func(e *Error) { e.RetryAfter = d } }

// InvalidField is the common case of Invalid: one field, one fault.
func InvalidField(field, reason, description string) *Error {
	return New(Invalid, reason, description, Field(field, reason, description))
}

// NotFoundName is the common case of NotFound. A resource of another tenant
// and one that never was get this same answer.
func NotFoundName(reason, name string) *Error {
	return New(NotFound, reason, "the resource does not exist, or is not yours to see", Meta("resource", name))
}

// From returns err as an *Error. Anything that is not one is Internal with the
// fixed message and err as its cause. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return New(Internal, "INTERNAL", InternalMessage, Cause(err))
}

// KindOf returns the kind of err; Internal for an error of another type.
// KindOf(nil) is Internal too: ask only about errors.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is an *Error of the kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

// ReasonOf returns the stable reason of err, or "".
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}
