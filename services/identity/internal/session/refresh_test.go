package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/standing"
)

const account = "organizations/acme/customers/c1"

// bench is a book with a journal to change it through.
type bench struct {
	book    *session.Book
	journal *change.Journal
}

func newBench(t *testing.T, cfg session.Config) *bench {
	t.Helper()
	cfg.Key = []byte(strings.Repeat("k", 32))
	cfg.Standing = standing.New()
	book, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	store := testkit.Store(t, "bolt", "identity", append(kv.RawTables(book, cfg.Standing), change.Tables()...))
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	events, err := feed.Open(context.Background(), feed.Config{Service: "identity", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: store, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := change.NewJournal(change.Config{Service: "identity", Store: store, Feed: events, Audit: entries})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{book: book, journal: journal}
}

func (b *bench) do(fn func(*change.Tx) error) error {
	_, err := change.Do(context.Background(), b.journal, &emptypb.Empty{}, func(tx *change.Tx) (*emptypb.Empty, error) {
		tx.Unchanged()
		return &emptypb.Empty{}, fn(tx)
	})
	return err
}

func (b *bench) open(t interface{ Fatal(...any) }) (token string) {
	if err := b.do(func(tx *change.Tx) error {
		s, err := b.book.Open(tx, account, resource.NewID(), session.Login{})
		if err == nil {
			token = b.book.Token(s)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return token
}

var errEnded = errors.New("the session has ended")

func (b *bench) refresh(token string) (fresh string, err error) {
	var ended bool
	err = b.do(func(tx *change.Tx) error {
		s, over, err := b.book.Refresh(tx, "", token)
		ended = over
		if err == nil && !over {
			fresh = b.book.Token(s)
		}
		return err
	})
	if err == nil && ended {
		err = errEnded
	}
	return fresh, err
}

// TestRefresh_ownerNeverLosesTheSession: whatever answers get lost, an owner
// who always sends the newest token it has stays logged in.
func TestRefresh_ownerNeverLosesTheSession(t *testing.T) {
	b := newBench(t, session.Config{})
	rapid.Check(t, func(t *rapid.T) {
		token := b.open(t)
		for _, lost := range rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(t, "lost answers") {
			fresh, err := b.refresh(token)
			if err != nil {
				t.Fatalf("the owner's newest token is refused: %v", err)
			}
			if !lost {
				token = fresh
			}
		}
	})
}

// TestRefresh_thiefAndOwnerDoNotBothGoOn: once both have refreshed a copied
// token, in whatever order they come, the session ends before long.
func TestRefresh_thiefAndOwnerDoNotBothGoOn(t *testing.T) {
	b := newBench(t, session.Config{})
	rapid.Check(t, func(t *rapid.T) {
		copied := b.open(t)
		holders := []string{copied, copied}
		refreshed := [2]int{}
		for _, who := range rapid.SliceOfN(rapid.IntRange(0, 1), 12, 12).Draw(t, "turns") {
			fresh, err := b.refresh(holders[who])
			if err != nil {
				if !errors.Is(err, errEnded) {
					t.Fatal(err)
				}
				if _, err := b.refresh(holders[1-who]); !errs.Is(err, errs.Unauthenticated) {
					t.Fatalf("after the end the other still refreshes: %v", err)
				}
				return
			}
			holders[who] = fresh
			refreshed[who]++
			if refreshed[0] > 1 && refreshed[1] > 1 {
				t.Fatal("both go on")
			}
		}
	})
}

func TestOpen_endsTheOldestOfTooMany(t *testing.T) {
	b := newBench(t, session.Config{Most: 2})
	first, second, third := b.open(t), b.open(t), b.open(t)
	if _, err := b.refresh(first); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("the oldest of three refreshes: %v", err)
	}
	for _, token := range []string{second, third} {
		if _, err := b.refresh(token); err != nil {
			t.Error(err)
		}
	}
}
