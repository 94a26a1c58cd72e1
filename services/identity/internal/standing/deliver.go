package standing

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Reason is that of a change that is made and of which permission does not know
// yet.
const Reason = "SUSPENSION_PENDING"

const (
	// patience bounds a delivery within the call that waits for it.
	patience = 5 * time.Second
	// retryAfter is what a caller is told to wait when permission is away.
	retryAfter = 2 * time.Second
	// sweepEvery is how often Run looks for intents that nobody waits for, and
	// the longest it waits when permission is away.
	sweepEvery = time.Second
	// firstPause is how soon it tries again when permission is away.
	firstPause = 50 * time.Millisecond
	// chunk is how many intents are read at once, sessionChunk how many
	// sessions one request names.
	chunk        = 100
	sessionChunk = 500
)

// Config says what a Deliverer needs, all of it.
type Config struct {
	Store kv.Store
	Book  *Book
	// SetState and EndSessions tell service permission.
	SetState    func(context.Context, *permissionv1.SetStandingRequest) error
	EndSessions func(context.Context, *permissionv1.EndSessionsRequest) error
	Logger      *slog.Logger
	Meter       metric.Meter
}

// Deliverer delivers intents. It is safe for concurrent use.
type Deliverer struct {
	cfg     Config
	pending metric.Int64Gauge
	left    chan struct{} // a handler could not deliver
}

// NewDeliverer returns a deliverer. Start Run for what handlers leave behind.
func NewDeliverer(cfg Config) (*Deliverer, error) {
	pending, err := cfg.Meter.Int64Gauge("guildhall.identity.standings.pending",
		metric.WithDescription("Accounts of whose suspension or ended sessions service permission does not know yet, as of the last look."))
	return &Deliverer{cfg: cfg, pending: pending, left: make(chan struct{}, 1)}, err
}

// Deliver delivers the intent of one account, if it has one, and returns when
// permission has it. When it cannot, the error is Unavailable
// (SUSPENSION_PENDING): the change itself is made and will be completed.
func (d *Deliverer) Deliver(ctx context.Context, account string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var rec kv.Record[*storev1.StandingIntent]
	err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		rec, _, err = d.cfg.Book.table.Find(r, key(account))
		return err
	})
	if err == nil && rec.Found() {
		err = d.one(ctx, rec)
	}
	if err == nil {
		return nil
	}
	select {
	case d.left <- struct{}{}:
	default: // Run knows
	}
	return errs.New(errs.Unavailable, Reason,
		"the change is made, but has not taken effect everywhere yet; it will on its own. The same request again waits for it",
		errs.RetryAfter(retryAfter), errs.Cause(err))
}

func (d *Deliverer) one(ctx context.Context, rec kv.Record[*storev1.StandingIntent]) error {
	i := rec.Value
	if i.GetState() != "" {
		if err := d.cfg.SetState(ctx, &permissionv1.SetStandingRequest{
			Account: i.GetAccount(), State: i.GetState(), Version: i.GetVersion(),
		}); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(i.GetSessions(), sessionChunk) {
		req := &permissionv1.EndSessionsRequest{Account: i.GetAccount()}
		for _, e := range some {
			req.Sessions = append(req.Sessions, &permissionv1.EndedSession{Session: e.GetSession(), ForgetTime: e.GetForgetTime()})
		}
		if err := d.cfg.EndSessions(ctx, req); err != nil {
			return err
		}
	}
	if err := d.cfg.Store.Update(ctx, func(tx kv.Tx) error { return d.cfg.Book.done(tx, rec) }); err != nil {
		// Permission has it, which is what the caller waits for; Run sends it
		// again, to no effect.
		d.cfg.Logger.DebugContext(ctx, "a delivered standing was not crossed off", "error", err)
	}
	return nil
}

// Run delivers what handlers left behind: at once when one says so, and every
// second, until ctx ends.
func (d *Deliverer) Run(ctx context.Context) error {
	return rounds.Loop{
		Do: d.round, Failed: "permission does not know yet of accounts that may not act; trying again", Logger: d.cfg.Logger,
		Every: sweepEvery, Least: firstPause, Wake: d.left,
	}.Run(ctx)
}

func (d *Deliverer) round(ctx context.Context) error {
	delivered, pending, err := d.all(ctx)
	if ctx.Err() != nil {
		return nil
	}
	d.pending.Record(ctx, pending)
	if err == nil && delivered > 0 {
		d.cfg.Logger.InfoContext(ctx, "permission heard late of accounts that may not act", "count", delivered)
	}
	return err
}

// all delivers all intents, and returns how many and how many are left. One
// that permission refuses does not keep the others waiting; one that it does
// not answer does.
func (d *Deliverer) all(ctx context.Context) (delivered, pending int64, refused error) {
	for after := []byte(nil); ; {
		var page kv.Page[*storev1.StandingIntent]
		err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			page, err = d.cfg.Book.table.List(r, kv.Query{After: after, Limit: chunk})
			return err
		})
		if err != nil {
			return delivered, pending, err
		}
		for n, rec := range page.Records {
			switch err := d.one(ctx, rec); {
			case err == nil:
				delivered++
			case ctx.Err() != nil || errs.Is(err, errs.Unavailable) || errs.Is(err, errs.DeadlineExceeded):
				return delivered, pending + int64(len(page.Records)-n), err
			default:
				pending++
				refused = err
			}
		}
		if after = page.Next; after == nil {
			return delivered, pending, refused
		}
	}
}
