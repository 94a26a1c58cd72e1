package promise_test

import (
	"context"
	"flag"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// runFor is how long a run lasts: long enough in CI for each fault to strike,
// hours on a machine of its own.
var runFor = flag.Duration("promise.time", 25*time.Second, "how long the run under faults lasts")

// build builds the program, with more flags of go build.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "permission")
	command := exec.Command("go", append(append([]string{"build", "-o", binary}, flags...), "./cmd/permission")...)
	command.Dir = filepath.Join("..", "..", "permission")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// Grants, roles and suspensions change through three replicas while one thing
// after the other goes wrong; no answer of any replica breaks the promise.
func TestPromise_isKeptWhateverFails(t *testing.T) {
	c := startCluster(t, build(t))
	c.keepsPromise(*runFor, faults())
}

// keepsPromise drives the cluster for a while, one fault after the other.
func (c *cluster) keepsPromise(d time.Duration, faults []fault) {
	t := c.t
	t.Helper()
	w := newWorkload(c, 5)
	if err := w.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, 12)
	}()
	for i := 0; ctx.Err() == nil; i++ {
		f := faults[i%len(faults)]
		before := w.history.Now()
		f.strike(ctx, c)
		t.Logf("%s to %s: %s", before.Round(time.Millisecond), w.history.Now().Round(time.Millisecond), f.name)
		pause(ctx, leaseLength/4)
	}
	<-done
	violations, summary := w.report()
	t.Log(summary)
	for _, v := range violations[:min(len(violations), 10)] {
		t.Error(v)
	}
	if w.changed.Load() < 50 || w.checked.Load() < 1000 {
		t.Errorf("too little was tried to prove anything: %s", summary)
	}
}
