// Package problem is the suite's one mapping of errors to HTTP: an error of
// pkg/errs becomes a problem document (RFC 9457) with a stable reason, in the
// caller's language.
//
// Every answer of the gateway that is not a success comes from here, routing
// errors and faults inside streams included, so that a client needs one piece
// of code for all of them. Nothing of an error's cause is ever written.
package problem

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// The bases of the URIs in a problem. They identify and are not meant to be
// fetched (RFC 9457 section 3.1.1, RFC 4151).
const (
	typeBase     = "https://guildhall.dev/problems/"
	instanceBase = "tag:guildhall.dev,2026:requests/"
)

// Reasons of refusals that are the gateway's own. Those with another status
// than their kind's are in reasonStatus.
const (
	RouteNotFound          = "ROUTE_NOT_FOUND"
	MethodNotAllowed       = "METHOD_NOT_ALLOWED"
	PathInvalid            = "PATH_INVALID"
	QueryInvalid           = "QUERY_INVALID"
	QueryParameterUnknown  = "QUERY_PARAMETER_UNKNOWN"
	HeaderInvalid          = "HEADER_INVALID"
	BodyTooLarge           = "BODY_TOO_LARGE"
	BodyNotAllowed         = "BODY_NOT_ALLOWED"
	BodyTimeout            = "BODY_TIMEOUT"
	BodyIncomplete         = "BODY_INCOMPLETE"
	MediaTypeUnsupported   = "MEDIA_TYPE_UNSUPPORTED"
	JSONMalformed          = "JSON_MALFORMED"
	JSONFieldUnknown       = "JSON_FIELD_UNKNOWN"
	JSONFieldTwice         = "JSON_FIELD_TWICE"
	JSONValueInvalid       = "JSON_VALUE_INVALID"
	TextNotUTF8            = "TEXT_NOT_UTF8"
	EtagMismatch           = "ETAG_MISMATCH"
	EtagAmbiguous          = "ETAG_AMBIGUOUS"
	ConditionUnsupported   = "CONDITION_UNSUPPORTED"
	IdempotencyAmbiguous   = "IDEMPOTENCY_KEY_AMBIGUOUS"
	IdempotencyUnsupported = "IDEMPOTENCY_KEY_UNSUPPORTED"
	TenantMissing          = "TENANT_MISSING"
	MemberUnsupported      = "MEMBER_UNSUPPORTED"
)

// Reasons of refusals that the AuthZEN Access Request and Approval Profile has
// types of its own for. A program of that API compares the type, which is the
// reason's end below profileBase.
const (
	NotRequestable   = profileReason + "NOT_REQUESTABLE"
	ExpiredDenial    = profileReason + "EXPIRED_DENIAL"
	InvalidBinding   = profileReason + "INVALID_DENIAL_BINDING"
	DuplicateRequest = profileReason + "DUPLICATE_REQUEST"
	UnknownTask      = profileReason + "UNKNOWN_TASK"
	TaskExpired      = profileReason + "TASK_EXPIRED"
	InvalidTaskState = profileReason + "INVALID_TASK_STATE"

	profileReason = "ACCESS_REQUEST_"
	profileBase   = "urn:openid:authzen:access-request:error:"
)

// kindStatus is the HTTP status of each kind.
//
// Precondition is 409, "conflict with the current state of the target
// resource" (RFC 9110 section 15.5.10): 400 would tell the client that its
// request is malformed, and 412 belongs to If-Match and its relatives.
var kindStatus = [...]int{
	errs.Internal:         http.StatusInternalServerError,
	errs.Invalid:          http.StatusBadRequest,
	errs.Unauthenticated:  http.StatusUnauthorized,
	errs.Denied:           http.StatusForbidden,
	errs.NotFound:         http.StatusNotFound,
	errs.Exists:           http.StatusConflict,
	errs.Conflict:         http.StatusConflict,
	errs.Precondition:     http.StatusConflict,
	errs.Exhausted:        http.StatusTooManyRequests,
	errs.Unavailable:      http.StatusServiceUnavailable,
	errs.Unimplemented:    http.StatusNotImplemented,
	errs.Canceled:         499, // nginx's "client closed request"; nobody reads it
	errs.DeadlineExceeded: http.StatusGatewayTimeout,
	errs.OutOfRange:       http.StatusBadRequest,
}

// reasonStatus holds what HTTP has a status of its own for.
var reasonStatus = map[string]int{
	MethodNotAllowed:     http.StatusMethodNotAllowed,
	BodyTooLarge:         http.StatusRequestEntityTooLarge,
	BodyTimeout:          http.StatusRequestTimeout,
	MediaTypeUnsupported: http.StatusUnsupportedMediaType,
	ExpiredDenial:        http.StatusGone,
	TaskExpired:          http.StatusGone,
}

// Context is what an answer depends on beside the error.
type Context struct {
	// RequestID names the request in our logs.
	RequestID string
	// AcceptLanguage is the request's header.
	AcceptLanguage string
	// IfMatch says that the request came with the header.
	IfMatch bool
	// Authorization says that the request came with the header.
	Authorization bool
	// Verbatim says that fields are spelled as they stand in the request, and
	// not in the spelling of protos: those of an API that is not ours.
	Verbatim bool
}

