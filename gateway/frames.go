package gateway

import (
	"bufio"
	"net/http"
	"strings"
	"time"

	"guildhall.dev/gateway/internal/problem"
)

// form is how answers of a stream are written.
type form string

// The two forms. Lines (NDJSON) hold one answer each; the last one is
// {"problem": …} when the stream did not end well. Server-sent events carry
// the same JSON, with ids to resume from.
const (
	lines  form = "application/x-ndjson"
	events form = "text/event-stream"
)

// formOf returns the form that a client wants: events only when it asks.
func formOf(r *http.Request) form {
	for _, accept := range r.Header.Values("Accept") {
		if strings.Contains(strings.ToLower(accept), string(events)) {
			return events
		}
	}
	return lines
}

// burst is how long answers that follow each other closely wait for one
// another before they are sent. One that comes alone does not wait.
const burst = 5 * time.Millisecond

// frames writes the answers of one stream. The first error sticks: the client
// is gone, or takes nothing for too long.
type frames struct {
	form   form
	w      http.ResponseWriter
	out    *bufio.Writer
	conn   *http.ResponseController
	within time.Duration
	err    error

	flushed time.Time
	// due fires when what waits has waited long enough: call flush.
	due   *time.Timer
	waits bool
}

// newFrames writes to the response as it is, without compression, which holds
// back what it has not compressed yet.
func newFrames(q *request, f form, within time.Duration) *frames {
	due := time.NewTimer(0)
	due.Stop()
	return &frames{
		form: f, w: q.writer, out: bufio.NewWriter(q.writer), conn: http.NewResponseController(q.writer),
		within: within, due: due,
	}
}

// open sends the headers, and in an event stream how soon to come back.
func (f *frames) open() {
	h := f.w.Header()
	h.Set("Content-Type", string(f.form))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold small writes back
	f.w.WriteHeader(http.StatusOK)
	if f.form == events {
		f.write("retry: 1000\n\n")
	}
	f.flush()
}

func (f *frames) message(id, event string, json []byte) {
	if f.form == events {
		if id != "" {
			f.write("id: " + id + "\n")
		}
		if event != "" {
			f.write("event: " + event + "\n")
		}
		f.write("data: ")
	}
	f.write(string(json) + "\n")
	if f.form == events {
		f.write("\n")
	}
	switch {
	case time.Since(f.flushed) > burst:
		f.flush()
	case !f.waits:
		f.waits = true
		f.due.Reset(burst)
	}
}

// heartbeat writes a comment, which clients never see. Lines have none; their
// streams end by themselves or have messages that say they are alive.
func (f *frames) heartbeat() {
	if f.form == events {
		f.write(": alive\n\n")
	}
	f.flush()
}

// problem is the last of a stream that did not end well.
func (f *frames) problem(p *problem.Problem) {
	if f.form == events {
		f.write("event: error\ndata: " + string(p.JSON()) + "\n\n")
	} else {
		f.write(`{"problem":` + string(p.JSON()) + "}\n")
	}
	f.flush()
}

func (f *frames) write(text string) {
	if f.err == nil {
		_, f.err = f.out.WriteString(text)
	}
}

// flush sends what was written, or fails when the client takes too long. The
// deadline does not stay: in HTTP/2 it would end a stream that is only quiet.
func (f *frames) flush() {
	if f.err != nil {
		return
	}
	f.flushed, f.waits = time.Now(), false
	f.due.Stop()
	// Connections that cannot time out are those of tests.
	_ = f.conn.SetWriteDeadline(f.flushed.Add(f.within))
	if f.err = f.out.Flush(); f.err == nil {
		f.err = f.conn.Flush()
	}
	_ = f.conn.SetWriteDeadline(time.Time{})
}
