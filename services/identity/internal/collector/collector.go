// Package collector puts together what the services of the suite keep of a customer
// who asks to see it: page by page, service after service, into a takeout.
//
// Which requests want it is package rights' to know, and where a takeout goes on is
// package takeout's. A process may end and a service be away at any time: the next
// round goes on where the store says. Replicas collect at once and do not mind: of
// two that bring the same page, one adds it.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/rights"
	"guildhall.dev/services/identity/internal/takeout"
)

const (
	// every is how late a round may begin.
	every = time.Second
	// slowest is how long it rests at most after a service did not answer.
	slowest = time.Minute
	// patience bounds one call of a service.
	patience = 30 * time.Second
	batch    = 50
	pageSize = 500
)

// Service is a service of the suite that keeps data of customers.
type Service struct {
	// Name is its short name, as in "permission".
	Name string
	// Export returns a page of what it keeps of a customer.
	Export func(ctx context.Context, req *subjectv1.ExportSubjectRequest) (*subjectv1.ExportSubjectResponse, error)
}

// Config says what a Collector needs, all of it.
type Config struct {
	Store    kv.Store
	Journal  *change.Journal
	Requests *rights.Book
	Takeouts *takeout.Book
	// Services give in this order.
	Services []Service
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Collector collects. It is safe for concurrent use.
type Collector struct {
	cfg      Config
	services []string
}

// New returns a collector. Start Run.
func New(cfg Config) *Collector {
	c := &Collector{cfg: cfg}
	for _, s := range cfg.Services {
		c.services = append(c.services, s.Name)
	}
	return c
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	return rounds.Loop{
		Do: c.Once, Failed: "what is kept of a customer is not all put together; trying again", Logger: c.cfg.Logger, Every: every, Most: slowest,
	}.Run(ctx)
}

// Once puts together what is asked for, and removes what is not asked for any more.
// One that fails keeps no other waiting.
func (c *Collector) Once(ctx context.Context) error {
	return errors.Join(
		c.each(ctx, c.cfg.Requests.ToCollect, c.collect),
		c.each(ctx, c.cfg.Takeouts.Growing, c.tidy),
	)
}

// each calls do with all names that list finds.
func (c *Collector) each(ctx context.Context, list func(r kv.Reader, after []byte, limit int) ([]string, []byte, error), do func(context.Context, string) error) error {
	var all []error
	for after, more := []byte(nil), true; more; more = after != nil {
		var names []string
		if err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			names, after, err = list(r, after, batch)
			return err
		}); err != nil {
			return errors.Join(append(all, err)...)
		}
		for _, name := range names {
			all = append(all, do(ctx, name))
		}
	}
	return errors.Join(all...)
}

// collect asks the services for page after page until there is no more, or another
// replica is ahead.
func (c *Collector) collect(ctx context.Context, request string) error {
	var at *storev1.Takeout
	if err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		at, err = c.cfg.Takeouts.Get(r, request, c.cfg.Clock())
		return err
	}); err != nil {
		return err
	}
	for !takeout.Ready(at) {
		s, found := c.next(at)
		if !found {
			// A service that was the last one of another version is none any more.
			return c.restart(ctx, at)
		}
		page, err := c.ask(ctx, s, at)
		if err != nil {
			err = fmt.Errorf("service %s: %w", s.Name, err)
		}
		if strings.HasPrefix(errs.ReasonOf(err), "PAGE_TOKEN_") {
			// It does not know its own token any more, being another version.
			return errors.Join(err, c.restart(ctx, at))
		}
		if err != nil {
			return err
		}
		if at, err = c.add(ctx, at, s.Name, page); err != nil || at == nil {
			return err
		}
	}
	return nil
}

// next returns the service that is to give the next page, if one is left.
func (c *Collector) next(at *storev1.Takeout) (Service, bool) {
	for _, s := range c.cfg.Services {
		if !slices.Contains(at.GetServices(), s.Name) {
			return s, true
		}
	}
	return Service{}, false
}

func (c *Collector) restart(ctx context.Context, at *storev1.Takeout) error {
	return c.cfg.Store.Update(ctx, func(tx kv.Tx) error { return c.cfg.Takeouts.Restart(tx, at) })
}

func (c *Collector) ask(ctx context.Context, s Service, at *storev1.Takeout) (*subjectv1.ExportSubjectResponse, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Export(bounded, &subjectv1.ExportSubjectRequest{
		Subject: rights.CustomerOf(at.GetRequest()), PageSize: pageSize, PageToken: at.GetPageToken(),
	})
}

// add adds a page, and returns how far the takeout is; nil when there is nothing to do
// for this replica any more.
func (c *Collector) add(ctx context.Context, at *storev1.Takeout, service string, page *subjectv1.ExportSubjectResponse) (now *storev1.Takeout, err error) {
	err = change.DoSystem(ctx, c.cfg.Journal, "identity.dataSubjectRequests.collect", func(tx *change.Tx) error {
		tx.Unchanged() // unless it was the last
		now = nil
		q, err := c.cfg.Requests.Get(tx, at.GetRequest())
		if err != nil || !rights.Collecting(q) {
			return ignoreGone(err)
		}
		t, added, err := c.cfg.Takeouts.Add(tx, at, service, page, c.services, tx.Time)
		if err != nil || !added {
			return err
		}
		now = t
		if !takeout.Ready(t) {
			return nil
		}
		return c.cfg.Requests.Collected(tx, at.GetRequest(), partsOf(t), t.GetExpireTime().AsTime())
	})
	return now, err
}

// ignoreGone takes a request that is gone for one that nobody makes any more.
func ignoreGone(err error) error {
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

func partsOf(t *storev1.Takeout) (out []*identityv1.DataSubjectRequest_Access_Part) {
	for _, p := range t.GetParts() {
		out = append(out, &identityv1.DataSubjectRequest_Access_Part{Service: p.GetService(), Kind: p.GetKind(), Count: p.GetCount()})
	}
	return out
}

// tidy removes a takeout that is not ready and that nobody asks for any more: the
// request was withdrawn or refused.
func (c *Collector) tidy(ctx context.Context, request string) error {
	var asked bool
	if err := c.cfg.Store.View(ctx, func(r kv.Reader) error {
		q, err := c.cfg.Requests.Get(r, request)
		asked = rights.Collecting(q)
		return ignoreGone(err)
	}); err != nil || asked {
		return err
	}
	return c.remove(ctx, request)
}

func (c *Collector) remove(ctx context.Context, request string) error {
	for more := true; more; {
		if err := c.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
			more, err = c.cfg.Takeouts.Remove(tx, request)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
