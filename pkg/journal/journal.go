// Package journal opens what every service with a store has: the store with
// its tables, the feed, the audit log, the change journal that ties the three
// together, and the codec of page tokens.
//
// It exists so that four services are wired in one way. It holds no rule and
// knows no service; a service that needs less opens the parts itself.
package journal

import (
	"context"
	"slices"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/serve"
)

// pageTokens is the purpose of the key that seals page tokens.
const pageTokens = "page tokens"

// Journal is the open parts. Its fields are read-only.
type Journal struct {
	Store   kv.Store
	Changes *change.Journal
	Feed    *feed.Log
	Audit   *audit.Log
	Pages   *page.Codec
}

// Open opens the service's store with its tables and those of the journal, and
// all that is kept in it. Give it the kit of Build; it calls Kit.OpenStore.
func Open(ctx context.Context, kit *serve.Kit, tables []string, migrations []kv.Migration) (*Journal, error) {
	store, err := kit.OpenStore(ctx, slices.Concat(kv.RawTables(), change.Tables(), tables), migrations)
	if err != nil {
		return nil, err
	}
	return New(ctx, kit, store)
}

// New is Open over a store that is already open, with the tables of Tables.
func New(ctx context.Context, kit *serve.Kit, store kv.Store) (*Journal, error) {
	j := &Journal{Store: store}
	var err error
	if j.Pages, err = page.NewCodec(kit.Ring.Derive(pageTokens)); err != nil {
		return nil, err
	}
	j.Feed, err = feed.Open(ctx, feed.Config{
		Service: kit.Name, Store: store, Redis: kit.Redis, Logger: kit.Logger, Clock: kit.Clock,
	})
	if err != nil {
		return nil, err
	}
	j.Audit, err = audit.New(audit.Config{
		Store: store, Pages: j.Pages, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
	if err != nil {
		return nil, err
	}
	j.Changes, err = change.NewJournal(change.Config{
		Service: kit.Name, Store: store, Feed: j.Feed, Audit: j.Audit, Logger: kit.Logger, Clock: kit.Clock,
	})
	return j, err
}

// Run does the background work of all parts until ctx ends.
func (j *Journal) Run(ctx context.Context) error { return j.Changes.Run(ctx) }

// Ready reports whether the store can serve.
func (j *Journal) Ready(ctx context.Context) error { return j.Store.Ping(ctx) }

// KeepRefusal keeps in the audit log that a handler refused an act on the named
// resource, if err says so (errs.Denied). What the interceptors refuse reaches
// no handler, and is kept by OnDenied.
func (j *Journal) KeepRefusal(ctx context.Context, name string, err error) {
	if errs.Is(err, errs.Denied) {
		j.Audit.Denied(ctx, name, errs.ReasonOf(err))
	}
}

// OnDenied keeps a refused call in the audit log; see serve.DenialKeeper.
func (j *Journal) OnDenied(ctx context.Context, r authz.Request, method string) {
	j.Audit.OnDenied(ctx, r, method)
}
