package lease

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/sequence"
)

// The tests of this package run in bubbles of testing/synctest: time is theirs,
// and a wait for it takes none.

const (
	acme  = "organizations/acme"
	truth = "truth" // (organisation) -> version
)

// world is a store that replicas share. What is true of an organisation is the
// number of its last version.
type world struct {
	t     *testing.T
	store kv.Store
	// delay is called at each moment of the replicas that join; nil is not.
	delay func(moment)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tables := slices.Concat(Tables(), sequence.Tables(), revision.Tables(), []string{truth})
	return &world{t: t, store: testkit.Store(t, "bolt", "permission", tables)}
}

// version reads what is true.
func version(ctx context.Context, s kv.Store, organization string) (n uint64, err error) {
	err = s.View(ctx, func(r kv.Reader) error {
		value, err := r.Get(truth, []byte(organization))
		if n = 0; len(value) == 8 {
			n = binary.BigEndian.Uint64(value)
		}
		return err
	})
	return n, err
}

// replica is a Keeper and the memory it keeps.
type replica struct {
	w      *world
	keeper *Keeper
	store  *faulty
	stop   func() // ends Run, gracefully

	forgetful atomic.Bool // what has changed cannot be applied

	mu     sync.Mutex
	memory map[string]uint64
}

// join starts a replica. rate is how fast its clock runs; 0 is right.
func (w *world) join(cfg Config, rate float64) *replica {
	w.t.Helper()
	r := w.idle(cfg, rate)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.keeper.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); r.store.thaw(); running.Wait() })
	w.t.Cleanup(r.stop)
	return r
}

// idle returns a replica that does not run.
func (w *world) idle(cfg Config, rate float64) *replica {
	w.t.Helper()
	r := &replica{w: w, store: &faulty{Store: w.store, delay: w.delay}, memory: make(map[string]uint64)}
	start := time.Now()
	cfg.Store, cfg.Apply = r.store, r.apply
	cfg.Clock = func() time.Time {
		if rate == 0 {
			return time.Now()
		}
		return start.Add(time.Duration(float64(time.Since(start)) * rate))
	}
	var err error
	if r.keeper, err = New(cfg); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// apply implements Config.Apply: it reads what has changed anew.
func (r *replica) apply(ctx context.Context, changes sequence.Changes) error {
	if r.forgetful.Load() {
		return errGone
	}
	organizations := changes.Organizations
	if changes.AnyLost() {
		organizations = []string{acme}
	}
	for _, o := range organizations {
		n, err := version(ctx, r.store, o)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.memory[o] = n
		r.mu.Unlock()
	}
	return nil
}

// check answers as a cache does: from memory while the lease is held, else from
// the store. remembered says which.
func (r *replica) check() (n uint64, remembered bool) {
	r.w.t.Helper()
	if r.keeper.Holds() {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.memory[acme], true
	}
	n, err := version(context.Background(), r.w.store, acme)
	if err != nil {
		r.w.t.Error(err)
	}
	return n, false
}

// commit makes a change and does not wait.
func (r *replica) commit(ctx context.Context) (n uint64, err error) {
	err = r.w.store.Update(ctx, func(tx kv.Tx) error {
		value, err := tx.Get(truth, []byte(acme))
		if err != nil {
			return err
		}
		if n = 1; len(value) == 8 {
			n = binary.BigEndian.Uint64(value) + 1
		}
		if err := tx.Put(truth, []byte(acme), binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
		v, err := revision.Bump(tx, acme, time.Now(), acme+"/staff/sue")
		if err != nil {
			return err
		}
		return sequence.Append(tx, map[string]revision.Revision{acme: v})
	})
	return n, err
}

// change makes a change and returns, with the time it took, when it is in
// effect.
func (r *replica) change() (n uint64, took time.Duration) {
	r.w.t.Helper()
	n, err := r.commit(context.Background())
	if err != nil {
		r.w.t.Fatal(err)
	}
	start := time.Now()
	if err := r.keeper.Settle(context.Background()); err != nil {
		r.w.t.Fatal(err)
	}
	return n, time.Since(start)
}

// wantAtLeast fails when a replica answers what was true before the version.
func (r *replica) wantAtLeast(n uint64) {
	r.w.t.Helper()
	if got, remembered := r.check(); got < n {
		r.w.t.Errorf("version %d after %d had returned, from memory %t", got, n, remembered)
	}
}

// rows returns the ids of the leases in the store.
func (w *world) rows() (ids []string) {
	w.t.Helper()
	if err := w.store.View(context.Background(), func(r kv.Reader) error {
		rows, err := readRows(r)
		for _, l := range rows {
			ids = append(ids, l.id)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// await lets time pass until the condition holds.
func (w *world) await(condition func() bool) {
	w.t.Helper()
	for range 100_000 {
		if condition() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	w.t.Fatal("what was waited for did not come")
}

// moment is where an operation on a store stands.
type moment int

const (
	beforeView moment = iota
	afterView
	beforeUpdate
	afterUpdate
	moments
)

// faulty is a replica's way to the store, which a test may cut or hold up.
type faulty struct {
	kv.Store
	gone  atomic.Bool
	delay func(moment)

	mu     sync.Mutex
	frozen chan struct{} // closed by thaw; nil while nothing is frozen
	at     moment        // where to stop; moments is everywhere
}

var errGone = errors.New("the store is gone")

// freeze stops whoever comes by the moment, until thaw, and lets those go on
// who stand at another.
func (f *faulty) freeze(at moment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen != nil {
		close(f.frozen)
	}
	f.frozen, f.at = make(chan struct{}), at
}

func (f *faulty) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen != nil {
		close(f.frozen)
		f.frozen = nil
	}
}

func (f *faulty) pass(at moment) {
	if f.delay != nil {
		f.delay(at)
	}
	f.mu.Lock()
	frozen, stop := f.frozen, f.at == moments || f.at == at
	f.mu.Unlock()
	if frozen != nil && stop {
		<-frozen
	}
}

func (f *faulty) View(_ context.Context, fn func(kv.Reader) error) error {
	return f.do(beforeView, afterView, func() error { return f.Store.View(context.Background(), fn) })
}

func (f *faulty) Update(_ context.Context, fn func(kv.Tx) error) error {
	return f.do(beforeUpdate, afterUpdate, func() error { return f.Store.Update(context.Background(), fn) })
}

// do ignores the ends of contexts: a process that is frozen does not notice.
func (f *faulty) do(before, after moment, run func() error) error {
	f.pass(before)
	if f.gone.Load() {
		return errGone
	}
	err := run()
	f.pass(after)
	return err
}
