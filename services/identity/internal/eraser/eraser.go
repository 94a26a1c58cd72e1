// Package eraser erases customers whose requests for it are due: it ends the
// account, has each service of the suite erase what it keeps, and keeps their
// receipts with the request, as the proof.
//
// Which request may begin is package rights' to know. The account is a tombstone
// from the transaction in which an erasure begins; the rest may take as long as the
// slowest service, and goes on where the store says when a process ends or a service
// is away. Replicas drive at once and do not mind: a service returns the same
// receipt to each.
package eraser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/rights"
)

const (
	// every is how late an erasure may begin.
	every = time.Second
	// slowest is how long it rests at most after a service did not answer.
	slowest = time.Minute
	// patience bounds one call of a service, which goes on with the next.
	patience = 30 * time.Second
	batch    = 50
)

// Service is a service of the suite that keeps data of customers.
type Service struct {
	// Name is as receipts have it.
	Name string
	// Erase erases what it keeps of a customer, and returns its receipt, the same
	// one each time.
	Erase func(ctx context.Context, customer string) (*subjectv1.ErasureReceipt, error)
}

// Config says what a Driver needs, all of it.
type Config struct {
	Store    kv.Store
	Journal  *change.Journal
	Accounts *account.Book
	Requests *rights.Book
	// Standing tells permission that an account may not act any more.
	Standing func(ctx context.Context, account string) error
	// Services are all that keep data of customers. The last one hears from the others
	// of what ends with them, and is asked when they are done.
	Services []Service
	Logger   *slog.Logger
	Meter    metric.Meter
	Clock    func() time.Time
}

// Driver drives. It is safe for concurrent use.
type Driver struct {
	cfg      Config
	services []string
	overdue  atomic.Int64
}

// New returns a driver. Start Run.
func New(cfg Config) (*Driver, error) {
	d := &Driver{cfg: cfg}
	for _, s := range cfg.Services {
		d.services = append(d.services, s.Name)
	}
	_, err := cfg.Meter.Int64ObservableGauge("guildhall.identity.data_subject_requests.overdue",
		metric.WithDescription("Requests of customers about their own data that are open and past the time that the law gives, as of the last look."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(d.overdue.Load())
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("metric of data subject requests: %w", err)
	}
	return d, nil
}

// Run drives until ctx ends.
func (d *Driver) Run(ctx context.Context) error {
	return rounds.Loop{Do: d.Once, Failed: "an erasure is not complete; trying again", Logger: d.cfg.Logger, Every: every, Most: slowest}.Run(ctx)
}

// Once begins the erasures that are due, goes on with those that have begun, and
// counts the requests that are overdue. One that fails keeps no other waiting.
func (d *Driver) Once(ctx context.Context) error {
	var due []string
	if err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		now := d.cfg.Clock()
		late, err := d.cfg.Requests.Overdue(r, now)
		if err != nil {
			return err
		}
		d.overdue.Store(int64(late))
		due, err = d.cfg.Requests.Due(r, now, batch)
		return err
	}); err != nil {
		return err
	}
	var all []error
	for _, name := range due {
		all = append(all, d.begin(ctx, name))
	}
	for after, more := []byte(nil), true; more; more = after != nil {
		var running []string
		if err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			running, after, err = d.cfg.Requests.Running(r, after, batch)
			return err
		}); err != nil {
			return errors.Join(append(all, err)...)
		}
		for _, name := range running {
			all = append(all, d.run(ctx, name))
		}
	}
	return errors.Join(all...)
}

// begin makes the account a tombstone: from here on there is no way back.
func (d *Driver) begin(ctx context.Context, name string) error {
	return change.DoSystem(ctx, d.cfg.Journal, "identity.dataSubjectRequests.erase", func(tx *change.Tx) error {
		ready, err := d.cfg.Requests.Ready(tx, name, tx.Time)
		if err != nil {
			return err
		}
		busy, err := d.cfg.Accounts.Merging(tx, rights.CustomerOf(name))
		if err != nil {
			return err
		}
		if !ready || busy { // withdrawn, held, a merge moves, or another replica was quicker
			tx.Unchanged()
			return nil
		}
		if err := d.cfg.Accounts.Erase(tx, rights.CustomerOf(name)); err != nil {
			return err
		}
		return d.cfg.Requests.Begin(tx, name)
	})
}

// run asks each service that has not given its receipt.
func (d *Driver) run(ctx context.Context, name string) error {
	var q *identityv1.DataSubjectRequest
	if err := d.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		q, err = d.cfg.Requests.Get(r, name)
		return err
	}); err != nil {
		return err
	}
	customer := rights.CustomerOf(name)
	if err := d.cfg.Standing(ctx, customer); err != nil {
		return err
	}
	var all []error
	for i, s := range d.cfg.Services {
		if rights.Received(q, s.Name) {
			continue
		}
		if last := i == len(d.cfg.Services)-1; last && errors.Join(all...) != nil {
			break // it hears of what ends in the others
		}
		all = append(all, d.ask(ctx, name, customer, s))
	}
	return errors.Join(all...)
}

func (d *Driver) ask(ctx context.Context, name, customer string, s Service) error {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	receipt, err := s.Erase(bounded, customer)
	if err != nil {
		return fmt.Errorf("service %s: %w", s.Name, err)
	}
	if receipt.GetService() != s.Name || receipt.GetSubject() != customer || receipt.GetCompleteTime() == nil {
		return fmt.Errorf("service %s: the receipt is not one of it for this customer", s.Name)
	}
	return change.DoSystem(ctx, d.cfg.Journal, "identity.dataSubjectRequests.receive", func(tx *change.Tx) error {
		return d.cfg.Requests.Receive(tx, name, receipt, d.services)
	})
}
