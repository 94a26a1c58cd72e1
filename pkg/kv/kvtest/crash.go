package kvtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"guildhall.dev/pkg/kv"
)

// OpenFunc opens the store with Tables at a URL.
type OpenFunc func(ctx context.Context, url string) (kv.Store, error)

// The environment by which Crash talks to the process it kills.
const (
	crashURL   = "GUILDHALL_KVTEST_CRASH_URL"
	crashRound = "GUILDHALL_KVTEST_CRASH_ROUND"
)

// CrashChild must be the first call of TestMain in a package that uses Crash:
//
//	if kvtest.CrashChild(open) {
//		return
//	}
//
// In the process that Crash starts it writes until it is killed, and returns
// true; elsewhere it does nothing.
func CrashChild(open OpenFunc) bool {
	url := os.Getenv(crashURL)
	if url == "" {
		return false
	}
	err := writeForever(open, url, os.Getenv(crashRound))
	fmt.Println("ended by itself:", err)
	return true
}

const crashWriters = 8

// writeForever prints the id of each transaction after it was acknowledged.
// Each writes its id into every table.
func writeForever(open OpenFunc, url, round string) error {
	ctx := context.Background()
	s, err := open(ctx, url)
	if err != nil {
		return err
	}
	fmt.Println("open")
	var next atomic.Int64
	problems := make([]error, crashWriters)
	var wg sync.WaitGroup
	for i := range crashWriters {
		wg.Go(func() {
			for problems[i] == nil {
				id := []byte(fmt.Sprintf("%s-%08d", round, next.Add(1)))
				problems[i] = s.Update(ctx, func(tx kv.Tx) error {
					for _, table := range Tables() {
						if err := tx.Put(table, id, id); err != nil {
							return err
						}
					}
					return nil
				})
				if problems[i] == nil {
					fmt.Printf("%s\n", id) // one write to the pipe, never half a line
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(problems...)
}

// Crash starts this test binary again and again as a process that writes to
// the store at url, kills it with SIGKILL at a random moment, and wants every
// acknowledged transaction in the store, and no half of any.
func Crash(t *testing.T, open OpenFunc, url string, rounds int) {
	var acknowledged []string
	for round := range rounds {
		acked, err := runAndKill(t, url, fmt.Sprintf("%02d", round), rand.IntN(1500))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		acknowledged = append(acknowledged, acked...)
		s, err := open(t.Context(), url)
		if err != nil {
			t.Fatalf("round %d: open after the crash: %v", round, err)
		}
		checkSurvivors(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatalf("round %d: close: %v", round, err)
		}
		if t.Failed() {
			return
		}
	}
	if len(acknowledged) == 0 {
		t.Error("no round acknowledged anything, so nothing was tested")
	}
	t.Logf("%d acknowledged transactions survived %d kills", len(acknowledged), rounds)
}

// runAndKill kills the process once it has acknowledged that many
// transactions, in the midst of the next ones, and returns all it did.
func runAndKill(t *testing.T, url, round string, killAfter int) ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), crashURL+"="+url, crashRound+"="+round)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var acked []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, round+"-") {
			acked = append(acked, line)
		} else if line != "open" {
			err = errors.Join(err, errors.New(line))
		}
		if len(acked) == killAfter {
			err = errors.Join(err, cmd.Process.Kill()) // what is in the pipe still counts
			killAfter = -1
		}
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // "signal: killed"
	return acked, errors.Join(err, lines.Err())
}

func checkSurvivors(t *testing.T, s kv.Store, acknowledged []string) {
	t.Helper()
	view(t, s, func(r kv.Reader) error {
		var first []string
		for i, table := range Tables() {
			pairs, err := scan(r, table, kv.Range{})
			if err != nil {
				return err
			}
			if i == 0 {
				first = pairs
			}
			if !slices.Equal(pairs, first) {
				t.Errorf("table %s has other items than %s: half a transaction survived", table, Tables()[0])
			}
		}
		lost := 0
		for _, id := range acknowledged {
			value, err := r.Get(words, []byte(id))
			if err != nil {
				return err
			}
			if string(value) != id {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%d of %d acknowledged transactions are lost", lost, len(acknowledged))
		}
		return nil
	})
}
