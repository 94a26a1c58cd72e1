package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"guildhall.dev/pkg/kv"
)

// BenchmarkCommit compares group commit with what bbolt offers and with the
// most it can do: many writers, each putting one value of 200 bytes and
// waiting until it is durable. Compare rows of one run only.
//
//	update     bbolt's Update, one flush each
//	batch      bbolt's Batch, which waits up to 10 ms for company
//	drained    the limit: one goroutine puts whatever waits and commits it
//	guildhall  Store.Update
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		for _, way := range []struct {
			name string
			open func(b *testing.B) putFunc
		}{
			{"update", openUpdate}, {"batch", openBatch}, {"drained", openDrained}, {"guildhall", openStore},
		} {
			b.Run(fmt.Sprintf("%s/writers=%d", way.name, writers), func(b *testing.B) {
				run(b, writers, way.open(b))
			})
		}
	}
}

// putFunc returns when the item is durable.
type putFunc func(key, value []byte) error

func run(b *testing.B, writers int, put putFunc) {
	value := make([]byte, 200)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for range writers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				if err := put(binary.BigEndian.AppendUint64(nil, uint64(n)), value); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "ops/s")
	b.ReportMetric(0, "ns/op") // says the same, less readably
}

var benchTable = []byte("items")

func openRaw(b *testing.B) *bbolt.DB {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType, InitialMmapSize: initialMap, NoStatistics: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(benchTable)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return db
}

func openUpdate(b *testing.B) putFunc {
	db := openRaw(b)
	return func(key, value []byte) error {
		return db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(benchTable).Put(key, value) })
	}
}

func openBatch(b *testing.B) putFunc {
	db := openRaw(b)
	return func(key, value []byte) error {
		return db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(benchTable).Put(key, value) })
	}
}

// openDrained has none of what a store needs: no closures, no isolation of
// one caller from another, no contexts.
func openDrained(b *testing.B) putFunc {
	db := openRaw(b)
	type request struct {
		key, value []byte
		done       chan error
	}
	requests := make(chan request, 1024)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for first := range requests {
			group := []request{first}
			for more := true; more; {
				select {
				case r, ok := <-requests:
					if more = ok; ok {
						group = append(group, r)
					}
				default:
					more = false
				}
			}
			err := db.Update(func(tx *bbolt.Tx) error {
				for _, r := range group {
					if err := tx.Bucket(benchTable).Put(r.key, r.value); err != nil {
						return err
					}
				}
				return nil
			})
			for _, r := range group {
				r.done <- err
			}
		}
	}()
	b.Cleanup(func() { close(requests); <-stopped })
	return func(key, value []byte) error {
		done := make(chan error, 1)
		requests <- request{key, value, done}
		return <-done
	}
}

func openStore(b *testing.B) putFunc {
	ctx := context.Background()
	s, err := Open(ctx, b.TempDir(), kv.Options{Name: "bench", Tables: []string{string(benchTable)}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return func(key, value []byte) error {
		return s.Update(ctx, func(tx kv.Tx) error { return tx.Put(string(benchTable), key, value) })
	}
}
