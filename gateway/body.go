package gateway

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
)

const jsonType = "application/json"

// body is the body of a request as its route reads it: of the one media type
// that the route takes, uncompressed, no larger than the limit, and not slower
// than the time it has. It keeps what was read, and the fault that ended it.
type body struct {
	src      io.ReadCloser
	header   http.Header
	declared int64 // Content-Length, -1 when unknown
	limit    int64
	// mediaType is what the route takes; JSON unless it says otherwise.
	mediaType string
	timer     *http.ResponseController
	within    time.Duration

	read  bytes.Buffer
	fault error
}

func newBody(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) *body {
	return &body{
		src: http.MaxBytesReader(w, r.Body, limit), header: r.Header, declared: r.ContentLength,
		limit: limit, mediaType: jsonType, timer: http.NewResponseController(w), within: within,
	}
}

// Read reads the body. Its errors are io.EOF and errors of ours.
func (b *body) Read(p []byte) (int, error) {
	if b.fault != nil {
		return 0, b.fault
	}
	if b.read.Len() == 0 {
		if b.fault = b.begin(); b.fault != nil {
			return 0, b.fault
		}
	}
	n, err := b.src.Read(p)
	b.read.Write(p[:n])
	if err != nil {
		// A deadline that stays would end the request while it is answered.
		_ = b.timer.SetReadDeadline(time.Time{})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.fault = bodyFault(err)
		return 0, b.fault
	}
	return n, err
}

// begin checks what the headers say of the body.
func (b *body) begin() error {
	if b.declared == 0 {
		return nil
	}
	if b.declared > b.limit {
		return bodyFault(&http.MaxBytesError{Limit: b.limit})
	}
	if err := checkType(b.header, b.mediaType); err != nil {
		return err
	}
	// Connections that cannot time out are those of tests.
	_ = b.timer.SetReadDeadline(time.Now().Add(b.within))
	return nil
}

func (b *body) Close() error { return b.src.Close() }

// checkType wants a media type, in UTF-8 and not compressed: a small body that
// unpacks into a large one would get around the limit.
func checkType(h http.Header, want string) error {
	got, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := parameters["charset"]
	coding := h.Get("Content-Encoding")
	if err == nil && got == want && (charset == "" || strings.EqualFold(charset, "utf-8")) &&
		(coding == "" || strings.EqualFold(coding, "identity")) {
		return nil
	}
	return errs.New(errs.Invalid, problem.MediaTypeUnsupported, "send the body as "+want+", not compressed",
		errs.Meta("accept", want))
}

// bodyFault says in our words why a body could not be read.
func bodyFault(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.New(errs.Invalid, problem.BodyTooLarge, "the body is larger than this route takes", errs.Cause(err))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errs.New(errs.Invalid, problem.BodyTimeout, "the body did not arrive in time", errs.Cause(err))
	}
	return errs.New(errs.Invalid, problem.BodyIncomplete, "the body broke off", errs.Cause(err))
}
