package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"guildhall.dev/pkg/errs"
)

// OpenFile returns the ring of the keyset file at path. When there is none it
// makes one, with mode 0600; processes that start together agree on one.
// Losing the file is losing the data: back it up, apart from the store.
//
// The errors are Precondition with one of the reasons of this package, and a
// message that says what to do.
func OpenFile(path string, opts Options) (*Ring, error) {
	kek, err := opts.kek()
	if err != nil {
		return nil, err
	}
	k, err := load(path, kek)
	if errors.Is(err, fs.ErrNotExist) {
		k, err = create(path, kek)
	}
	if err != nil {
		return nil, err
	}
	r := &Ring{path: path, kek: kek}
	r.keys.Store(k)
	return r, nil
}

// create writes a whole file under another name and links it to path, which
// fails when path exists: so nobody ever reads half a file, and of several
// processes one makes the file and the others read it.
func create(path string, kek tink.AEAD) (*keys, error) {
	k, err := generate()
	if err != nil {
		return nil, err
	}
	temp, err := writeTemp(path, k, kek)
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, accessError(path, "make", err)
	}
	if err := syncFolder(path); err != nil {
		return nil, err
	}
	return load(path, kek)
}

// Rewrap rewrites the keyset file from the protection of one Options to that
// of another: to add a KEK, change it, or drop it. No process may be running
// on the file with the old one.
func Rewrap(path string, from, to Options) error {
	old, err := from.kek()
	if err != nil {
		return err
	}
	now, err := to.kek()
	if err != nil {
		return err
	}
	return rewrite(path, func() (*keys, error) { return load(path, old) }, now, func() error { return nil })
}

// rewrite replaces the file by what next returns, under a lock that excludes
// other processes, and then runs done under the lock.
func rewrite(path string, next func() (*keys, error), kek tink.AEAD, done func() error) error {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return accessError(path+".lock", "make", err)
	}
	defer lock.Close() // also unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return accessError(path+".lock", "lock", err)
	}
	k, err := next()
	if err != nil {
		return err
	}
	temp, err := writeTemp(path, k, kek)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return accessError(path, "replace", err)
	}
	if err := syncFolder(path); err != nil {
		return err
	}
	return done()
}

// refresh reads the file again when it is another than known was read from,
// and returns the newest keys.
func (r *Ring) refresh(known *keys) *keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.keys.Load(); k != known || r.path == "" {
		return k
	}
	info, err := os.Stat(r.path)
	if err != nil || os.SameFile(info, known.file) && info.ModTime().Equal(known.file.ModTime()) {
		return known
	}
	k, err := load(r.path, r.kek)
	if err != nil || !k.created.Equal(known.created) {
		return known // another keyset altogether: not for a running process
	}
	r.keys.Store(k)
	return k
}

// writeTemp writes a durable file of mode 0600 beside path and returns its name.
func writeTemp(path string, k *keys, kek tink.AEAD) (string, error) {
	b, err := k.encode(kek)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return "", accessError(path, "make", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", accessError(path, "write", err)
	}
	return f.Name(), nil
}

// syncFolder makes the name of a new file durable.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return accessError(path, "write", err)
	}
	return nil
}

// kek returns the key-encryption key, nil when there is none.
func (o Options) kek() (tink.AEAD, error) {
	if o.KEKFile == "" {
		return o.KEK, nil
	}
	if o.KEK != nil {
		return nil, errs.New(errs.Precondition, ReasonKEK, "configure a key-encryption key file or a KMS key, not both")
	}
	b, _, err := readPrivate(o.KEKFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, accessError(o.KEKFile, "read", err)
	}
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != 32 {
		return nil, errs.New(errs.Precondition, ReasonKEK,
			fmt.Sprintf("%s is not a key-encryption key; make one with: openssl rand -base64 32", o.KEKFile))
	}
	return subtle.NewAESGCM(key)
}
