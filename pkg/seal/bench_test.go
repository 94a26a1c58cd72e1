package seal_test

import (
	"fmt"
	"strings"
	"testing"

	"guildhall.dev/pkg/kv"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

func BenchmarkHash(b *testing.B) {
	r := newRing(b)
	for b.Loop() {
		r.Hash("accounts__mail", []byte("ada.lovelace@example.com"))
	}
}

// BenchmarkTable is a Put and a Get of one record of some 200 bytes through a
// table with one unique index, on a store as it is and on a sealed one. The
// commit's fsync is part of Put.
func BenchmarkTable(b *testing.B) {
	for _, sealed := range []bool{false, true} {
		ring := newRing(b)
		tab := kv.NewTable(kv.TableConfig[*auditv1.AuditEntry]{
			Name:   "accounts",
			Key:    func(e *auditv1.AuditEntry) kv.Key { return kv.Key{kv.String(e.GetName())} },
			Hasher: ring,
			Indexes: []kv.Index[*auditv1.AuditEntry]{{Name: "mail", Unique: true, Keys: func(e *auditv1.AuditEntry) []kv.Key {
				return []kv.Key{{kv.Personal(e.GetActor())}}
			}}},
		})
		s := openStore(b, tab.Tables()...)
		name := "plain"
		if sealed {
			s, name = ring.Wrap(s), "sealed"
		}
		text := strings.Repeat("x", 150)
		put := func(i int) error {
			return s.Update(b.Context(), func(tx kv.Tx) error {
				id := fmt.Sprint(i)
				_, err := tab.Put(tx, &auditv1.AuditEntry{Name: id, Actor: id + "@example.com", Reason: text}, "")
				return err
			})
		}
		b.Run("put/"+name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := put(i); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := put(0); err != nil {
			b.Fatal(err)
		}
		b.Run("get/"+name, func(b *testing.B) {
			for b.Loop() {
				err := s.View(b.Context(), func(r kv.Reader) error {
					_, err := tab.Get(r, kv.Key{kv.String("0")})
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
