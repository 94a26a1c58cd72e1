package kv_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
)

// fill stores entries of two resources over ten days, two fields each.
func fill(t testing.TB, s kv.Store, tab *kv.Table[*entry]) {
	var all []*entry
	for d := range 10 {
		e := newEntry(fmt.Sprintf("%02d", d+1))
		e.Resource = []string{"even", "odd"}[(d+1)%2]
		e.Time = timestamppb.New(day(d + 1))
		e.ChangedFields = []string{"all", fmt.Sprint("mod", d%3)}
		e.RequestId = fmt.Sprintf("req%02d", 10-d)
		all = append(all, e)
	}
	create(t, s, tab, all...)
}

func names(recs []record) string {
	var out []string
	for _, r := range recs {
		out = append(out, r.Value.GetName())
	}
	return strings.Join(out, " ")
}

func TestList_rangesAndDirections(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		for _, c := range []struct {
			name string
			q    kv.Query
			want string
		}{
			{"all", kv.Query{}, "01 02 03 04 05 06 07 08 09 10"},
			{"reverse", kv.Query{Reverse: true, Limit: 3}, "10 09 08"},
			{"one key", kv.Query{Prefix: kv.Key{kv.String("05")}}, "05"},
			{"no key", kv.Query{Prefix: kv.Key{kv.String("0")}}, ""},
			{"from", kv.Query{From: kv.Key{kv.String("08")}}, "08 09 10"},
			{"until", kv.Query{Until: kv.Key{kv.String("03")}}, "01 02"},
			{"empty range", kv.Query{From: kv.Key{kv.String("05")}, Until: kv.Key{kv.String("02")}}, ""},
			{"prefix of an index", kv.Query{Index: "time", Prefix: kv.Key{kv.String("odd")}}, "01 03 05 07 09"},
			{"times", kv.Query{Index: "time", Prefix: kv.Key{kv.String("odd")},
				From: kv.Key{kv.Time(day(3))}, Until: kv.Key{kv.Time(day(9))}}, "03 05 07"},
			{"times, newest first", kv.Query{Index: "time", Prefix: kv.Key{kv.String("even")},
				From: kv.Key{kv.Time(day(3))}, Reverse: true}, "10 08 06 04"},
			{"one of several values", kv.Query{Index: "field", Prefix: kv.Key{kv.String("mod1")}}, "02 05 08"},
			{"once for each value", kv.Query{Index: "field", Limit: 12}, "01 02 03 04 05 06 07 08 09 10 01 04"},
			{"unique index", kv.Query{Index: "request", Limit: 2}, "10 09"},
		} {
			view(t, s, func(r kv.Reader) error {
				page, err := tab.List(r, c.q)
				if got := names(page.Records); got != c.want {
					t.Errorf("%s: List = %q, want %q", c.name, got, c.want)
				}
				return err
			})
		}
	})
}

func TestList_pagesJoinToTheWhole(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		for _, q := range []kv.Query{
			{}, {Reverse: true}, {Index: "field"}, {Index: "request", Reverse: true},
			{Index: "time", Prefix: kv.Key{kv.String("odd")}, Reverse: true},
		} {
			view(t, s, func(r kv.Reader) error {
				whole, err := tab.List(r, q)
				if err != nil {
					return err
				}
				if whole.Next != nil {
					t.Errorf("%+v: a list without a limit has a next page", q)
				}
				for limit := 1; limit <= len(whole.Records); limit++ {
					var got []record
					for q := q; ; {
						q.Limit = limit
						page, err := tab.List(r, q)
						if err != nil {
							return err
						}
						got = append(got, page.Records...)
						if q.After = page.Next; page.Next == nil {
							break
						}
						if len(page.Records) != limit {
							t.Errorf("a page before the last has %d records, want %d", len(page.Records), limit)
						}
					}
					if names(got) != names(whole.Records) {
						t.Errorf("%+v: pages of %d = %q, want %q", q, limit, names(got), names(whole.Records))
					}
				}
				return nil
			})
		}
	})
}

