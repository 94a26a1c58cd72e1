package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
	"guildhall.dev/pkg/kv/internal/overlay"
)

const (
	// lockTimeout is how long to wait for a predecessor that is shutting down.
	lockTimeout = time.Second
	// initialMap is address space, not memory or disk. While the file is
	// smaller, no commit has to wait for readers in order to map it anew.
	initialMap = 256 << 20
	growthStep = 16 << 20 // bbolt's own
)

// Open opens or makes the file <folder>/<o.Name>.db, for this user only
// (folder 0700, file 0600), and the tables it lacks.
//
// Errors are Precondition with the reason STORE_LOCKED, STORE_CORRUPT or
// STORE_NOT_WRITABLE, or Exhausted with STORE_FULL; their message names the
// file and says what to do.
func Open(ctx context.Context, folder string, o kv.Options) (*Store, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := engine.Context(ctx); err != nil {
		return nil, err
	}
	metrics, err := engine.NewMetrics(o, "bolt")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, openError(folder, err)
	}
	path := filepath.Join(folder, o.Name+".db")
	db, file, err := openFile(path, o.Tables)
	if err != nil {
		return nil, openError(path, err)
	}
	s := &Store{
		db: db, file: file, names: o.Tables, tables: overlay.NewTables(o.Tables), metrics: metrics,
		queue: queue{wake: make(chan struct{}, 1)}, ran: make(chan bool),
	}
	s.stopped.Add(1)
	go s.commitLoop()
	return s, nil
}

// openFile opens the file and makes its buckets. bbolt follows page numbers
// that it reads from the file, so a damaged one makes it panic, and a cut-off
// one makes it read behind the end of the mapping, which is a fault: both come
// back as errors here.
func openFile(path string, tables []string) (db *bbolt.DB, file *os.File, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w: %v", berrors.ErrInvalid, p)
			file.Close() // bbolt is beyond closing it; this gives up the lock
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bbolt.FreelistMapType, // finds free pages in constant time in a large file
		InitialMmapSize: initialMap,
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	})
	if err != nil {
		return nil, nil, err
	}
	if err = prepare(db, file, tables); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, file, nil
}

func prepare(db *bbolt.DB, file *os.File, tables []string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	missing := tables[:0:0]
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: %d bytes of %d are there", berrors.ErrInvalid, info.Size(), tx.Size())
		}
		for _, t := range tables {
			if tx.Bucket([]byte(t)) == nil {
				missing = append(missing, t)
			}
		}
		return nil
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := syncFolder(filepath.Dir(file.Name())); err != nil {
		return err
	}
	return growthError(file, db.Update(func(tx *bbolt.Tx) error {
		for _, t := range missing {
			if _, err := tx.CreateBucket([]byte(t)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// syncFolder makes a new file's entry durable; bbolt flushes the file only.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openError says what an operator can do about a failed Open of path.
func openError(path string, err error) error {
	reason, kind, message := kv.ReasonUnavailable, errs.Unavailable, "cannot open the store %s: see the cause"
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		kind, reason = errs.Precondition, kv.ReasonLocked
		message = "another process has the store %s open: stop it, or give this one a folder of its own"
	case isFull(err):
		kind, reason = errs.Exhausted, kv.ReasonFull
		message = "the disk of the store %s is full: free space or grow the volume, then start again"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		kind, reason = errs.Precondition, kv.ReasonNotWritable
		message = "this user may not write the store %s: change the owner of the folder and its files, or name another folder"
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		kind, reason = errs.Precondition, kv.ReasonCorrupt
		message = "the file %s is damaged or is not a store: move it away and restore a backup"
	}
	return errs.New(kind, reason, fmt.Sprintf(message, path), errs.Cause(err))
}

// isFull reports a write refused for lack of space, quota or file size.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// commitError judges a commit that failed. While the file's head is still the
// one from before, the pages written are free ones: the commit left no trace,
// and the next may do better. Otherwise nobody knows which head the disk has.
func (s *Store) commitError(before int, err error) error {
	now, beginErr := s.db.Begin(false)
	if beginErr != nil {
		return s.fail(errors.Join(err, beginErr))
	}
	defer now.Rollback() // of a read
	if now.ID() != before {
		return s.fail(err)
	}
	if err = growthError(s.file, err); isFull(err) {
		return engine.Full(err)
	}
	return errs.New(errs.Unavailable, kv.ReasonUnavailable, "the store could not be written; nothing was changed", errs.Cause(err))
}

// growthError adds why the system refuses a larger file, if it does: bbolt
// keeps the text of that refusal only. A file that does grow is no harm, bbolt
// grows it in such steps itself.
func growthError(file *os.File, err error) error {
	if err == nil || isFull(err) {
		return err
	}
	info, statErr := file.Stat()
	if statErr != nil {
		return errors.Join(err, statErr)
	}
	return errors.Join(err, file.Truncate(info.Size()+growthStep))
}
