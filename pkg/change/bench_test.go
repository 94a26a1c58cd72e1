package change_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// BenchmarkDo is a creation with its event, audit entry and kept answer, next
// to BenchmarkUpdate, the same record and nothing else. All are of one
// organisation.
func BenchmarkDo(b *testing.B) {
	eachLoad(b, func(b *testing.B, s kv.Store, callers int) {
		svc, err := newService(b.Context(), s)
		if err != nil {
			b.Fatal(err)
		}
		ctx := asAlice(b.Context())
		inParallel(b, callers, func(n int64) error {
			_, err := svc.createGroup(ctx, create(fmt.Sprint(n), "Orders"))
			return err
		})
	})
}

func BenchmarkUpdate(b *testing.B) {
	eachLoad(b, func(b *testing.B, s kv.Store, callers int) {
		groups := groupTable()
		inParallel(b, callers, func(n int64) error {
			g := &groupchatv1.Group{Name: fmt.Sprintf("%s/groups/%d", acme, n), DisplayName: "Orders"}
			return s.Update(b.Context(), func(tx kv.Tx) error {
				_, err := groups.Create(tx, g)
				return err
			})
		})
	})
}

// eachLoad runs a benchmark on each engine with few and many callers.
func eachLoad(b *testing.B, run func(b *testing.B, s kv.Store, callers int)) {
	for _, engine := range testkit.Engines() {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", engine, callers), func(b *testing.B) {
				run(b, testkit.Store(b, engine, storeOptions().Name, storeOptions().Tables), callers)
			})
		}
	}
}

// inParallel shares b.N calls among callers.
func inParallel(b *testing.B, callers int, call func(n int64) error) {
	b.ReportAllocs()
	var next atomic.Int64
	failed := make(chan error, callers)
	b.ResetTimer()
	for range callers {
		go func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					failed <- nil
					return
				}
				if err := call(n); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			b.Error(err)
		}
	}
}
