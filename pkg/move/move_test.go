package move_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

const (
	acme  = "organizations/acme"
	mei   = acme + "/customers/mei"
	mei2  = acme + "/customers/mei2"
	carl  = acme + "/customers/carl"
	merge = acme + "/mergeRecords/m1"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shop is a service that keeps groups of people by their owners.
type shop struct {
	t        *testing.T
	store    kv.Store
	groups   *kv.Table[*groupchatv1.Group]
	book     *move.Book
	erasures *erasure.Book
	journal  *change.Journal
	now      time.Time
	fail     func() error // asked once a round, or a line
}

func groups() *kv.Table[*groupchatv1.Group] {
	return kv.NewTable(kv.TableConfig[*groupchatv1.Group]{
		Name: "groups", Key: func(g *groupchatv1.Group) kv.Key { return kv.Key{kv.String(g.GetName())} },
		Indexes: []kv.Index[*groupchatv1.Group]{{Name: "owner", Keys: func(g *groupchatv1.Group) []kv.Key {
			return []kv.Key{{kv.String(g.GetOwner())}}
		}}},
	})
}

// eachShop runs a test on each engine.
func eachShop(t *testing.T, test func(t *testing.T, s *shop)) {
	tables := slices.Concat(kv.RawTables(groups(), move.New(), erasure.New()), change.Tables())
	testkit.EachStore(t, "test", tables, func(t *testing.T, store kv.Store) {
		s := &shop{t: t, store: store, groups: groups(), book: move.New(), erasures: erasure.New(), now: start}
		s.fail = func() error { return nil }
		s.open()
		test(t, s)
	})
}

func (s *shop) open() {
	s.t.Helper()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := feed.Open(s.t.Context(), feed.Config{Service: "test", Store: s.store})
	if err != nil {
		s.t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: s.store, Pages: pages})
	if err != nil {
		s.t.Fatal(err)
	}
	s.journal, err = change.NewJournal(change.Config{
		Service: "test", Store: s.store, Feed: log, Audit: entries, Clock: func() time.Time { return s.now },
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) mover() *move.Mover {
	return move.NewMover(move.Config{
		Service: "test", Book: s.book, Erasures: s.erasures, Journal: s.journal, Store: s.store,
		Kinds:  []move.Kind{{Name: "groups", Move: s.moveSome, Back: s.moveBack}},
		Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return s.now },
	})
}

func owner(g *groupchatv1.Group) []move.Place { return []move.Place{{Path: "owner", At: &g.Owner}} }

func (s *shop) moveSome(m *move.Move) (bool, error) {
	if err := s.fail(); err != nil {
		return false, err
	}
	p, err := s.groups.List(m, kv.Query{Index: "owner", Prefix: kv.Key{kv.String(m.From)}, Limit: 3})
	if err != nil {
		return false, err
	}
	for _, g := range p.Values() {
		paths := m.Replace(owner(g))
		if _, err := s.groups.Update(m, g, ""); err != nil {
			return false, err
		}
		if err := m.Note(&storev1.MoveLine{Kind: "groups", Name: g.GetName(), Places: paths, CreateTime: g.GetCreateTime()}); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

func (s *shop) moveBack(m *move.Move, line *storev1.MoveLine) (bool, error) {
	if err := s.fail(); err != nil {
		return false, err
	}
	rec, found, err := s.groups.Find(m, kv.Key{kv.String(line.GetName())})
	if err != nil || !found || !move.Is(line, rec.Value.GetCreateTime()) || !m.Restore(line, owner(rec.Value)) {
		return false, err
	}
	_, err = s.groups.Update(m, rec.Value, "")
	return true, err
}

// put stores groups of an owner, made at a time.
func (s *shop) put(at time.Time, owner string, names ...string) {
	s.t.Helper()
	s.change(func(tx kv.Tx) error {
		for _, name := range names {
			if _, err := s.groups.Put(tx, &groupchatv1.Group{Name: name, Owner: owner, CreateTime: timestamppb.New(at)}, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shop) change(fn func(tx kv.Tx) error) {
	s.t.Helper()
	if err := s.store.Update(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// of returns the names of an owner's groups.
func (s *shop) of(owner string) (names []string) {
	s.t.Helper()
	if err := s.store.View(s.t.Context(), func(r kv.Reader) error {
		names = nil
		for rec, err := range s.groups.Scan(r, kv.Query{Index: "owner", Prefix: kv.Key{kv.String(owner)}}) {
			if err != nil {
				return err
			}
			names = append(names, rec.Value.GetName())
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return names
}

// rows counts the rows of a raw table.
func (s *shop) rows(table string) (n int) {
	s.t.Helper()
	if err := s.store.View(s.t.Context(), func(r kv.Reader) error {
		n = 0
		for _, err := range r.Scan(table, kv.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func ask(undo bool) *subjectv1.MoveSubjectRequest {
	return &subjectv1.MoveSubjectRequest{Merge: merge, From: mei2, To: mei, Undo: undo, KeepUntil: timestamppb.New(start.Add(time.Hour))}
}

// must moves, or brings back, and wants a complete receipt, and the same one again.
func (s *shop) must(req *subjectv1.MoveSubjectRequest) *subjectv1.MoveReceipt {
	s.t.Helper()
	first, err := s.mover().Move(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	again, err := s.mover().Move(s.t.Context(), req)
	if err != nil || !proto.Equal(first, again) || first.GetCompleteTime() == nil || first.GetUndone() != req.GetUndo() {
		s.t.Fatalf("again: %v, %v; want the receipt of before: %v", again, err, first)
	}
	return first
}

// wantRefused wants Precondition with a reason.
func (s *shop) wantRefused(req *subjectv1.MoveSubjectRequest, reason string) {
	s.t.Helper()
	if _, err := s.mover().Move(s.t.Context(), req); !errs.Is(err, errs.Precondition) || errs.ReasonOf(err) != reason {
		s.t.Errorf("%v: %v, want %s", req, err, reason)
	}
}

func (s *shop) refused(subject string) bool {
	s.t.Helper()
	err := s.store.View(s.t.Context(), func(r kv.Reader) error { return s.book.Refuse(r, "", carl, subject) })
	if err != nil && errs.ReasonOf(err) != "CUSTOMER_MERGED" {
		s.t.Fatal(err)
	}
	return err != nil
}

func count(r *subjectv1.MoveReceipt) (n int64) {
	for _, k := range r.GetKinds() {
		n += k.GetCount()
	}
	return n
}

func numbered(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%03d", prefix, i))
	}
	return names
}

// interrupted moves with a process that ends again and again, each time a bit later,
// until it comes through.
func (s *shop) interrupted(ctx context.Context, req *subjectv1.MoveSubjectRequest) *subjectv1.MoveReceipt {
	s.t.Helper()
	away := errors.New("away")
	defer func() { s.fail = func() error { return nil } }()
	for i := range 20 {
		asked := 0
		s.fail = func() error {
			if asked++; asked == 1+13*i {
				return away
			}
			return nil
		}
		receipt, err := s.mover().Move(ctx, req)
		if err == nil {
			return receipt
		}
		if !errors.Is(err, away) {
			s.t.Fatal(err)
		}
	}
	s.t.Fatal("it never ends")
	return nil
}
