package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
)

// approvalHeader is authz.ApprovalHeader as net/http spells it.
const approvalHeader = "Guildhall-Approval"

// maxLanguage is the longest Accept-Language that is passed on.
const maxLanguage = 256

// request is what the gateway knows of a request. The transcoder gets a copy
// of the HTTP request without headers; all that is used of them is read here.
type request struct {
	id      string
	started time.Time
	http    *http.Request // as it came
	remote  netip.Addr
	// writer is the response before compression, for streams.
	writer http.ResponseWriter

	query   url.Values
	body    *body
	timeout time.Duration

	// binding is the route, once it is known.
	binding *binding
	// verbatim says that the route's API is not ours; see problem.Context.
	verbatim bool
}

type requestKey struct{}

func withRequest(ctx context.Context, q *request) context.Context {
	return context.WithValue(ctx, requestKey{}, q)
}

func requestOf(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q
}

// requestID returns the client's id of the request when it is one that logs
// and headers carry as it is, else a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); rpc.ValidRequestID(id) {
		return id
	}
	return rand.Text()
}

// problem returns what an answer depends on.
func (q *request) problem() problem.Context {
	return problem.Context{
		RequestID: q.id, AcceptLanguage: q.http.Header.Get("Accept-Language"),
		IfMatch: q.http.Header.Get("If-Match") != "", Authorization: q.http.Header.Get("Authorization") != "",
		Verbatim: q.verbatim,
	}
}

// metadata returns the whole metadata of the call to the service. It is built
// from nothing, so that no header becomes metadata by its name alone; the
// trace goes with the connection's stats handler. All values of Authorization
// and Guildhall-Approval are passed on: that there is more than one is for the
// service to refuse.
func (q *request) metadata() metadata.MD {
	md := metadata.MD{rpc.RequestIDHeader: {q.id}}
	if values := q.http.Header.Values("Authorization"); len(values) > 0 {
		md["authorization"] = values
	}
	if values := q.http.Header.Values(approvalHeader); len(values) > 0 {
		md[authz.ApprovalHeader] = values
	}
	if l := q.http.Header.Get("Accept-Language"); l != "" && len(l) <= maxLanguage && isPrintable(l) {
		md["accept-language"] = []string{l}
	}
	if q.remote.IsValid() {
		md["x-forwarded-for"] = []string{q.remote.String()}
	}
	return md
}

// isPrintable reports whether gRPC takes the text as a metadata value.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// readTimeout reads X-Request-Timeout: seconds, also with a fraction. More than
// the most is the most.
func (q *request) readTimeout(cfg *Config) error {
	q.timeout = cfg.Timeout
	text := q.http.Header.Get("X-Request-Timeout")
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0) { // also NaN
		return invalidHeader("X-Request-Timeout", "send a number of seconds, as in 2.5")
	}
	q.timeout = cfg.MaxTimeout
	if seconds < cfg.MaxTimeout.Seconds() {
		q.timeout = time.Duration(seconds * float64(time.Second))
	}
	return nil
}

func invalidHeader(name, description string) error {
	return errs.New(errs.Invalid, problem.HeaderInvalid, name+": "+description, errs.Meta("header", name))
}
