package kv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func TestCreate_thenGet(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		want := newEntry("a")
		var made, got record
		update(t, s, func(tx kv.Tx) (err error) {
			made, err = tab.Create(tx, want)
			return err
		})
		view(t, s, func(r kv.Reader) (err error) {
			got, err = tab.Get(r, kv.Key{kv.String("a")})
			return err
		})
		if diff := cmp.Diff(made, got, protocmp.Transform()); diff != "" {
			t.Errorf("Create and Get differ (-created +got):\n%s", diff)
		}
		if got.Revision != 1 || len(got.Etag) != 16 || !cmp.Equal(got.Value, want, protocmp.Transform()) {
			t.Errorf("record = %+v, want revision 1, an etag and the value", got)
		}
	})
}

func TestGet_absentIsNotFoundWithReason(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		update(t, s, func(tx kv.Tx) error {
			_, err := tab.Get(tx, kv.Key{kv.String("none")})
			wantError(t, err, errs.NotFound, "ENTRY_NOT_FOUND")
			_, err = tab.Update(tx, newEntry("none"), "")
			wantError(t, err, errs.NotFound, "ENTRY_NOT_FOUND")
			_, err = tab.Modify(tx, kv.Key{kv.String("none")}, "", func(*entry) error { return nil })
			wantError(t, err, errs.NotFound, "ENTRY_NOT_FOUND")
			_, err = tab.Delete(tx, kv.Key{kv.String("none")}, "")
			wantError(t, err, errs.NotFound, "ENTRY_NOT_FOUND")
			_, err = tab.Lookup(tx, "request", kv.Key{kv.String("none")})
			wantError(t, err, errs.NotFound, "ENTRY_NOT_FOUND")
			if rec, ok, err := tab.Find(tx, kv.Key{kv.String("none")}); ok || err != nil || rec.Found() {
				t.Errorf("Find = %v, %t, %v; want nothing", rec, ok, err)
			}
			return nil
		})
	})
}

func TestCreate_takenKeyIsExists(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		create(t, s, tab, newEntry("a"))
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			_, err := tab.Create(tx, newEntry("a"))
			return err
		})
		wantError(t, err, errs.Exists, "ENTRY_EXISTS")
	})
}

func TestUpdate_etags(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		create(t, s, tab, newEntry("a"))
		var first record
		view(t, s, func(r kv.Reader) (err error) {
			first, err = tab.Get(r, kv.Key{kv.String("a")})
			return err
		})
		changed := newEntry("a")
		changed.Reason = "changed"
		for i, etag := range []string{first.Etag, "", "*"} {
			update(t, s, func(tx kv.Tx) error {
				rec, err := tab.Update(tx, changed, etag)
				if rec.Revision != uint64(i)+2 || rec.Etag == first.Etag {
					t.Errorf("Update with etag %q = revision %d, etag %q; want revision %d and another etag", etag, rec.Revision, rec.Etag, i+2)
				}
				return err
			})
		}
		for name, op := range map[string]func(kv.Tx) error{
			"Update": func(tx kv.Tx) error { _, err := tab.Update(tx, changed, first.Etag); return err },
			"Put":    func(tx kv.Tx) error { _, err := tab.Put(tx, changed, first.Etag); return err },
			"Delete": func(tx kv.Tx) error { _, err := tab.Delete(tx, kv.Key{kv.String("a")}, first.Etag); return err },
			"Modify": func(tx kv.Tx) error {
				_, err := tab.Modify(tx, kv.Key{kv.String("a")}, first.Etag, func(*entry) error { return nil })
				return err
			},
		} {
			err := s.Update(t.Context(), op)
			wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
			if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "etag" {
				t.Errorf("%s: violations = %v, want one of etag", name, v)
			}
		}
	})
}

func TestPut_createsUnlessAnEtagAsksForARecord(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		for _, etag := range []string{"*", "AAAAAAAAAAAAAAAA"} {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				_, err := tab.Put(tx, newEntry("a"), etag)
				return err
			})
			wantError(t, err, errs.NotFound, "ENTRY_NOT_FOUND")
		}
		for want := range uint64(2) {
			update(t, s, func(tx kv.Tx) error {
				rec, err := tab.Put(tx, newEntry("a"), "")
				if rec.Revision != want+1 {
					t.Errorf("revision = %d, want %d", rec.Revision, want+1)
				}
				return err
			})
		}
	})
}

