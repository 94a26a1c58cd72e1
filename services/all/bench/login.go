package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"guildhall.dev/pkg/serve"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Login is `guildhall bench login`: AuthService.Login with right passwords, of
// many accounts and all from one address, beside the bare password hash of the
// same cost on all processors.
//
// A login hashes once, behind a count of attempts and before a session; the
// hash is all that it should cost. identity and permission are measured as one
// process, on a new bbolt file or in the database that the configuration names,
// which has to be empty.
type Login struct {
	Callers     int           `default:"64" help:"How many callers at a time."`
	Duration    time.Duration `default:"5s" help:"How long each round lasts."`
	Rounds      int           `default:"3" help:"Rounds of each measurement, in turns with the bare hash; the median counts."`
	Accounts    int           `default:"100" help:"Accounts that log in."`
	Connections int           `default:"4" help:"Connections that callers share."`
}

// The cost of a hash, which the measured process is given too.
const (
	hashTime   = 2
	hashMemory = 19456 // KiB
)

// Run measures.
func (l *Login) Run(ctx context.Context, env *serve.Env) error {
	if l.Callers < 1 || l.Rounds < 1 || l.Accounts < 1 || l.Connections < 1 || l.Duration <= 0 {
		return errors.New("bench: at least one caller, round, account and connection are needed")
	}
	r, end, err := newRun(ctx, env)
	if err != nil {
		return err
	}
	defer end()
	entry, err := l.open(r)
	if err != nil {
		return err
	}
	defer entry.close()
	result, err := l.measure(r, entry)
	if err != nil {
		return err
	}
	return l.report(r.out, entry, result)
}

// logins is what a run comes to.
type logins struct {
	bare, login figures
	idle, peak  float64 // resident bytes of the service
}

// measure takes the rounds in turns, so that both see the same machine.
func (l *Login) measure(r *run, e *entry) (logins, error) {
	fmt.Fprintf(r.notes, "measuring with %d callers\n", l.Callers)
	out := logins{idle: e.idle}
	var bare, login []figures
	for range l.Rounds {
		bare = append(bare, hashes(l.Duration))
		f, peak, err := l.round(r.ctx, e)
		if err != nil {
			return out, err
		}
		login, out.peak = append(login, f), max(out.peak, peak)
	}
	out.bare, out.login = median(bare), median(login)
	return out, nil
}

// hashes computes bare hashes on all processors for a while.
func hashes(duration time.Duration) figures {
	var n atomic.Int64
	var running sync.WaitGroup
	begun := time.Now()
	salt := make([]byte, 16)
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for time.Since(begun) < duration {
				argon2.IDKey([]byte(loginPassword), salt, hashTime, hashMemory, 1, 32)
				n.Add(1)
			}
		})
	}
	running.Wait()
	return figures{perSecond: float64(n.Load()) / time.Since(begun).Seconds()}
}

// round keeps all callers logging in for a while, and returns what they got and
// the most memory that the service took.
func (l *Login) round(ctx context.Context, e *entry) (figures, float64, error) {
	var stop atomic.Bool
	end := time.AfterFunc(l.Duration, func() { stop.Store(true) })
	defer end.Stop()
	watching, cancel := context.WithCancel(ctx)
	var peak float64
	var watch sync.WaitGroup
	watch.Go(func() { peak = e.watch(watching) })
	f, err := e.figures(ctx, l.Callers, 1, func(i int, r *rand.Rand, took func(time.Duration)) error {
		client := e.clients[i%len(e.clients)]
		for asked := false; !asked || !stop.Load(); asked = true {
			begun := time.Now()
			_, err := client.Login(ctx, &identityv1.LoginRequest{Organization: e.organization, Identifier: mail(r.IntN(l.Accounts)), Password: loginPassword})
			if err != nil {
				return fmt.Errorf("bench: a login with the right password: %w", err)
			}
			took(time.Since(begun))
		}
		return nil
	})
	cancel()
	watch.Wait()
	return f, peak, err
}

// watch returns the most memory that the process had until ctx ended.
func (p *process) watch(ctx context.Context) (peak float64) {
	tick := time.NewTicker(250 * time.Millisecond) // asking costs the process something, too
	defer tick.Stop()
	for {
		if now, err := p.resident(ctx); err == nil { // one that fails is at the end
			peak = max(peak, now)
		}
		select {
		case <-ctx.Done():
			return peak
		case <-tick.C:
		}
	}
}
