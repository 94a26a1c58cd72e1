// Package change is how a service changes anything: one transaction that holds
// the change, its audit entry, its event and the answer to a retry.
//
//	return change.Do(ctx, s.journal, req, func(tx *change.Tx) (*groupchatv1.Group, error) {
//		g := &groupchatv1.Group{Name: …, CreateTime: timestamppb.New(tx.Time)}
//		if _, err := s.groups.Create(tx, g); err != nil {
//			return nil, err
//		}
//		tx.Record(change.Change{Resource: g.Name, Type: "guildhall.groupchat.group.created.v1"})
//		return g, nil
//	})
//
// The four belong together: a change without its entry was not audited, one
// without its event leaves consumers wrong for ever, and one without its
// answer is made twice by a client whose network failed. A handler that uses
// Do cannot forget one of them.
//
// It is not a layer: it knows no resource and decides nothing about one.
package change

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/mark"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// DefaultKeep is how long the answer to a request id is kept.
const DefaultKeep = 24 * time.Hour

// Config says what a Journal needs. Service, Store, Feed and Audit are
// required.
type Config struct {
	// Service is the short name of the service, as in "groupchat".
	Service string
	// Store holds the service's tables and those of Tables.
	Store kv.Store
	Feed  *feed.Log
	Audit *audit.Log
	// Keep is how long a retry under a request id gets the first answer; zero
	// is DefaultKeep.
	Keep time.Duration
	// Observe is given each event, in the transaction of the change that it tells of,
	// which it can fail: for what the service derives from its own events. It is pure
	// like any closure of Update. Nil observes nothing.
	Observe func(tx kv.Tx, e *eventv1.Event) error
	// Logger is told of faults of the background work; nil is silent.
	Logger *slog.Logger
	// Clock is the time of changes; nil is time.Now.
	Clock func() time.Time
}

// Journal is what the mutations of one service go through. It is safe for
// concurrent use.
type Journal struct {
	cfg   Config
	marks mark.Reader
}

// NewJournal returns the journal of a service. It does no I/O.
func NewJournal(cfg Config) (*Journal, error) {
	if cfg.Service == "" || cfg.Store == nil || cfg.Feed == nil || cfg.Audit == nil {
		return nil, errors.New("change: a journal needs a service, a store, a feed and an audit log")
	}
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Journal{cfg: cfg}, nil
}

// Tables returns the raw tables that a journal, its feed and its audit log
// need, for kv.Options.
func Tables() []string {
	return slices.Concat([]string{tableAnswers, tableExpiries}, feed.Tables(), audit.Tables())
}

// Run does the background work of the journal, its feed and its audit log
// until ctx ends. Run it once per process and store.
func (j *Journal) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return j.cfg.Feed.Run(ctx) })
	g.Go(func() error { return j.cfg.Audit.Run(ctx) })
	g.Go(func() error { return j.sweepLoop(ctx) })
	return g.Wait()
}

func (j *Journal) now() time.Time { return j.cfg.Clock().UTC() }

// internal is a mistake in our code, found at run time.
func internal(format string, args ...any) error {
	return errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(fmt.Errorf("change: "+format, args...)))
}
