package seal

import (
	"fmt"
	"testing"
)

func TestOverhead_isWhatSealingAdds(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 200, 4096} {
		sealed, err := r.seal("t", []byte("k"), make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != n+Overhead {
			t.Errorf("%d bytes seal to %d, want %d", n, len(sealed), n+Overhead)
		}
	}
}

func BenchmarkSeal(b *testing.B) { benchmark(b, false) }

func BenchmarkOpen(b *testing.B) { benchmark(b, true) }

func benchmark(b *testing.B, open bool) {
	r, err := New()
	if err != nil {
		b.Fatal(err)
	}
	key := []byte("organizations/acme/groups/g1")
	for _, size := range []int{200, 4096} {
		value := make([]byte, size)
		sealed, err := r.seal("groups", key, value)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if open {
					_, err = r.open("groups", key, sealed)
				} else {
					_, err = r.seal("groups", key, value)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
