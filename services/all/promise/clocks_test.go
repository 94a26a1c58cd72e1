package promise_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readers are the places where the service gets its clocks from, and the words
// there that name the true one.
var readers = map[string]string{
	"../pkg/serve/unit.go":                "Clock: time.Now",
	"permission/internal/lease/keeper.go": "cfg.Clock = time.Now",
}

// wrongClock is a file that is added to the package of each reader: the clock of
// a process depends on the name that it was started by. A time with its
// monotonic reading has that in its second word: Add moves both, and then the
// second word is set right. There is no way around unsafe, for nobody but the
// system makes such times.
const wrongClock = `package %s

import (
	"os"
	"path/filepath"
	"time"
	"unsafe"
)

var begun = time.Now()

func wrongClock() time.Time {
	passed := time.Since(begun)
	var wall, mono time.Duration // what is added to each
	switch filepath.Base(os.Args[0]) {
	case "ahead":
		wall = time.Hour
	case "slow": // within the one part in sixteen that package lease allows for
		mono = -passed / 20
		wall = mono - passed/(3*time.Second)%%2*10*time.Minute
	}
	t := time.Now().Add(wall)
	*(*int64)(unsafe.Add(unsafe.Pointer(&t), 8)) += int64(mono - wall)
	return t
}
`

// withWrongClocks returns what makes go build give the service these clocks.
func withWrongClocks(t *testing.T) string {
	t.Helper()
	files := make(map[string][]byte)
	for file, words := range readers {
		path := source(t, filepath.FromSlash(file))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), words) != 1 {
			t.Fatalf("%s does not say %q once: name the clock's present place", file, words)
		}
		wrong := strings.Replace(words, "time.Now", "wrongClock", 1)
		files[path] = []byte(strings.Replace(string(text), words, wrong, 1) + "\nvar _ = time.Now // or the import is one too many\n")
		folder := filepath.Dir(path)
		files[filepath.Join(folder, "wrongclock.go")] = fmt.Appendf(nil, wrongClock, filepath.Base(folder))
	}
	return overlay(t, files)
}

// TestPromise_isKeptByClocksThatDiffer: leases rest on the rates of clocks, and
// not on what they show. One replica's clock is an hour ahead; one's runs slow,
// and jumps to and fro by ten minutes; the third has the true one.
func TestPromise_isKeptByClocksThatDiffer(t *testing.T) {
	binary := build(t, "-overlay="+withWrongClocks(t))
	names := [3]string{"ahead", "slow", "true"}
	c := startCluster(t, binary, func(c *cluster) {
		for i, name := range names {
			c.binaries[i] = filepath.Join(filepath.Dir(binary), name)
			if err := os.Link(binary, c.binaries[i]); err != nil {
				t.Fatal(err)
			}
		}
	})
	var strikes []fault
	for i, name := range names {
		r := c.replicas[i]
		strikes = append(strikes,
			fault{"the replica with the clock " + name + " loses PostgreSQL past its lease", func(ctx context.Context, _ *cluster) {
				r.loseDatabase(ctx, leaseLength*5/2)
			}},
			fault{"it is stopped past its lease and goes on", func(ctx context.Context, _ *cluster) { r.freeze(ctx, leaseLength*5/2) }},
			fault{"it is killed and started again", func(ctx context.Context, _ *cluster) { r.restart(ctx, leaseLength/2) }},
		)
	}
	c.keepsPromise(min(*runFor, 20*time.Second), strikes)
}
