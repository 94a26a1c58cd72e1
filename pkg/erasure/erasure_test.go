package erasure_test

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

const carl = "organizations/acme/customers/carl"

// groups is a table like a service has, of what hangs on a subject.
func groups() *kv.Table[*groupchatv1.Group] {
	return kv.NewTable(kv.TableConfig[*groupchatv1.Group]{
		Name: "groups", Key: func(g *groupchatv1.Group) kv.Key { return kv.Key{kv.String(g.GetName())} },
		Indexes: []kv.Index[*groupchatv1.Group]{{Name: "all", Keys: func(*groupchatv1.Group) []kv.Key { return []kv.Key{{kv.String("x")}} }}},
	})
}

func journalOn(t *testing.T, s kv.Store) *change.Journal {
	t.Helper()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	log, err := feed.Open(t.Context(), feed.Config{Service: "test", Store: s})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: s, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	j, err := change.NewJournal(change.Config{Service: "test", Store: s, Feed: log, Audit: entries})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestErase_goesOnWhereItStopped: what a round has done stays done and is counted
// once, and each call after the end returns the same receipt.
func TestErase_goesOnWhereItStopped(t *testing.T) {
	table, book := groups(), erasure.New()
	tables := append(append(table.Tables(), book.Tables()...), change.Tables()...)
	testkit.EachStore(t, "test", tables, func(t *testing.T, s kv.Store) {
		if err := s.Update(t.Context(), func(tx kv.Tx) error {
			for i := range 7 {
				if _, err := table.Create(tx, &groupchatv1.Group{Name: fmt.Sprint(carl, "/groups/", i)}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		rounds, away := 0, errors.New("away")
		step := func(tx *change.Tx, subject string) (bool, error) {
			if rounds++; rounds == 2 {
				return false, away
			}
			found, err := table.List(tx, kv.Query{Limit: 3})
			if err != nil {
				return false, err
			}
			for _, rec := range found.Records {
				if _, err := table.Delete(tx, kv.Key{kv.String(rec.Value.GetName())}, ""); err != nil {
					return false, err
				}
			}
			return found.Next != nil, nil
		}
		start := func() *erasure.Eraser {
			return erasure.NewEraser(erasure.Config{Service: "test", Book: erasure.New(), Journal: journalOn(t, s), Steps: []erasure.Step{step}})
		}
		if _, err := start().Erase(t.Context(), carl); !errors.Is(err, away) {
			t.Fatalf("a step that fails: %v", err)
		}
		first, err := start().Erase(t.Context(), carl)
		if err != nil {
			t.Fatal(err)
		}
		if k := first.GetKinds(); len(k) != 1 || k[0].GetKind() != "groups" || k[0].GetCount() != 7 || first.GetCompleteTime() == nil || len(first.GetDigest()) != 64 {
			t.Errorf("the receipt is %v, want 7 groups", first)
		}
		done := rounds
		again, err := start().Erase(t.Context(), carl)
		if err != nil || !proto.Equal(first, again) || rounds != done {
			t.Errorf("again: %v, %v after %d more rounds; want the first receipt", again, err, rounds-done)
		}
	})
}
