package verification_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/verification"
)

const ada, bo = "organizations/acme/customers/ada", "organizations/acme/customers/bo"

const (
	byMail = identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL
	bySMS  = identityv1.MessageChannel_MESSAGE_CHANNEL_SMS
)

// desk is a book with a store and a clock.
type desk struct {
	t       *testing.T
	book    *verification.Book
	store   kv.Store
	journal *change.Journal
	now     time.Time
}

func eachDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	book := verification.New(ring)
	testkit.EachStore(t, "identity", append(book.Tables(), change.Tables()...), func(t *testing.T, s kv.Store) {
		d := &desk{t: t, book: book, store: s, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		clock := func() time.Time { return d.now }
		pages, err := page.NewCodec(make([]byte, page.KeySize))
		d.must(err)
		events, err := feed.Open(t.Context(), feed.Config{Service: "identity", Store: s, Clock: clock})
		d.must(err)
		entries, err := audit.New(audit.Config{Store: s, Pages: pages})
		d.must(err)
		d.journal, err = change.NewJournal(change.Config{Service: "identity", Store: s, Feed: events, Audit: entries, Clock: clock})
		d.must(err)
		test(t, d)
	})
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) open(account string, to contact.Contact, code string) {
	d.t.Helper()
	_, err := change.Do(context.Background(), d.journal, &emptypb.Empty{}, func(tx *change.Tx) (*emptypb.Empty, error) {
		tx.Unchanged()
		_, err := d.book.Open(tx, account, to, code, true)
		return &emptypb.Empty{}, err
	})
	d.must(err)
}

// redeem returns where the code proves that the account is reached, "" for nowhere.
func (d *desk) redeem(account string, channel identityv1.MessageChannel, code string) (target string) {
	d.t.Helper()
	d.must(d.store.Update(context.Background(), func(tx kv.Tx) error {
		v, err := d.book.Redeem(tx, account, channel, code, d.now)
		target = v.GetTarget()
		return err
	}))
	return target
}

func TestRedeem_onceByItsAccountOnItsChannel(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		d.open(ada, contact.Email("ada@example.com"), "12345678")
		d.open(ada, contact.Phone("+8613800138000"), "87654321")
		d.open(bo, contact.Email("bo@example.com"), "11111111")
		for _, c := range []struct {
			account string
			channel identityv1.MessageChannel
			code    string
			want    string
		}{
			{bo, byMail, "12345678", ""},
			{ada, bySMS, "12345678", ""},
			{ada, byMail, "", ""},
			{ada, byMail, "1234567", ""},
			{ada, byMail, " 1234-5678\n", "ada@example.com"},
			{ada, byMail, "12345678", ""},
			{ada, bySMS, "８７６５４３２１", "+8613800138000"},
			{bo, byMail, "11111111", "bo@example.com"},
		} {
			if got := d.redeem(c.account, c.channel, c.code); got != c.want {
				t.Errorf("%q of %s by %s proves %q, want %q", c.code, c.account, c.channel, got, c.want)
			}
		}
	})
}

func TestRedeem_theFifthWrongOneVoidsTheRightOne(t *testing.T) {
	for wrong, want := range map[int]string{4: "ada@example.com", 5: ""} {
		eachDesk(t, func(t *testing.T, d *desk) {
			d.open(ada, contact.Email("ada@example.com"), "12345678")
			for range wrong {
				d.redeem(ada, byMail, "00000000")
			}
			if got := d.redeem(ada, byMail, "12345678"); got != want {
				t.Errorf("after %d wrong ones it proves %q, want %q", wrong, got, want)
			}
		})
	}
}

func TestSweep_removesWhatHasExpired(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		d.open(ada, contact.Email("ada@example.com"), "12345678")
		d.now = d.now.Add(verification.Lifetime - time.Second)
		d.open(bo, contact.Email("bo@example.com"), "12345678")
		d.now = d.now.Add(time.Second)
		if got := d.redeem(ada, byMail, "12345678"); got != "" {
			t.Errorf("an expired one proves %q", got)
		}
		n := 0
		d.must(d.store.Update(context.Background(), func(tx kv.Tx) (err error) {
			n, err = d.book.Sweep(tx, d.now, 10)
			return err
		}))
		if n != 1 || d.redeem(bo, byMail, "12345678") == "" {
			t.Errorf("%d are gone, or one that has not expired is", n)
		}
	})
}

func TestNewCode_eightDigits(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		code, err := verification.NewCode()
		if err != nil || len(code) != 8 {
			t.Fatalf("%q, %v", code, err)
		}
		seen[code] = true
	}
	if len(seen) < 990 {
		t.Errorf("of 1000 codes %d are different", len(seen))
	}
}
