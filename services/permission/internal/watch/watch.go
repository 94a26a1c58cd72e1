// Package watch sees what has changed in what subjects may do, for whoever has
// decided something that still goes on.
//
// It asks the cache, which knows of every change that has returned, whether an
// organisation is where it was; only when it is not does it read, from the
// organisation's change log, which names the changes touched. So to watch what
// does not change costs a look into memory now and then, and no event can get
// lost: what was missed is seen by the next look.
//
// That a grant expires is no change of anything, but of what its subject may do
// all the same. It is told a moment after the second of its end, so that clocks
// that differ agree that it has come.
package watch

import (
	"context"
	"slices"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/cache"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// maxNames is how many names of an organisation are told at once; more of them
// are everything.
const maxNames = 500

// Changed is what has changed in an organisation.
type Changed struct {
	Organization string
	// Names are those touched, each once.
	Names []string
	// Everything says that any name may have been; Names is empty then.
	Everything bool
}

// clocks is how much those of replicas may differ.
const clocks = time.Second

// Config says what a Watcher needs, all of it.
type Config struct {
	Cache  *cache.Cache
	Store  kv.Store
	Grants *grant.Grants
	Clock  func() time.Time
}

// Watcher watches organisations for one caller, on one goroutine.
type Watcher struct {
	cfg   Config
	seen  map[string]revision.Revision
	begun map[string]bool // those that were told of at all
	// expired is up to when expired grants were told.
	expired time.Time
}

// New returns a watcher that follows nothing yet.
func New(cfg Config) *Watcher {
	return &Watcher{
		cfg: cfg, seen: make(map[string]revision.Revision), begun: make(map[string]bool),
		// Who begins to follow looks at everything, with clocks that may be behind.
		expired: cfg.Clock().Add(-2 * clocks),
	}
}

// Follow adds an organisation, as in "organizations/acme". To follow one again
// changes nothing.
func (w *Watcher) Follow(organization string) {
	if _, known := w.seen[organization]; !known {
		w.seen[organization] = revision.Revision{}
	}
}

// Look returns what has changed since the last look, and everything about
// organisations that are looked at for the first time. After an error the
// next look returns what this one would have.
func (w *Watcher) Look(ctx context.Context) ([]Changed, error) {
	var all []Changed
	seen := make(map[string]revision.Revision)
	for organization, last := range w.seen {
		now, err := w.cfg.Cache.View(ctx, organization, func(decide.Facts) error { return nil })
		if err != nil {
			return nil, err
		}
		if now == last && w.begun[organization] {
			continue
		}
		c := Changed{Organization: organization, Everything: true}
		if w.begun[organization] {
			if c, err = w.between(ctx, organization, last, now); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
		seen[organization] = now
	}
	for organization, now := range seen {
		w.seen[organization], w.begun[organization] = now, true
	}
	return all, nil
}

// LookExpired returns what Look does not see: whose grants have expired since
// the last time.
func (w *Watcher) LookExpired(ctx context.Context) ([]Changed, error) {
	until := w.cfg.Clock().Add(-clocks)
	if !until.After(w.expired) {
		return nil, nil
	}
	var subjects []string
	var complete bool
	err := w.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		subjects, complete, err = w.cfg.Grants.Expired(r, w.expired, until, maxNames)
		return err
	})
	if err != nil {
		return nil, err
	}
	w.expired = until
	var all []Changed
	if !complete {
		for organization := range w.begun {
			all = append(all, Changed{Organization: organization, Everything: true})
		}
		return all, nil
	}
	// Sorted, the names of one organisation are neighbours.
	for _, name := range subjects {
		organization := subject.OrganizationOf(name)
		if !w.begun[organization] {
			continue
		}
		if n := len(all); n == 0 || all[n-1].Organization != organization {
			all = append(all, Changed{Organization: organization})
		}
		all[len(all)-1].Names = append(all[len(all)-1].Names, name)
	}
	return all, nil
}

// between reads which names were touched behind one revision, up to another or
// a later one.
func (w *Watcher) between(ctx context.Context, organization string, last, now revision.Revision) (Changed, error) {
	everything := Changed{Organization: organization, Everything: true}
	if now.Number <= last.Number {
		return everything, nil // another history: the store was restored
	}
	var changes []revision.Change
	var complete bool
	err := w.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		// The last one known is read again: its mark tells the histories apart.
		changes, complete, err = revision.Since(r, organization, max(0, last.Number-1))
		return err
	})
	if err != nil {
		return Changed{}, err
	}
	if !complete || last.Number > 0 && (len(changes) == 0 || changes[0].Revision != last) {
		return everything, nil
	}
	var names []string
	for _, change := range changes {
		if change.Revision.Number > last.Number {
			names = append(names, change.Touched...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxNames {
		return everything, nil
	}
	return Changed{Organization: organization, Names: names}, nil
}
