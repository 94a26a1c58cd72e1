package bolt_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/bolt"
)

// wantOpenError opens folder and wants an error that names path.
func wantOpenError(t *testing.T, folder, path, reason string, kind errs.Kind, advice string) {
	t.Helper()
	s, err := bolt.Open(t.Context(), folder, options())
	if err == nil {
		s.Close()
		t.Fatal("Open succeeded")
	}
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("Open = %v, want %v %s", err, kind, reason)
	}
	message := errs.From(err).Message
	if !strings.Contains(message, path) || !strings.Contains(message, advice) {
		t.Errorf("message %q does not name %s and say %q", message, path, advice)
	}
}

func TestOpen_filesAreForThisUserOnly(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "data")
	open(t, folder)
	for path, want := range map[string]fs.FileMode{folder: 0o700, filepath.Join(folder, "test.db"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestOpen_lockedFileSaysWhoToStop(t *testing.T) {
	folder := t.TempDir()
	open(t, folder) // a second descriptor is locked out, in one process as in two
	wantOpenError(t, folder, filepath.Join(folder, "test.db"), kv.ReasonLocked, errs.Precondition, "stop it")
}

func TestOpen_corruptFileSaysRestore(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"something else": func(t *testing.T, path string) { write(t, path, []byte(strings.Repeat("no database", 5000))) },
		"short":          func(t *testing.T, path string) { write(t, path, []byte("x")) },
		"cut off": func(t *testing.T, path string) {
			if err := os.Truncate(path, 12<<10); err != nil {
				t.Fatal(err)
			}
		},
		"both heads overwritten": func(t *testing.T, path string) { overwrite(t, path, 0, 8<<10) },
		"all but the heads overwritten": func(t *testing.T, path string) {
			overwrite(t, path, 8<<10, 1<<20)
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "test.db")
			fill(t, folder)
			damage(t, path)
			wantOpenError(t, folder, path, kv.ReasonCorrupt, errs.Precondition, "restore a backup")
			// Nothing holds the file any more: its place can be taken.
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			open(t, folder)
		})
	}
}

func fill(t *testing.T, folder string) {
	t.Helper()
	s, err := bolt.Open(t.Context(), folder, options())
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx kv.Tx) error {
		for i := range 500 {
			if err := tx.Put("words", []byte{1, byte(i >> 8), byte(i)}, make([]byte, 200)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// overwrite puts other bytes into the file, which keeps its size.
func overwrite(t *testing.T, path string, from, to int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, min(to, int(info.Size()))-from), int64(from))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_folderThatIsNotWritableSaysSo(t *testing.T) {
	t.Run("file in the way", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, nil)
		wantOpenError(t, filepath.Join(file, "data"), file, kv.ReasonNotWritable, errs.Precondition, "owner")
	})
	for name, mode := range map[string]fs.FileMode{"no right to create": 0o500, "no right at all": 0} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(folder, mode); err != nil {
				t.Fatal(err)
			}
			asNobody(t, folder, func() {
				wantOpenError(t, folder, folder, kv.ReasonNotWritable, errs.Precondition, "owner")
			})
		})
	}
	t.Run("file of another user", func(t *testing.T) {
		folder := t.TempDir()
		path := filepath.Join(folder, "test.db")
		fill(t, folder)
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		asNobody(t, folder, func() {
			wantOpenError(t, folder, path, kv.ReasonNotWritable, errs.Precondition, "owner")
		})
	})
}

// asNobody runs fn without root's right to write everywhere. The file-system
// user is a property of the thread, so the rest of the process keeps its own.
func asNobody(t *testing.T, folder string, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	const nobody = 65534
	for dir := folder; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(nobody)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.SetfsuidRetUid(before)
	fn()
}

// TestUpdate_damagedPageEndsTheStoreNotTheProcess damages the file under a
// running store; bbolt panics on what it then meets in the committer.
func TestUpdate_damagedPageEndsTheStoreNotTheProcess(t *testing.T) {
	folder := t.TempDir()
	fill(t, folder)
	s := open(t, folder)
	overwrite(t, filepath.Join(folder, "test.db"), 8<<10, 1<<20)
	for range 2 {
		err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put("words", []byte{1, 0, 1}, nil) })
		if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != kv.ReasonFailed {
			t.Errorf("Update = %v, want Unavailable %s", err, kv.ReasonFailed)
		}
	}
	if err := s.Ping(t.Context()); errs.ReasonOf(err) != kv.ReasonFailed {
		t.Errorf("Ping = %v, want %s", err, kv.ReasonFailed)
	}
}
