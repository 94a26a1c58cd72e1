// Package intent carries memberships to service permission, which decides what
// members may do.
//
// A membership and the grant that follows from it live in two stores, and no
// transaction spans both. So the change writes an intent beside the
// membership; after the commit the handler delivers it and waits, so that a
// new member may read when the call returns, and a removed one may not. What
// a crash or an absent permission service leaves behind, Run delivers later.
// Delivery is repeatable: permission takes the intent with the highest
// version and ignores what it has seen.
package intent

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/groupchat/internal/group"
)

// Config says what a Deliverer needs, all of it.
type Config struct {
	Store  kv.Store
	Groups *group.Groups
	// Set tells service permission, and returns the version in force.
	Set    func(ctx context.Context, req *permissionv1.SetManagedGrantRequest) (int64, error)
	Logger *slog.Logger
	Meter  metric.Meter
}

// Deliverer delivers intents. It is safe for concurrent use.
type Deliverer struct {
	cfg     Config
	pending metric.Int64Gauge
	left    chan struct{} // a handler could not deliver
}

// New returns a deliverer. Start Run for what handlers leave behind.
func New(cfg Config) (*Deliverer, error) {
	pending, err := cfg.Meter.Int64Gauge("guildhall.groupchat.grants.pending",
		metric.WithDescription("grants of members that service permission has not confirmed, as of the last sweep"))
	return &Deliverer{cfg: cfg, pending: pending, left: make(chan struct{}, 1)}, err
}

// chunk is how many intents are read at once.
const chunk = 100

// retryAfter is what a caller is told to wait when permission is away.
const retryAfter = 2 * time.Second

// Deliver delivers the intents of one group and returns when permission has
// confirmed them all. When it cannot, the error is Unavailable
// (GRANT_PENDING): the change itself is done and will be completed.
func (d *Deliverer) Deliver(ctx context.Context, group string) error {
	if _, err := d.deliver(ctx, group); err != nil {
		d.Hasten()
		return errs.New(errs.Unavailable, "GRANT_PENDING",
			"the change is made, but its permissions have not taken effect yet; they will on their own. The same request again waits for them",
			errs.RetryAfter(retryAfter), errs.Cause(err))
	}
	return nil
}

// Hasten has Run deliver at once, for who does not wait for it.
func (d *Deliverer) Hasten() {
	select {
	case d.left <- struct{}{}:
	default: // Run knows
	}
}

// deliver delivers the intents of one group, or of all when group is empty,
// and returns how many it delivered. One that permission refuses does not keep
// the others waiting; one that it does not answer does.
func (d *Deliverer) deliver(ctx context.Context, group string) (n int, refused error) {
	for after := []byte(nil); ; {
		var intents []*storev1.GrantIntent
		var next []byte
		err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			intents, next, err = d.cfg.Groups.Intents(r, group, after, chunk)
			return err
		})
		if err != nil {
			return n, err
		}
		// Losses first, for memberships that go from one account to another.
		slices.SortStableFunc(intents, func(a, b *storev1.GrantIntent) int {
			return cmp.Compare(min(1, len(a.GetRole())), min(1, len(b.GetRole())))
		})
		for _, i := range intents {
			switch err := d.one(ctx, i); {
			case err == nil:
				n++
			case ctx.Err() != nil || errs.Is(err, errs.Unavailable) || errs.Is(err, errs.DeadlineExceeded):
				return n, err
			default:
				refused = err
			}
		}
		if after = next; after == nil {
			return n, refused
		}
	}
}

func (d *Deliverer) one(ctx context.Context, i *storev1.GrantIntent) error {
	inForce, err := d.set(ctx, i)
	if err == nil && inForce > i.GetVersion() {
		err = d.outbid(ctx, i, inForce)
	}
	if err != nil {
		return err
	}
	if err := d.cfg.Store.Update(ctx, func(tx kv.Tx) error { return d.cfg.Groups.Done(tx, i) }); err != nil {
		// Permission has it, which is what the caller waits for; Run sends it
		// again, to no effect.
		d.cfg.Logger.DebugContext(ctx, "a delivered grant was not crossed off", "error", err)
	}
	return nil
}

func (d *Deliverer) outbid(ctx context.Context, i *storev1.GrantIntent, inForce int64) error {
	var again *storev1.GrantIntent
	err := d.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
		again, err = d.cfg.Groups.Outbid(tx, i, inForce)
		return err
	})
	if err != nil || again == nil {
		return err
	}
	if _, err := d.set(ctx, again); err != nil {
		return err
	}
	i.Version = again.GetVersion()
	return nil
}

func (d *Deliverer) set(ctx context.Context, i *storev1.GrantIntent) (int64, error) {
	return d.cfg.Set(ctx, &permissionv1.SetManagedGrantRequest{
		Subject: i.GetSubject(), Resource: i.GetResource(), Role: i.GetRole(), Version: i.GetVersion(),
	})
}

const (
	// sweepEvery is how often Run looks for intents that nobody waits for.
	sweepEvery = 5 * time.Second
	// firstPause is how soon it tries again when permission is away.
	firstPause = 100 * time.Millisecond
)

// Run delivers what handlers left behind: at once when one says so, and every
// few seconds, until ctx ends.
func (d *Deliverer) Run(ctx context.Context) error {
	return rounds.Loop{
		Do: d.round, Failed: "grants of members were not delivered; trying again", Logger: d.cfg.Logger,
		Every: sweepEvery, Least: firstPause, Wake: d.left,
	}.Run(ctx)
}

func (d *Deliverer) round(ctx context.Context) error {
	n, err := d.deliver(ctx, "")
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.pending.Record(ctx, d.count(ctx))
	default:
		d.pending.Record(ctx, 0)
		if n > 0 {
			d.cfg.Logger.InfoContext(ctx, "grants of members delivered late", "count", n)
		}
	}
	return err
}

// count returns how many intents there are, as far as can be seen.
func (d *Deliverer) count(ctx context.Context) (n int64) {
	// What keeps the store from being read is logged by the delivery.
	_ = d.cfg.Store.View(ctx, func(r kv.Reader) error {
		n = 0
		for after := []byte(nil); ; {
			intents, next, err := d.cfg.Groups.Intents(r, "", after, chunk)
			n += int64(len(intents))
			if after = next; err != nil || after == nil {
				return err
			}
		}
	})
	return n
}
