package audit_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// raw edits the store underneath the log, as an intruder would. Entries of one
// group are all in one chain.
type raw struct {
	t     *testing.T
	chain uint64
}

const (
	entriesTable = "audit_entries"
	headsTable   = "audit_heads"
)

func (r raw) key(sequence uint64) []byte {
	return r.encode(kv.Key{kv.String(acme), kv.Uint64(r.chain), kv.Uint64(sequence)})
}

func (r raw) headKey() []byte { return r.encode(kv.Key{kv.String(acme), kv.Uint64(r.chain)}) }

func (r raw) encode(k kv.Key) []byte {
	r.t.Helper()
	b, err := k.Encode(nil, nil, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r raw) get(tx kv.Tx, table string, key []byte) []byte {
	r.t.Helper()
	v, err := tx.Get(table, key)
	if err != nil || v == nil {
		r.t.Fatalf("the store holds %q, %v at %q", v, err, key)
	}
	return v
}

func (r raw) put(tx kv.Tx, table string, key, value []byte) {
	r.t.Helper()
	if err := tx.Put(table, key, value); err != nil {
		r.t.Fatal(err)
	}
}

func (r raw) remove(tx kv.Tx, table string, key []byte) {
	r.t.Helper()
	if err := tx.Delete(table, key); err != nil {
		r.t.Fatal(err)
	}
}

// tenEntries returns a log whose organisation has ten entries of one group,
// and in which chain they are.
func tenEntries(t *testing.T, s kv.Store) (*audit.Log, raw) {
	t.Helper()
	l := newLog(t, s)
	for i := range 10 {
		e := entry(i)
		e.Resource = fmt.Sprintf("%s/groups/g/messages/%d", acme, i)
		appendAll(t, s, l, e)
	}
	p, err := l.List(t.Context(), audit.Query{Parent: acme})
	if err != nil {
		t.Fatal(err)
	}
	return l, raw{t, uint64(p.Entries[0].GetChain())}
}

func TestVerify_findsWhatWasDoneBehindItsBack(t *testing.T) {
	const (
		changed    = auditv1.AuditFault_KIND_CHANGED
		removed    = auditv1.AuditFault_KIND_REMOVED
		reordered  = auditv1.AuditFault_KIND_REORDERED
		unreadable = auditv1.AuditFault_KIND_UNREADABLE
	)
	type faults map[uint64]auditv1.AuditFault_Kind
	for name, c := range map[string]struct {
		edit func(r raw, tx kv.Tx)
		want faults
	}{
		"nothing": {func(raw, kv.Tx) {}, nil},
		"an entry changed": {func(r raw, tx kv.Tx) {
			v := r.get(tx, entriesTable, r.key(4))
			v[len(v)/2] ^= 1 // in the text of a name: it still parses
			r.put(tx, entriesTable, r.key(4), v)
		}, faults{4: changed}},
		"an entry garbled": {func(r raw, tx kv.Tx) {
			r.put(tx, entriesTable, r.key(4), []byte("garbage"))
		}, faults{4: unreadable}},
		"an entry removed": {func(r raw, tx kv.Tx) {
			r.remove(tx, entriesTable, r.key(4))
		}, faults{4: removed}},
		"an entry removed and the gap closed": {func(r raw, tx kv.Tx) {
			for seq := uint64(4); seq < 10; seq++ {
				r.put(tx, entriesTable, r.key(seq), r.get(tx, entriesTable, r.key(seq+1)))
			}
			r.remove(tx, entriesTable, r.key(10))
		}, faults{4: reordered, 5: reordered, 6: reordered, 7: reordered, 8: reordered, 9: reordered, 10: removed}},
		"two entries swapped": {func(r raw, tx kv.Tx) {
			a, b := r.get(tx, entriesTable, r.key(4)), r.get(tx, entriesTable, r.key(5))
			r.put(tx, entriesTable, r.key(4), b)
			r.put(tx, entriesTable, r.key(5), a)
		}, faults{4: reordered, 5: reordered, 6: reordered}},
		"the end cut off": {func(r raw, tx kv.Tx) {
			r.remove(tx, entriesTable, r.key(9))
			r.remove(tx, entriesTable, r.key(10))
		}, faults{9: removed, 10: removed}},
		"all entries removed": {func(r raw, tx kv.Tx) {
			for seq := uint64(1); seq <= 10; seq++ {
				r.remove(tx, entriesTable, r.key(seq))
			}
		}, faults{1: removed, 2: removed, 3: removed, 4: removed, 5: removed, 6: removed, 7: removed, 8: removed, 9: removed, 10: removed}},
		"an entry added": {func(r raw, tx kv.Tx) {
			r.put(tx, entriesTable, r.key(11), r.get(tx, entriesTable, r.key(10)))
		}, faults{11: reordered}},
		"the head removed": {func(r raw, tx kv.Tx) {
			r.remove(tx, headsTable, r.headKey())
		}, faults{1: reordered}},
		"the head garbled": {func(r raw, tx kv.Tx) {
			r.put(tx, headsTable, r.headKey(), []byte("garbage"))
		}, faults{0: unreadable}},
		"the head's hash changed": {func(r raw, tx kv.Tx) {
			v := r.get(tx, headsTable, r.headKey())
			v[len(v)-1] ^= 1
			r.put(tx, headsTable, r.headKey(), v)
		}, faults{10: changed}},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s kv.Store) {
				l, r := tenEntries(t, s)
				if err := s.Update(t.Context(), func(tx kv.Tx) error { c.edit(r, tx); return nil }); err != nil {
					t.Fatal(err)
				}
				report, err := l.Verify(t.Context(), acme)
				if err != nil {
					t.Fatal(err)
				}
				got := make(faults)
				for _, f := range report.GetFaults() {
					if uint64(f.GetChain()) != r.chain {
						t.Errorf("a fault in chain %d: %v", f.GetChain(), f)
					}
					got[f.GetSequence()] = f.GetKind()
				}
				if c.want == nil {
					c.want = faults{}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("faults (-want +got):\n%s", diff)
				}
				if report.GetIntact() != (len(c.want) == 0) {
					t.Errorf("intact is %v", report.GetIntact())
				}
			})
		})
	}
}

// In a sealed store an intruder can remove rows and move them, not edit them.
func TestVerify_aSealedStoreTellsOfTampering(t *testing.T) {
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	below := openBolt(t)
	s := ring.Wrap(below)
	l, r := tenEntries(t, s)
	err = below.Update(t.Context(), func(tx kv.Tx) error {
		v := r.get(tx, entriesTable, r.key(4))
		v[len(v)-1] ^= 1
		r.put(tx, entriesTable, r.key(4), v)
		r.put(tx, entriesTable, r.key(7), r.get(tx, entriesTable, r.key(8)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := l.Verify(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	want := []*auditv1.AuditFault{
		{Chain: uint32(r.chain), Sequence: 4, Kind: auditv1.AuditFault_KIND_UNREADABLE},
		{Chain: uint32(r.chain), Sequence: 7, Kind: auditv1.AuditFault_KIND_UNREADABLE},
	}
	if diff := cmp.Diff(want, report.GetFaults(), protocmp.Transform()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}
