package audit

import (
	"container/list"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/kv"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// Bounds on the denials that are kept. A flood of them must not fill the disk
// of a log that nothing is removed from: one actor's denials of one action
// are kept at 10, then one a minute, and all of this process at 20 a second
// after a burst of 200.
const (
	denialBurst    = 10
	denialInterval = time.Minute
	allDenialBurst = 200
	allDenialRate  = 20
	// trackedDenials bounds the memory for pairs of actor and action; the one
	// that was longest not seen is forgotten, and may then burst again. The
	// bound on all denials holds even so.
	trackedDenials = 10_000
)

// The queue of denials that Run writes, and the most that it writes at once.
const (
	denialQueue = 256
	denialBatch = 64
	// keepTime bounds one write, and with it how long Run goes on after its
	// context has ended: at most five writes, since the queue takes no more.
	keepTime = 2 * time.Second
)

// OnDenied is the hook of authz.Guard: it keeps a denial of the permission
// interceptor.
func (l *Log) OnDenied(ctx context.Context, r authz.Request, method string) {
	name := ""
	if len(r.Resources) > 0 {
		name = r.Resources[0]
	}
	e := FromContext(authn.WithCaller(ctx, r.Caller))
	e.Action = method
	l.deny(ctx, e, name, "PERMISSION_DENIED")
}

// Denied keeps an entry for an act that a handler refused; the rest of it is
// taken from the context. It does not block: Run writes the entry soon. Beyond
// the bounds above a denial is only counted.
//
// The entry goes to the organisation of the actor, also when it reached for
// another's resource: neither tenant is to learn of the other.
func (l *Log) Denied(ctx context.Context, name, reason string) {
	l.deny(ctx, FromContext(ctx), name, reason)
}

func (l *Log) deny(ctx context.Context, e *auditv1.AuditEntry, name, reason string) {
	now := l.cfg.Clock()
	if !l.denials.allow(e.GetActor(), e.GetAction(), now) {
		l.denials.dropped.Add(ctx, 1)
		return
	}
	e.Time = timestamppb.New(now)
	// The request was not validated: its names may be anything.
	e.Resource = clip(name)
	e.Outcome, e.Reason = auditv1.AuditEntry_OUTCOME_DENIED, reason
	select {
	case l.denials.queue <- e:
	default:
		l.denials.dropped.Add(ctx, 1)
	}
}

// clip bounds a name of a request and makes it valid UTF-8.
func clip(name string) string {
	const longest = 256
	if len(name) > longest {
		name = name[:longest]
	}
	return strings.ToValidUTF8(name, "?")
}

// Run writes denials until ctx ends, and then those that are still queued.
func (l *Log) Run(ctx context.Context) error {
	for {
		select {
		case e := <-l.denials.queue:
			l.keep(ctx, l.denials.more(e))
		case <-ctx.Done():
			for rest := l.denials.more(); len(rest) > 0; rest = l.denials.more() {
				l.keep(ctx, rest)
			}
			return nil
		}
	}
}

// keep appends denials in one transaction, also while the process shuts down.
// The calls were refused anyway, so a store that takes no writes is logged and
// no more.
func (l *Log) keep(ctx context.Context, batch []*auditv1.AuditEntry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	err := l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		for _, e := range batch {
			if err := l.append(tx, ParentOf(e.GetActor()), proto.CloneOf(e)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.denials.dropped.Add(ctx, int64(len(batch)))
		l.cfg.Logger.Error("audit: cannot keep denials", "denials", len(batch), "error", err)
	}
}

// denials decides which denials are kept.
type denials struct {
	queue   chan *auditv1.AuditEntry
	dropped metric.Int64Counter

	mu    sync.Mutex
	all   *rate.Limiter
	pairs map[pair]*list.Element
	order *list.List // of *limited, the last seen in front
}

type pair struct{ actor, action string }

type limited struct {
	pair
	*rate.Limiter
}

func newDenials(meter metric.Meter) (*denials, error) {
	if meter == nil {
		meter = noop.Meter{}
	}
	dropped, err := meter.Int64Counter("guildhall.audit.denials.dropped",
		metric.WithDescription("Refused calls that the audit log did not keep, by rate or for a fault."))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return &denials{
		queue:   make(chan *auditv1.AuditEntry, denialQueue),
		dropped: dropped,
		all:     rate.NewLimiter(allDenialRate, allDenialBurst),
		pairs:   make(map[pair]*list.Element),
		order:   list.New(),
	}, nil
}

// more returns the given entries and those queued, at most denialBatch.
func (d *denials) more(batch ...*auditv1.AuditEntry) []*auditv1.AuditEntry {
	for len(batch) < denialBatch {
		select {
		case e := <-d.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

func (d *denials) allow(actor, action string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.limiter(pair{actor, action}).AllowN(now, 1) && d.all.AllowN(now, 1)
}

func (d *denials) limiter(p pair) *rate.Limiter {
	if at, ok := d.pairs[p]; ok {
		d.order.MoveToFront(at)
		return at.Value.(*limited).Limiter
	}
	if d.order.Len() >= trackedDenials {
		oldest := d.order.Back()
		delete(d.pairs, oldest.Value.(*limited).pair)
		d.order.Remove(oldest)
	}
	l := rate.NewLimiter(rate.Every(denialInterval), denialBurst)
	d.pairs[p] = d.order.PushFront(&limited{p, l})
	return l
}
