// Package evaluation drives what segments leave to the background: rules on
// their way through the customers there are, moments that rules wait for, and
// deleted segments that are not empty yet.
//
// Replicas drive at once and do not mind: each step is a transaction that looks
// again what there is to do, so that a step is made once and a restart goes on
// where the store says. What a step does is package segment's to know.
package evaluation

import (
	"context"
	"log/slog"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/segment"
)

const (
	// every is how often Run looks without being woken: how late a moment of a
	// rule, and a restarted evaluation, may begin.
	every = time.Second
	batch = 100

	stepAction = "identity.segments.evaluate"
)

// Config says what a Driver needs, all of it.
type Config struct {
	Store    kv.Store
	Journal  *change.Journal
	Segments *segment.Book
	Accounts *account.Book
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Driver drives. It is safe for concurrent use.
type Driver struct {
	cfg  Config
	wake chan struct{}
}

// New returns a driver. Start Run.
func New(cfg Config) *Driver { return &Driver{cfg: cfg, wake: make(chan struct{}, 1)} }

// Wake makes Run look now: something was begun.
func (d *Driver) Wake() {
	select {
	case d.wake <- struct{}{}:
	default: // it will look
	}
}

// Run drives until ctx ends.
func (d *Driver) Run(ctx context.Context) error {
	return rounds.Loop{Do: d.Once, Failed: "segments are not up to date; trying again", Logger: d.cfg.Logger, Every: every, Wake: d.wake}.Run(ctx)
}

// Once drives until there is nothing to do. Moments come first, since rights may
// end with them, and a large evaluation must not keep them waiting.
func (d *Driver) Once(ctx context.Context) error {
	for {
		if err := d.moments(ctx); err != nil {
			return err
		}
		evaluated, err := d.each(ctx, stepAction, d.cfg.Segments.Running, d.step)
		if err != nil {
			return err
		}
		emptied, err := d.each(ctx, "identity.segments.empty", d.cfg.Segments.Endings, d.cfg.Segments.Empty)
		if err != nil || evaluated+emptied == 0 {
			return err
		}
	}
}

// Leave drives the newest evaluation of a segment until all have left that are to
// leave by it; Run goes on from there. It does not mind Run, and others that do
// the same, driving at once.
func (d *Driver) Leave(ctx context.Context, name string) error {
	for {
		left := false
		err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			left, err = d.cfg.Segments.Left(r, name)
			return err
		})
		if err != nil || left {
			return err
		}
		err = change.DoSystem(ctx, d.cfg.Journal, stepAction, func(tx *change.Tx) error { return d.step(tx, name) })
		if err != nil {
			return err
		}
	}
}

func (d *Driver) step(tx *change.Tx, name string) error {
	return d.cfg.Segments.Step(tx, name, segment.Customers{Page: d.cfg.Accounts.Live, Named: d.cfg.Accounts.LiveOf})
}

// moments follows the moments that have come.
func (d *Driver) moments(ctx context.Context) error {
	for {
		n, err := d.each(ctx, "identity.segments.time", func(r kv.Reader, limit int) ([]string, error) {
			return d.cfg.Segments.Due(r, d.cfg.Clock(), limit)
		}, func(tx *change.Tx, customer string) error {
			rec, found, err := d.cfg.Accounts.Find(tx, customer)
			if err != nil {
				return err
			}
			var a *storev1.Account
			if found {
				a = rec.Value
			}
			return d.cfg.Segments.Come(tx, customer, a)
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// each does something once with each of what it finds, and returns how many that
// were. Each is a transaction of its own: a large one would lose against live
// traffic.
func (d *Driver) each(ctx context.Context, action string,
	find func(kv.Reader, int) ([]string, error), do func(*change.Tx, string) error,
) (int, error) {
	var names []string
	err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		names, err = find(r, batch)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := change.DoSystem(ctx, d.cfg.Journal, action, func(tx *change.Tx) error { return do(tx, name) }); err != nil {
			return 0, err
		}
	}
	return len(names), nil
}
