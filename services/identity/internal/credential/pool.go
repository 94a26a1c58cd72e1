package credential

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/errs"
)

// DefaultWait is how long a password waits for its turn to be hashed.
const DefaultWait = 2 * time.Second

// PoolConfig says how passwords are hashed. The zero PoolConfig is usable.
type PoolConfig struct {
	// Params are the costs of new hashes.
	Params Params
	// Workers is how many hashes are computed at once; zero is GOMAXPROCS.
	Workers int
	// Wait is how long a call queues; zero is DefaultWait.
	Wait time.Duration
	// Meter counts; nil counts nothing.
	Meter metric.Meter
}

// Pool hashes and compares passwords, a bounded number at once: each takes a
// core for milliseconds and Params.Memory of memory, so an unbounded number of
// logins would take the machine. Who waits too long is told to come back.
//
// It is safe for concurrent use. It keeps no goroutines: a caller works in its
// own once it has a slot.
type Pool struct {
	params Params
	wait   time.Duration
	slots  chan struct{}
	decoy  phc
	// slow is how long hashes take that are not as ours are now.
	slow pace

	hashes metric.Int64Counter
	busy   metric.Int64Counter
	queued metric.Float64Histogram
}

// NewPool returns a pool.
func NewPool(cfg PoolConfig) (*Pool, error) {
	if cfg.Params == (Params{}) {
		cfg.Params = DefaultParams()
	}
	if p := cfg.Params; p.Time == 0 || p.Memory == 0 || p.Threads == 0 || p.Time > maxTime || p.Memory > maxMemory || p.Threads > maxThreads {
		return nil, fmt.Errorf("credential: argon2id parameters out of bounds: %+v", p)
	}
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Wait <= 0 {
		cfg.Wait = DefaultWait
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.NewMeterProvider().Meter("")
	}
	p := &Pool{params: cfg.Params, wait: cfg.Wait, slots: make(chan struct{}, cfg.Workers), decoy: decoy(cfg.Params)}
	return p, p.instrument(cfg.Meter)
}

func (p *Pool) instrument(m metric.Meter) (err error) {
	if p.hashes, err = m.Int64Counter("guildhall.identity.password.hashes",
		metric.WithDescription("Password hashes computed.")); err != nil {
		return err
	}
	if p.busy, err = m.Int64Counter("guildhall.identity.password.busy",
		metric.WithDescription("Calls refused because the hashing queue was too long.")); err != nil {
		return err
	}
	p.queued, err = m.Float64Histogram("guildhall.identity.password.queue.duration", metric.WithUnit("s"),
		metric.WithDescription("How long calls waited for a hashing slot."))
	return err
}

// Hash returns the PHC string of a password. Errors are Exhausted
// (HASHING_BUSY), with when to come back, and those of ctx.
func (p *Pool) Hash(ctx context.Context, password string) (string, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	p.hashes.Add(ctx, 1)
	return newPHC(p.params, Normalize(password)).String(), nil
}

// Match returns the index of the first of the stored hashes that the password
// has, or -1. An empty one stands for an account that is not there, and costs
// as much as any: who calls with as many hashes for a known account as for an
// unknown one gives nothing away by time. Hashes behind a match are not
// computed.
//
// A hash that was imported, or made under other parameters, may take longer than
// one of now. While there are such, a password that matches none is answered
// after as long as they take, whoever was asked for.
//
// Errors are those of Hash, and Internal for a hash that does not parse.
func (p *Pool) Match(ctx context.Context, password string, stored ...string) (int, error) {
	hashes := make([]matcher, len(stored))
	for i, s := range stored {
		hashes[i] = own{p.decoy}
		if s == "" {
			continue
		}
		var err error
		if hashes[i], err = parse(s); err != nil {
			return -1, errs.From(err)
		}
	}
	release, err := p.acquire(ctx)
	if err != nil {
		return -1, err
	}
	begun := time.Now()
	i := p.compare(ctx, password, stored, hashes)
	took := time.Since(begun)
	release()
	if i < 0 {
		p.slow.even(ctx, took, slices.ContainsFunc(hashes, p.isSlow))
	}
	return i, nil
}

// isSlow reports whether a hash does not take the time of one of now.
func (p *Pool) isSlow(m matcher) bool {
	h, ours := m.(own)
	return !ours || h.Params != p.params
}

// compare does the work of Match in its slot.
func (p *Pool) compare(ctx context.Context, password string, stored []string, hashes []matcher) int {
	normal := Normalize(password)
	for i, h := range hashes {
		p.hashes.Add(ctx, 1)
		if h.matches(password, normal) && stored[i] != "" {
			return i
		}
	}
	return -1
}

// Outdated reports whether a stored hash was made under other parameters than
// those of the pool, so that the next login should replace it.
func (p *Pool) Outdated(stored string) bool {
	h, err := parsePHC(stored)
	return err != nil || h.Params != p.params || len(h.hash) != hashSize
}

// acquire waits for a slot.
func (p *Pool) acquire(ctx context.Context) (release func(), err error) {
	start := time.Now()
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	defer func() { p.queued.Record(ctx, time.Since(start).Seconds()) }()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		p.busy.Add(ctx, 1)
		return nil, errs.New(errs.Exhausted, "HASHING_BUSY", "too many people log in at the moment; try again",
			errs.RetryAfter(time.Second))
	}
}
