package seal_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/seal"
)

func TestOpenFile_makesAPrivateFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	rings := make([]*seal.Ring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			r, err := seal.OpenFile(path, seal.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			rings[i] = r
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	want := openFile(t, path, seal.Options{}).Derive("x")
	for _, r := range rings {
		if !bytes.Equal(r.Derive("x"), want) {
			t.Error("two first starts have two keysets")
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %04o, want 0600", info.Mode().Perm())
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Errorf("the folder holds %v, want the keyset alone", files)
	}
}

func TestOpenFile_readableByOthersIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	openFile(t, path, seal.Options{})
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := seal.OpenFile(path, seal.Options{})
		wantError(t, err, errs.Precondition, seal.ReasonExposed)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("error = %v, want it to say what to run", err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	openFile(t, path, seal.Options{})
}

func TestOpenFile_damagedFileIsRefusedAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	openFile(t, path, seal.Options{})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{
		"", "{}", "not json", string(whole[:len(whole)/2]),
		strings.Replace(string(whole), `"format": 1`, `"format": 2`, 1),
		strings.Replace(string(whole), `"aead"`, `"other"`, 1),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := seal.OpenFile(path, seal.Options{})
		wantError(t, err, errs.Precondition, seal.ReasonUnusable)
		if after, _ := os.ReadFile(path); string(after) != content {
			t.Error("opening a damaged file changed it")
		}
	}
}

func TestOpenFile_missingFolderIsRefused(t *testing.T) {
	_, err := seal.OpenFile(filepath.Join(t.TempDir(), "none", "keyset.json"), seal.Options{})
	wantError(t, err, errs.Precondition, seal.ReasonAccess)
}

func newKEK(t *testing.T, fill byte) seal.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32))
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return seal.Options{KEKFile: path}
}

func TestOpenFile_wrappedByAKEK(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	right, wrong := newKEK(t, 1), newKEK(t, 2)
	want := openFile(t, path, right).Derive("x")
	if got := openFile(t, path, right).Derive("x"); !bytes.Equal(got, want) {
		t.Error("the wrapped keyset came back as another")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte("encryptedKeyset")) || bytes.Contains(content, []byte("keyData")) {
		t.Errorf("the file is not wrapped: %s", content)
	}
	for _, opts := range []seal.Options{{}, wrong} {
		_, err := seal.OpenFile(path, opts)
		wantError(t, err, errs.Precondition, seal.ReasonKEK)
	}
}

func TestOpenFile_badKEKFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	opts := newKEK(t, 1)
	if err := os.Chmod(opts.KEKFile, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := seal.OpenFile(path, opts)
	wantError(t, err, errs.Precondition, seal.ReasonExposed)
	if err := os.WriteFile(opts.KEKFile, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(opts.KEKFile, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = seal.OpenFile(path, opts)
	wantError(t, err, errs.Precondition, seal.ReasonKEK)
	_, err = seal.OpenFile(path, seal.Options{KEKFile: opts.KEKFile + "none"})
	wantError(t, err, errs.Precondition, seal.ReasonAccess)
}

func TestRewrap_addsChangesAndDropsAKEK(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	want := openFile(t, path, seal.Options{}).Derive("x")
	var from seal.Options
	for _, to := range []seal.Options{newKEK(t, 1), newKEK(t, 2), {}} {
		if from.KEKFile == "" {
			_, err := seal.OpenFile(path, to)
			wantError(t, err, errs.Precondition, seal.ReasonKEK)
		}
		if err := seal.Rewrap(path, from, to); err != nil {
			t.Fatal(err)
		}
		if got := openFile(t, path, to).Derive("x"); !bytes.Equal(got, want) {
			t.Error("rewrapping changed the keyset")
		}
		from = to
	}
}
