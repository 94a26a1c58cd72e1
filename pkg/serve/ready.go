package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// checkTimeout bounds one readiness check.
const checkTimeout = time.Second

// check is one thing readiness depends on.
type check struct {
	name string
	ask  func(ctx context.Context) error
	// optional is reported when it fails and does not stop readiness.
	optional bool
	// health names the gRPC services whose health it decides.
	health []string
}

// finding is what a check said last.
type finding struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Optional bool   `json:"optional,omitempty"`
	Error    string `json:"error,omitempty"`
}

// report is what /readyz shows.
type report struct {
	Ready  bool      `json:"ready"`
	Checks []finding `json:"checks"`
}

// String names what is missing, one line.
func (r *report) String() string {
	var missing []string
	for _, f := range r.Checks {
		if !f.OK && !f.Optional {
			missing = append(missing, f.Name+": "+f.Error)
		}
	}
	return strings.Join(missing, "; ")
}

// readiness asks all checks, again and again, and remembers the answers, so
// that a storm of probes costs the services nothing.
type readiness struct {
	checks   []check
	last     atomic.Pointer[report]
	draining atomic.Bool
}

// poll asks every check once, all at the same time.
func (r *readiness) poll(ctx context.Context) *report {
	found := make([]finding, len(r.checks))
	var wg sync.WaitGroup
	for i, c := range r.checks {
		wg.Go(func() {
			found[i] = finding{Name: c.name, OK: true, Optional: c.optional}
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			if err := c.ask(ctx); err != nil {
				found[i].OK, found[i].Error = false, err.Error()
			}
		})
	}
	wg.Wait()
	now := &report{Ready: true, Checks: found}
	for _, f := range found {
		now.Ready = now.Ready && (f.OK || f.Optional)
	}
	r.last.Store(now)
	return now
}

// current returns the last report; a draining process is never ready.
func (r *readiness) current() *report {
	last := r.last.Load()
	if last == nil {
		last = &report{Checks: []finding{{Name: "process", Error: "is starting"}}}
	}
	if !r.draining.Load() {
		return last
	}
	return &report{Checks: append([]finding{{Name: "process", Error: "is draining"}}, last.Checks...)}
}

// ServeHTTP answers /readyz: 200 or 503, in text, or in JSON when asked for.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := r.current()
	code := http.StatusOK
	if !now.Ready {
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	if strings.Contains(req.Header.Get("Accept"), "json") || req.URL.Query().Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(now) // the prober is gone: nobody to tell
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	for _, f := range now.Checks {
		state := "ok"
		switch {
		case !f.OK && f.Optional:
			state = "degraded: " + f.Error
		case !f.OK:
			state = "failing: " + f.Error
		}
		fmt.Fprintf(w, "%s: %s\n", f.Name, state)
	}
}

// checksOf lists what the readiness of the units depends on.
func checksOf(units []*unit, health map[string][]string, redis *redisPool) []check {
	var checks []check
	for _, u := range units {
		checks = append(checks, check{name: u.Name, health: health[u.Name], ask: func(ctx context.Context) error {
			err := u.service.Ready(ctx)
			if err == nil && u.raw != nil {
				err = u.raw.Ping(ctx)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("gives no answer within %s: %w", checkTimeout, err)
			}
			return err
		}})
	}
	for name, client := range redis.all() {
		checks = append(checks, check{name: name, optional: true, ask: func(ctx context.Context) error {
			return client.Ping(ctx).Err()
		}})
	}
	return checks
}