// Several chunks, with a body that uses and changes the transaction.
func TestScan_bodyMayWrite(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		const n = 700
		update(t, s, func(tx kv.Tx) error {
			for i := range n {
				if _, err := tab.Create(tx, newEntry(fmt.Sprintf("%04d", i))); err != nil {
					return err
				}
			}
			return nil
		})
		for _, index := range []string{"time", ""} {
			update(t, s, func(tx kv.Tx) error {
				seen := 0
				for rec, err := range tab.Scan(tx, kv.Query{Index: index}) {
					if err != nil {
						return err
					}
					if want := fmt.Sprintf("%04d", seen); rec.Value.GetName() != want {
						t.Fatalf("index %q: record %d is %s", index, seen, rec.Value.GetName())
					}
					seen++
					if index != "" {
						continue
					}
					if _, err := tab.Delete(tx, kv.Key{kv.String(rec.Value.GetName())}, rec.Etag); err != nil {
						return err
					}
				}
				if seen != n {
					t.Errorf("index %q: saw %d records, want %d", index, seen, n)
				}
				return nil
			})
		}
		view(t, s, func(r kv.Reader) error {
			page, err := tab.List(r, kv.Query{})
			if len(page.Records) != 0 {
				t.Errorf("%d records are left", len(page.Records))
			}
			return err
		})
		verify(t, s, tab)
	})
}

func TestScan_stopsEarly(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		view(t, s, func(r kv.Reader) error {
			var got []record
			for rec, err := range tab.Scan(r, kv.Query{}) {
				if err != nil {
					return err
				}
				if got = append(got, rec); len(got) == 3 {
					break
				}
			}
			if names(got) != "01 02 03" {
				t.Errorf("Scan = %q", names(got))
			}
			return nil
		})
	})
}

func TestReindex_fillsMendsAndKeepsUnique(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		spoil := func(table string) {
			update(t, s, func(tx kv.Tx) error {
				var keys [][]byte
				for item, err := range tx.Scan(table, kv.Range{}) {
					if err != nil {
						return err
					}
					keys = append(keys, item.Key)
				}
				for _, k := range keys[1:] {
					if err := tx.Delete(table, k); err != nil {
						return err
					}
				}
				stray, err := kv.Key{kv.String("req99")}.Encode(nil, nil, "")
				if err != nil {
					return err
				}
				return tx.Put(table, stray, []byte("gone"))
			})
		}
		for _, index := range []string{"request", "field", "time", "mail"} {
			if index != "mail" {
				spoil("entries__" + index)
			}
			for range 2 {
				if err := tab.Reindex(t.Context(), s, index); err != nil {
					t.Fatal(err)
				}
				verify(t, s, tab)
			}
		}
		if err := tab.Reindex(t.Context(), s, "none"); err == nil {
			t.Error("Reindex of an unknown index succeeds")
		}
	})
}

func TestTables_namesRecordsThenIndexes(t *testing.T) {
	want := []string{"kv_migrations", "entries", "entries__request", "entries__mail", "entries__time", "entries__age", "entries__field"}
	if got := kv.RawTables(newEntries()); !slices.Equal(got, want) {
		t.Errorf("RawTables = %q, want %q", got, want)
	}
}

func TestList_largeRecordsMakeShortPages(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		const records = 40
		for i := range records {
			e := newEntry(fmt.Sprintf("%02d", i))
			e.Reason = strings.Repeat("x", 100<<10)
			create(t, s, tab, e)
		}
		var got []record
		q := kv.Query{Limit: 30}
		for {
			var p kv.Page[*entry]
			view(t, s, func(r kv.Reader) (err error) {
				p, err = tab.List(r, q)
				return err
			})
			if len(p.Records) > 11 {
				t.Fatalf("a page holds %d records of 100 KiB", len(p.Records))
			}
			got = append(got, p.Records...)
			if q.After = p.Next; p.Next == nil {
				break
			}
		}
		if len(got) != records {
			t.Errorf("the pages hold %d records of %d", len(got), records)
		}
	})
}

// TestSelect_endsWhereItHasLookedInVainForLong: the pages together have each record
// that meets the condition once, however they are cut.
func TestSelect_endsWhereItHasLookedInVainForLong(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		fill(t, s, tab)
		for _, c := range []struct {
			limit, inVain int
			want          string // a page each, "-" for an empty one
		}{
			{0, 10, "03 06 09"},
			{2, 10, "03 06|09"},
			{2, 3, "03|06|09"},
			{9, 2, "-|03|06|09"},
		} {
			var pages []string
			q := kv.Query{Limit: c.limit}
			for {
				var page kv.Page[*entry]
				view(t, s, func(r kv.Reader) (err error) {
					page, err = tab.Select(r, q, c.inVain, func(e *entry) bool { return slices.Contains(e.GetChangedFields(), "mod2") })
					return err
				})
				pages = append(pages, cmp.Or(names(page.Records), "-"))
				if q.After = page.Next; q.After == nil {
					break
				}
			}
			if got := strings.Join(pages, "|"); got != c.want {
				t.Errorf("at most %d, %d in vain: %s, want %s", c.limit, c.inVain, got, c.want)
			}
		}
	})
}