func TestModify_changesACopyAndKeepsTheKey(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		create(t, s, tab, newEntry("a"))
		stop := errors.New("stop")
		for _, c := range []struct {
			change func(*entry) error
			want   func(error) bool
		}{
			{func(e *entry) error { e.Reason = "x"; return nil }, func(err error) bool { return err == nil }},
			{func(e *entry) error { return stop }, func(err error) bool { return errors.Is(err, stop) }},
			{func(e *entry) error { e.Name = "b"; return nil }, func(err error) bool { return errs.Is(err, errs.Internal) }},
		} {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				_, err := tab.Modify(tx, kv.Key{kv.String("a")}, "", c.change)
				return err
			})
			if !c.want(err) {
				t.Errorf("Modify error = %v", err)
			}
		}
		view(t, s, func(r kv.Reader) error {
			rec, err := tab.Get(r, kv.Key{kv.String("a")})
			if rec.Value.GetReason() != "x" || rec.Revision != 2 {
				t.Errorf("record = %v, want reason x at revision 2", rec)
			}
			return err
		})
	})
}

func TestGetMany_keepsTheOrderAndMarksTheMissing(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		create(t, s, tab, newEntry("a"), newEntry("b"))
		view(t, s, func(r kv.Reader) error {
			recs, err := tab.GetMany(r, []kv.Key{{kv.String("b")}, {kv.String("none")}, {kv.String("a")}})
			if err != nil {
				return err
			}
			if len(recs) != 3 || recs[0].Value.GetName() != "b" || recs[1].Found() || recs[2].Value.GetName() != "a" {
				t.Errorf("GetMany = %v, want b, nothing, a", recs)
			}
			return nil
		})
	})
}

func TestGet_damagedRecordIsInternal(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		raw, err := kv.Key{kv.String("a")}.Encode(nil, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range [][]byte{{}, {9}, {1}, {1, 0}, {1, 1, 0xff}} {
			update(t, s, func(tx kv.Tx) error {
				if err := tx.Put("entries", raw, stored); err != nil {
					return err
				}
				_, err := tab.Get(tx, kv.Key{kv.String("a")})
				wantError(t, err, errs.Internal, "STORE_RECORD_CORRUPT")
				return nil
			})
		}
	})
}

func TestRemove_whatIsThereAndWhatIsDue(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		update(t, s, func(tx kv.Tx) error {
			for key, want := range map[string]bool{"05": true, "nobody": false} {
				if was, err := tab.Remove(tx, kv.Key{kv.String(key)}); err != nil || was != want {
					t.Errorf("%s: %v, %v", key, was, err)
				}
			}
			return nil
		})
		for _, c := range []struct {
			limit, removed int
			left           string
		}{{2, 2, "03 04 06 07 08 09 10"}, {2, 2, "06 07 08 09 10"}, {2, 0, "06 07 08 09 10"}} {
			update(t, s, func(tx kv.Tx) error {
				n, err := tab.RemoveDue(tx, "age", day(5), c.limit)
				if n != c.removed {
					t.Errorf("%d are removed, want %d", n, c.removed)
				}
				return err
			})
			view(t, s, func(r kv.Reader) error {
				page, err := tab.List(r, kv.Query{})
				if got := names(page.Records); got != c.left {
					t.Errorf("left are %s, want %s", got, c.left)
				}
				return err
			})
		}
	})
}

// TestRemoveAll_someAtATime, and nothing of what the query does not select; Due
// returns what came due first, and leaves it.
func TestRemoveAll_someAtATime(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		view(t, s, func(r kv.Reader) error {
			due, err := tab.Due(r, "age", day(5), 3)
			var got []string
			for _, e := range due {
				got = append(got, e.GetName())
			}
			if strings.Join(got, " ") != "01 02 03" {
				t.Errorf("due are %v", got)
			}
			return err
		})
		for _, want := range []bool{true, true, false, false} {
			update(t, s, func(tx kv.Tx) error {
				more, err := tab.RemoveAll(tx, kv.Query{Index: "time", Prefix: kv.Key{kv.String("odd")}, Limit: 2})
				if more != want {
					t.Errorf("more is %v, want %v", more, want)
				}
				return err
			})
		}
		view(t, s, func(r kv.Reader) error {
			page, err := tab.List(r, kv.Query{})
			if got := names(page.Records); got != "02 04 06 08 10" {
				t.Errorf("left are %s", got)
			}
			return err
		})
	})
}
