package throttle

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Config says what a Turnstile needs. Meter and Clock have defaults.
type Config struct {
	Store kv.Store
	Lanes *change.Lanes
	Book  *Book
	Meter metric.Meter
	Clock func() time.Time
}

// Turnstile lets attempts through, or tells them to wait. It is safe for
// concurrent use.
type Turnstile struct {
	cfg     Config
	flights *flights
	refused metric.Int64Counter
	begun   metric.Int64Counter
}

// NewTurnstile returns a turnstile.
func NewTurnstile(cfg Config) (*Turnstile, error) {
	if cfg.Store == nil || cfg.Lanes == nil || cfg.Book == nil {
		return nil, errors.New("throttle: a turnstile needs a store, lanes to it and a book")
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.NewMeterProvider().Meter("")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	t := &Turnstile{cfg: cfg, flights: newFlights()}
	var err error
	if t.refused, err = cfg.Meter.Int64Counter("guildhall.identity.throttle.refused",
		metric.WithDescription("Attempts that were told to wait, by what makes them: account, pair, device, network.")); err != nil {
		return nil, err
	}
	t.begun, err = cfg.Meter.Int64Counter("guildhall.identity.throttle.begun",
		metric.WithDescription("Times that waits began, by what they are for: account, pair, device, network."))
	return t, err
}

// lane is the one lane of all attempts at this process. Attempts from behind one
// address share a bucket, and would lose to each other in transactions of their
// own.
const lane = "throttle"

// Admit counts an attempt that is about to be made. It does so before anything
// is compared, so that attempts that come together do not slip through under the
// count. The error is Exhausted (LOGIN_THROTTLED) with when to come back; then
// nothing was written, and the wait has not grown.
//
// Whoever gets a ticket has to settle it: Failed, Return or Succeed.
func (t *Turnstile) Admit(ctx context.Context, a Attempt) (*Ticket, error) {
	of := t.cfg.Book.buckets(a)
	for {
		// Asked for before the look: who lands meanwhile is not missed.
		before := make(map[string]<-chan struct{}, len(of))
		for _, each := range of {
			before[id(each)] = t.flights.landing(each)
		}
		ticket, refused, err := t.enter(ctx, of)
		if err != nil || refused.wait == 0 {
			return ticket, err
		}
		again, err := standBy(ctx, before[id(refused.by)], t.flights.landing(refused.by))
		if err != nil {
			return nil, err
		}
		if !again {
			t.refused.Add(ctx, 1, labelled(refused.by))
			return nil, errs.New(errs.Exhausted, "LOGIN_THROTTLED",
				"there were too many attempts; wait for as long as the answer says, then try again", errs.RetryAfter(refused.wait))
		}
	}
}

// enter counts an attempt in all of its buckets, unless one says to wait.
func (t *Turnstile) enter(ctx context.Context, of []*storev1.Throttle) (*Ticket, refusal, error) {
	ticket := &Ticket{turnstile: t, of: of}
	if len(of) == 0 {
		return ticket, refusal{}, nil
	}
	// Who has to wait writes nothing, so that a flood costs reads only.
	var refused refusal
	err := t.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		_, refused, err = t.look(r, of)
		return err
	})
	if err != nil || refused.wait > 0 {
		return nil, refused, err
	}
	flying := false
	err = t.cfg.Lanes.Update(ctx, lane, func(tx kv.Tx) (err error) {
		ticket.poured, refused, err = t.pour(tx, of)
		if err == nil && refused.wait == 0 && !flying {
			// Before others can see the count.
			t.flights.begin(of)
			flying = true
		}
		return err
	})
	if flying && (err != nil || refused.wait > 0) {
		t.flights.land(of)
	}
	return ticket, refused, err
}

// refusal is the longest wait of an attempt, and what makes it; zero for one
// that is let through.
type refusal struct {
	wait time.Duration
	by   *storev1.Throttle
}

// look returns the buckets as they are, and whether one of them says to wait.
func (t *Turnstile) look(r kv.Reader, of []*storev1.Throttle) ([]*storev1.Throttle, refusal, error) {
	buckets, err := t.cfg.Book.current(r, of)
	if err != nil {
		return nil, refusal{}, err
	}
	now := t.cfg.Clock()
	var longest refusal
	for _, each := range buckets {
		if wait := t.cfg.Book.limits[each.GetScope()].wait(each, now); wait > longest.wait {
			longest = refusal{wait: wait, by: each}
		}
	}
	return buckets, longest, nil
}

// pour counts an attempt in all of its buckets, unless one says to wait.
func (t *Turnstile) pour(tx kv.Tx, of []*storev1.Throttle) ([]poured, refusal, error) {
	buckets, refused, err := t.look(tx, of)
	if err != nil || refused.wait > 0 {
		return nil, refused, err
	}
	now := t.cfg.Clock()
	out := make([]poured, len(buckets))
	for i, each := range buckets {
		each = proto.CloneOf(each)
		p := poured{bucket: of[i], was: each.GetReadyTime().AsTime()}
		p.begun = t.cfg.Book.limits[each.GetScope()].pour(each, now)
		p.set = each.GetReadyTime().AsTime()
		if _, err := t.cfg.Book.table.Put(tx, each, ""); err != nil {
			return nil, refused, err
		}
		out[i] = p
	}
	return out, refused, nil
}

// Sweep removes buckets that have leaked empty, and returns how many.
func (t *Turnstile) Sweep(ctx context.Context) (n int, err error) {
	for {
		removed := 0
		err := t.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
			removed, err = t.cfg.Book.removeEmpty(tx, t.cfg.Clock())
			return err
		})
		n += removed
		if err != nil || removed < sweepBatch {
			return n, err
		}
	}
}

func labelled(by *storev1.Throttle) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("scope", strings.ToLower(strings.TrimPrefix(by.GetScope().String(), "THROTTLE_SCOPE_"))))
}
