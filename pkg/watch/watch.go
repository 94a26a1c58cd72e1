// Package watch keeps open streams as honest as new calls: when what a caller
// may do changes, its open streams are authorised again, and those that would
// be refused end at once.
//
// A call is authorised when it begins, which is enough for one that ends in
// milliseconds and not for one that stays open for minutes. To ask again and
// again for each open stream costs most when nothing happens. So each process
// tells service permission once which organisations have streams open here, and
// hears the names of those who may do more or less from then on; a name leads
// to its streams. Ten thousand idle streams of which nothing changes cost one
// message a second.
//
//	open ──name changed──▶ authorised again ──yes──▶ open
//	                         │ no                    ▲
//	                         ▼                       │ permission does not answer:
//	                       ended                     └ asked again soon, and before
//	                                                   the stream's next message
//
// What breaks off may have missed something: until the watch is back, Live is
// false, and streams ask before they send (pkg/rpc); when it is back, all are
// authorised again. The package decides nothing about a caller.
package watch

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/authn"
)

// quiet is how long a watch may say nothing and still be believed: permission
// says something every second.
const quiet = 3 * time.Second

// Verdict is what came of authorising a stream again.
type Verdict struct {
	// Ended is the reason that the stream ended with; "" when it goes on.
	Ended string
	// Unknown says that it could not be known.
	Unknown bool
}

// Streams are the open streams of a process. Make one with New; it is safe for
// concurrent use.
type Streams struct {
	started time.Time // the beginning of the monotonic clock of heard
	heard   atomic.Int64
	ended   metric.Int64Counter

	mu            sync.Mutex
	organizations map[string]*organization
	// fresh are organisations that the watch has yet to be told of; wanted
	// holds one when there are some.
	fresh  []string
	wanted chan struct{}
	due    []*stream // to be authorised again
	woken  chan struct{}
}

// organization are the open streams of the callers of one organisation.
type organization struct {
	callers map[string]map[*stream]struct{}
	count   int
	// followed says that the watch tells of the organisation's changes.
	followed atomic.Bool
}

// stream is one open stream.
type stream struct {
	organization *organization
	recheck      func(context.Context) Verdict
	waits        bool // it is in due
	closed       bool
}

// New returns no streams. The meter may be nil.
func New(meter metric.Meter) (*Streams, error) {
	if meter == nil {
		meter = noop.Meter{}
	}
	ended, err := meter.Int64Counter("guildhall.rpc.streams.ended",
		metric.WithDescription("Open streams that were ended because their caller may not go on, by reason."))
	return &Streams{
		started: time.Now(), ended: ended, organizations: make(map[string]*organization),
		wanted: make(chan struct{}, 1), woken: make(chan struct{}, 1),
	}, err
}

// Stream is a handle on one open stream.
type Stream struct {
	all  *Streams
	each *stream
	name string
}

// Open enters a stream of the caller, an account, until Close. recheck
// authorises the stream again and ends it when it is refused; it is called when
// something changes, on another goroutine, also before Open returns. Open the
// stream before it is authorised for the first time: what changes from then on
// is not missed.
func (s *Streams) Open(caller authn.Caller, recheck func(context.Context) Verdict) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	home := caller.Organization()
	o := s.organizations[home]
	if o == nil {
		o = &organization{callers: make(map[string]map[*stream]struct{})}
		s.organizations[home] = o
		s.fresh = append(s.fresh, home)
		signal(s.wanted)
	}
	if o.callers[caller.Name] == nil {
		o.callers[caller.Name] = make(map[*stream]struct{})
	}
	st := &stream{organization: o, recheck: recheck}
	o.callers[caller.Name][st] = struct{}{}
	o.count++
	return &Stream{all: s, each: st, name: caller.Name}
}

// Close removes the stream, once.
func (h *Stream) Close() {
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	o := h.each.organization
	h.each.closed = true
	delete(o.callers[h.name], h.each)
	if len(o.callers[h.name]) == 0 {
		delete(o.callers, h.name)
	}
	o.count--
	// The organisation stays known: most come again, and to follow one costs
	// next to nothing.
}

// Live reports whether all that changes for the stream is told to it: false
// until the watch follows its organisation, and when it has broken off.
func (h *Stream) Live() bool {
	heard := h.all.heard.Load()
	return h.each.organization.followed.Load() && heard > 0 && time.Since(h.all.started)-time.Duration(heard) < quiet
}

// Changed has streams authorised again: those of the callers among the names,
// and all of the organisation when a name is that of something that callers
// have in common, as a team or a role. No names are everything.
func (s *Streams) Changed(home string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organizations[home]
	if o == nil || o.count == 0 {
		return
	}
	everybody := len(names) == 0
	for _, name := range names {
		if _, _, isAccount := authn.ParseName(name); !isAccount {
			everybody = true
		}
	}
	if !everybody {
		for _, name := range names {
			s.queue(o.callers[name])
		}
		return
	}
	for _, streams := range o.callers {
		s.queue(streams)
	}
}

// queue has streams authorised again; the caller has the lock.
func (s *Streams) queue(streams map[*stream]struct{}) {
	for st := range streams {
		if !st.waits {
			st.waits = true
			s.due = append(s.due, st)
		}
	}
	signal(s.woken)
}

func (s *Streams) countEnd(ctx context.Context, reason string) {
	s.ended.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", strings.ToUpper(reason))))
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // is signalled
	}
}
