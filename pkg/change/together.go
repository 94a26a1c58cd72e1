package change

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
)

// Bounds of what goes into one transaction together: its size, and how long
// its callers wait for it when they have more time than sense.
const (
	maxTogether  = 64
	togetherTime = 30 * time.Second
)

// Lanes let changes that would conflict with each other, as those that take
// the next number of one sequence, go into one transaction instead of losing
// to each other in several. Whatever comes while a transaction of the lane is
// under way waits and goes into the next one. No timer: a lone change does not
// wait for company.
//
// A Lanes is safe for concurrent use. It belongs to one process: replicas
// still meet in the store.
type Lanes struct {
	j *Journal

	mu    sync.Mutex
	lanes map[string]*lane // those in use, by key
}

// NewLanes returns lanes to the journal. It starts nothing.
func NewLanes(j *Journal) *Lanes {
	return &Lanes{j: j, lanes: make(map[string]*lane)}
}

// lane is the queue of one key. Its first caller leads: it runs a transaction
// for itself and others, and then hands the lead on.
type lane struct {
	waiting []*passenger
}

// passenger is one caller of DoTogether.
type passenger struct {
	run func(tx kv.Tx) error
	// fate gets one value: what became of the change, or one of the next two.
	fate chan error
}

var (
	errLead  = errors.New("lead the next transaction")
	errAlone = errors.New("run in a transaction of your own")
)

// DoTogether is Do in the key's lane. All that Do promises holds for each
// change by itself: one that fails takes no other with it.
func DoTogether[Q, R proto.Message](ctx context.Context, l *Lanes, key string, req Q, fn func(tx *Tx) (R, error)) (R, error) {
	var none R
	a, err := newAct(ctx, l.j, req, fn)
	if err != nil {
		return none, err
	}
	if err := l.ride(ctx, key, a.run); err != nil {
		return none, err
	}
	if a.events {
		l.j.cfg.Feed.Notify()
	}
	return a.resp, nil
}

// Update is Store.Update in the key's lane, for what leaves no trace: neither
// audit entry nor event nor answer. An error of fn comes back unchanged and
// takes no other with it, but costs its company another run of theirs: what is
// no fault is better told by a variable of the closure's.
func (l *Lanes) Update(ctx context.Context, key string, fn func(tx kv.Tx) error) error {
	return l.ride(ctx, key, fn)
}

// ride carries out run in some transaction of the lane.
func (l *Lanes) ride(ctx context.Context, key string, run func(kv.Tx) error) error {
	p := &passenger{run: run, fate: make(chan error, 1)}
	err := l.board(ctx, key, p)
	if err == errLead {
		err = l.lead(ctx, key, p)
	}
	if err == errAlone {
		return l.j.cfg.Store.Update(ctx, run)
	}
	return err
}

// lead runs the lane's next transaction, of p and its company.
func (l *Lanes) lead(ctx context.Context, key string, p *passenger) error {
	defer l.handOver(key)
	l.carry(ctx, l.depart(key, p))
	return <-p.fate
}

// board joins the lane and waits for what becomes of p.
func (l *Lanes) board(ctx context.Context, key string, p *passenger) error {
	l.mu.Lock()
	q := l.lanes[key]
	if q == nil {
		l.lanes[key] = &lane{}
		l.mu.Unlock()
		return errLead
	}
	q.waiting = append(q.waiting, p)
	l.mu.Unlock()
	select {
	case err := <-p.fate:
		return err
	case <-ctx.Done():
	}
	if l.leave(key, p) {
		return context.Cause(ctx)
	}
	return <-p.fate // it departed: only the store knows how that ends
}

// leave takes p out of the queue, and reports whether it was still there.
func (l *Lanes) leave(key string, p *passenger) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.lanes[key]
	if q == nil {
		return false
	}
	for i, other := range q.waiting {
		if other == p {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// depart takes p's company out of the queue.
func (l *Lanes) depart(key string, p *passenger) []*passenger {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.lanes[key]
	n := min(len(q.waiting), maxTogether-1)
	batch := append([]*passenger{p}, q.waiting[:n]...)
	q.waiting = append([]*passenger(nil), q.waiting[n:]...)
	return batch
}

// handOver lets the next in the queue lead, or ends the lane.
func (l *Lanes) handOver(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.lanes[key]
	if len(q.waiting) == 0 {
		delete(l.lanes, key)
		return
	}
	next := q.waiting[0]
	q.waiting = q.waiting[1:]
	next.fate <- errLead
}

// carry runs the batch in one transaction and tells all their fate. It goes on
// when the leader's own ctx ends: the others' has not. Those whose closure
// fails are sent to do it alone, where the failure is their own, and the others
// go without them.
func (l *Lanes) carry(ctx context.Context, batch []*passenger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), togetherTime)
	defer cancel()
	fate := errAlone // also when the engine panics
	defer func() {
		for _, p := range batch {
			p.fate <- fate
		}
	}()
	for len(batch) > 0 {
		var well, unwell []*passenger
		err := l.j.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			well, unwell = nil, nil
			for _, p := range batch {
				if succeeds(p, tx) {
					well = append(well, p)
				} else {
					unwell = append(unwell, p) // no matter what it wrote: none of this stays
				}
			}
			if len(unwell) > 0 {
				return errAlone
			}
			return nil
		})
		if err != errAlone {
			fate = err
			return
		}
		for _, p := range unwell {
			p.fate <- errAlone
		}
		batch = well
	}
}

// succeeds runs the closure of a passenger. A panic in it is for its own
// caller to meet.
func succeeds(p *passenger, tx kv.Tx) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return p.run(tx) == nil
}