// Problem is an error as it is answered.
type Problem struct {
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Status     int               `json:"status"`
	Detail     string            `json:"detail"`
	Instance   string            `json:"instance,omitempty"`
	Reason     string            `json:"reason"`
	Kind       string            `json:"kind"`
	Violations []Violation       `json:"violations,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	RequestID  string            `json:"requestId,omitempty"`
	// RetryAfter is in whole seconds, rounded up.
	RetryAfter int `json:"retryAfter,omitempty"`

	language string
}

// Violation is one fault of one field.
type Violation struct {
	// Field is its path in the request, in the spelling of JSON.
	Field       string `json:"field"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

// New returns err as a problem. It takes an *errs.Error, a gRPC status, the
// end of a context, and anything else as Internal.
func New(err error, c Context) *Problem {
	if err == nil {
		err = errors.New("a problem without an error")
	}
	e := errs.From(rpc.FromStatus(err))
	language := choose(c.AcceptLanguage)
	title, detail := texts(e, language)
	p := &Problem{
		Type: typeOf(e.Reason), Title: title, Status: Status(e, c.IfMatch), Detail: detail,
		Reason: e.Reason, Kind: strings.ToUpper(strings.ReplaceAll(e.Kind.String(), " ", "_")),
		Metadata: e.Metadata, RequestID: c.RequestID, RetryAfter: retryAfter(e), language: language,
	}
	if c.RequestID != "" {
		p.Instance = instanceBase + c.RequestID
	}
	for _, v := range e.Violations {
		field := v.Field
		if !c.Verbatim {
			field = fieldPath(v)
		}
		p.Violations = append(p.Violations, Violation{
			Field: field, Reason: v.Reason, Description: describe(v, language),
		})
	}
	return p
}

// Status returns the HTTP status of an error. ifMatch says that the request
// came with If-Match: only then is a changed resource a failed precondition in
// HTTP's sense.
func Status(e *errs.Error, ifMatch bool) int {
	if status, ok := reasonStatus[e.Reason]; ok {
		return status
	}
	if e.Kind == errs.Conflict && e.Reason == EtagMismatch && ifMatch {
		return http.StatusPreconditionFailed
	}
	if int(e.Kind) < len(kindStatus) {
		return kindStatus[e.Kind]
	}
	return http.StatusInternalServerError
}

// retryAfter is what the service said, or a second for what passes by itself.
func retryAfter(e *errs.Error) int {
	switch {
	case e.RetryAfter > 0:
		return int(math.Ceil(e.RetryAfter.Seconds()))
	case e.Kind == errs.Unavailable:
		return 1
	}
	return 0
}

// Write answers with the problem of err and returns it. Nothing may have been
// written before.
func Write(w http.ResponseWriter, err error, c Context) *Problem {
	p := New(err, c)
	h := w.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Content-Encoding", "Content-Length", "Trailer"} {
		h.Del(name) // of a success that did not come about
	}
	h.Set("Content-Type", ContentType)
	h.Set("Content-Language", p.language)
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	if p.RetryAfter > 0 && (p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable) {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", p.challenge(c.Authorization))
	}
	body := p.JSON()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that is gone needs no answer
	return p
}

// challenge is RFC 6750 section 3: no error code for a request that brought no
// credentials, and none of our texts ever. A good token of somebody who has to prove
// anew who they are has RFC 9470's.
func (p *Problem) challenge(hadToken bool) string {
	switch age, err := strconv.Atoi(p.Metadata[authn.MaxAge]); {
	case p.Reason == authn.StepUpRequired && err == nil:
		return `Bearer realm="guildhall", error="insufficient_user_authentication", max_age=` + strconv.Itoa(age)
	case hadToken:
		return `Bearer realm="guildhall", error="invalid_token"`
	}
	return `Bearer realm="guildhall"`
}

// JSON returns the problem in one line, without its end.
func (p *Problem) JSON() []byte {
	text, err := json.Marshal(p)
	if err != nil {
		return []byte(`{"type":"` + typeBase + `internal","title":"Internal error","status":500}`)
	}
	return text
}

// typeOf returns the URI of a reason.
func typeOf(reason string) string {
	if name, ok := strings.CutPrefix(reason, profileReason); ok {
		return profileBase + strings.ToLower(name)
	}
	return typeBase + kebab(reason)
}

func kebab(reason string) string {
	return strings.ToLower(strings.ReplaceAll(reason, "_", "-"))
}

// fieldPath is a field in the spelling of JSON. What the client itself wrote
// is quoted as it wrote it.
func fieldPath(v errs.Violation) string {
	if strings.HasPrefix(v.Reason, "JSON_") || strings.HasPrefix(v.Reason, "QUERY_") {
		return v.Field
	}
	return camelPath(v.Field)
}

// camelPath turns a path of proto field names into one of JSON names. What is
// in brackets is an index or a map's key and stays as it is.
func camelPath(path string) string {
	var b strings.Builder
	depth, quoted, upper := 0, false, false
	for _, r := range path {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0 && r == '_':
			upper = true
			continue
		}
		if upper && 'a' <= r && r <= 'z' {
			r += 'A' - 'a'
		}
		upper = false
		b.WriteRune(r)
	}
	return b.String()
}
