package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/bolt"
)

// The environment that makes this binary a process that may write no file
// larger than limit, and fills the store in that folder.
const (
	limitedFolder = "GUILDHALL_BOLT_TEST_FOLDER"
	limitedSize   = "GUILDHALL_BOLT_TEST_LIMIT"
)

func TestMain(m *testing.M) {
	folder := os.Getenv(limitedFolder)
	if folder == "" {
		os.Exit(m.Run())
	}
	if err := runLimited(folder); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func runLimited(folder string) error {
	limit, err := strconv.ParseUint(os.Getenv(limitedSize), 10, 64)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	return withStore(folder, func(s *bolt.Store) error { return errors.Join(fillUp(s), decideOnLostWrite(s)) })
}

// startLimited runs the process and returns what it printed.
func startLimited(t *testing.T, folder string, limit int) (string, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), limitedFolder+"="+folder, limitedSize+"="+strconv.Itoa(limit))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestOpen_fullDiskIsSaid(t *testing.T) {
	for _, limit := range []int{0, 1 << 20} { // not even a head; no room for the tables
		folder := t.TempDir()
		out, err := startLimited(t, folder, limit)
		if err == nil || !strings.Contains(out, kv.ReasonFull) || !strings.Contains(out, "free space") || !strings.Contains(out, folder) {
			t.Errorf("limit %d: %v: %s; want %s", limit, err, out, kv.ReasonFull)
		}
		check(t, withStore(folder, putMore)) // what the attempt left is no obstacle
	}
}

func TestUpdate_fullDiskIsSaidAndNothingIsLost(t *testing.T) {
	t.Run("file size limit", func(t *testing.T) {
		folder := t.TempDir()
		if out, err := startLimited(t, folder, 20<<20); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		check(t, withStore(folder, wantConsistent))
		check(t, withStore(folder, putMore)) // there is room without the limit
	})
	// A file system of its own is the real thing, and needs the right to mount.
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("no file system of 2 MiB: mount: %v", err)
		return
	}
	t.Cleanup(func() { check(t, syscall.Unmount(folder, 0)) })
	t.Run("small file system", func(t *testing.T) {
		check(t, withStore(folder, func(s *bolt.Store) error {
			if err := errors.Join(fillUp(s), wantConsistent(s)); err != nil {
				return err
			}
			if err := syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
				return err
			}
			return putMore(s) // the same store goes on once there is room
		}))
		check(t, withStore(folder, wantConsistent))
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func withStore(folder string, use func(*bolt.Store) error) error {
	s, err := bolt.Open(context.Background(), folder, options())
	if err != nil {
		return err
	}
	return errors.Join(use(s), s.Close())
}

// fillUp writes until the disk is full, from several goroutines, so that
// batches fail as a whole. It counts what was acknowledged in the table marks.
func fillUp(s *bolt.Store) error {
	problems := make([]error, 8)
	var wg sync.WaitGroup
	for i := range problems {
		wg.Go(func() { problems[i] = fillFrom(s, i) })
	}
	wg.Wait()
	return errors.Join(problems...)
}

func fillFrom(s *bolt.Store, writer int) error {
	for n := 0; ; n++ {
		err := s.Update(context.Background(), func(tx kv.Tx) error { return putOne(tx, writer, n, 20_000) })
		if err == nil {
			continue
		}
		if !errs.Is(err, errs.Exhausted) || errs.ReasonOf(err) != kv.ReasonFull || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("update %d on a full disk: %w", n, err)
		}
		return s.View(context.Background(), func(r kv.Reader) error { return wantCount(r, writer, n) })
	}
}

// decideOnLostWrite puts two updates into one batch: one writes more than the
// disk takes, the other fails because it sees that write. When the write comes
// to nothing, so does the reason to fail.
func decideOnLostWrite(s *bolt.Store) error {
	ctx := context.Background()
	inside, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Update(ctx, func(tx kv.Tx) error {
			close(inside)
			<-leave
			return tx.Put("words", []byte("big"), make([]byte, kv.MaxValueSize))
		})
	})
	<-inside
	taken := errors.New("taken")
	var err error
	wg.Go(func() {
		err = s.Update(ctx, func(tx kv.Tx) error {
			if got, err := tx.Get("words", []byte("big")); got == nil {
				return fmt.Errorf("the update is in another batch: %w", err)
			}
			return taken
		})
	})
	for bolt.Waiting(s) == 0 {
		// It is on its way into the queue.
	}
	close(leave)
	wg.Wait()
	if errs.ReasonOf(err) != kv.ReasonFull {
		return fmt.Errorf("update that failed on a write that was lost: %w, want %s", err, kv.ReasonFull)
	}
	return nil
}

func putOne(tx kv.Tx, writer, n, size int) error {
	key := fmt.Appendf(nil, "%d/%06d", writer, n)
	if err := tx.Put("words", key, make([]byte, size)); err != nil {
		return err
	}
	return tx.Put("marks", fmt.Appendf(nil, "%d", writer), []byte(strconv.Itoa(n+1)))
}

// wantCount wants the first n items of writer and no other.
func wantCount(r kv.Reader, writer, n int) error {
	count := 0
	for _, err := range r.Scan("words", kv.Prefix(fmt.Appendf(nil, "%d/", writer))) {
		if err != nil {
			return err
		}
		count++
	}
	if count != n {
		return fmt.Errorf("writer %d has %d items, and %d were acknowledged", writer, count, n)
	}
	return nil
}

func wantConsistent(s *bolt.Store) error {
	return s.View(context.Background(), func(r kv.Reader) error {
		for writer := range 8 {
			raw, err := r.Get("marks", fmt.Appendf(nil, "%d", writer))
			if err != nil {
				return err
			}
			n := 0
			if raw != nil {
				if n, err = strconv.Atoi(string(raw)); err != nil {
					return err
				}
			}
			if err := wantCount(r, writer, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func putMore(s *bolt.Store) error {
	return s.Update(context.Background(), func(tx kv.Tx) error {
		for n := range 300 {
			if err := putOne(tx, 9, n, 20_000); err != nil {
				return err
			}
		}
		return nil
	})
}
