package courier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/protobuf/types/known/emptypb"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/courier"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/provider"
)

const acme, other = "organizations/acme", "organizations/other"

// office is an outbox with couriers who empty it, and those who get what they
// bring.
type office struct {
	t       *testing.T
	store   kv.Store
	tables  []string
	journal *change.Journal
	outbox  *delivery.Book
	words   *message.Book
	post    *post

	mu  sync.Mutex
	now time.Time
}

// post takes letters, unless it is told to fail.
type post struct {
	mu      sync.Mutex
	fault   error
	letters []provider.Letter
}

func (p *post) Name() string { return "post" }
func (p *post) Send(_ context.Context, l provider.Letter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != nil {
		return p.fault
	}
	p.letters = append(p.letters, l)
	return nil
}

func (p *post) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = err
}

// got returns where letters went since the last call.
func (p *post) got() (to []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.letters {
		to = append(to, l.To)
	}
	p.letters = nil
	return to
}

func eachOffice(t *testing.T, cfg delivery.Config, test func(t *testing.T, o *office)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newOffice(t, engine, cfg)) })
	}
}

func newOffice(t *testing.T, engine string, cfg delivery.Config) *office {
	t.Helper()
	o := &office{t: t, post: &post{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	ring, err := seal.New()
	o.must(err)
	organizations := organization.New()
	cfg.Hasher, cfg.Organizations = ring, organizations
	o.outbox, err = delivery.New(cfg)
	o.must(err)
	o.words = message.New(organizations)
	o.tables = append(kv.RawTables(organizations, o.outbox, o.words), change.Tables()...)
	o.store = testkit.Store(t, engine, "identity", o.tables)
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	o.must(err)
	events, err := feed.Open(t.Context(), feed.Config{Service: "identity", Store: o.store, Clock: o.clock})
	o.must(err)
	entries, err := audit.New(audit.Config{Store: o.store, Pages: pages})
	o.must(err)
	o.journal, err = change.NewJournal(change.Config{Service: "identity", Store: o.store, Feed: events, Audit: entries, Clock: o.clock})
	o.must(err)
	o.must(o.do(func(tx *change.Tx) error {
		for name, language := range map[string]string{acme: "zh-CN", other: ""} {
			if _, err := organizations.Create(tx, &identityv1.Organization{Name: name, DisplayName: strings.ToUpper(name), DefaultLanguage: language}, "", false); err != nil {
				return err
			}
		}
		return nil
	}))
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) clock() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *office) wait(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

func (o *office) do(fn func(*change.Tx) error) error {
	_, err := change.Do(context.Background(), o.journal, &emptypb.Empty{}, func(tx *change.Tx) (*emptypb.Empty, error) {
		tx.Unchanged()
		return &emptypb.Empty{}, fn(tx)
	})
	return err
}

// courier returns a replica's.
func (o *office) courier() *courier.Courier {
	o.t.Helper()
	c, err := courier.New(courier.Config{
		Store: o.store, Journal: o.journal, Outbox: o.outbox, Templates: o.words, Mail: o.post, SMS: o.post, Issuer: "https://id.example/",
		Logger: slog.New(slog.DiscardHandler), Meter: noop.NewMeterProvider().Meter(""), Clock: o.clock,
	})
	o.must(err)
	return c
}

// bring has a replica send all that is due, and returns where letters went.
func (o *office) bring() []string {
	o.t.Helper()
	o.must(o.courier().Once(context.Background()))
	return o.post.got()
}

// invite puts an invitation for an account into the outbox.
func (o *office) invite(a *storev1.Account) (d *identityv1.Delivery) {
	o.t.Helper()
	o.must(o.do(func(tx *change.Tx) (err error) {
		d, err = o.outbox.Enqueue(tx, delivery.Message{
			Account: a, Kind: message.Invitation, Values: message.Values{message.Code: "SECRETCODE"}, Expire: tx.Time.Add(24 * time.Hour),
		})
		return err
	}))
	return d
}

// ada is the account of somebody with a mail address.
func ada() *storev1.Account {
	return &storev1.Account{Name: acme + "/customers/ada", Email: "Ada@example.com", Language: "en"}
}

// wantState fails the test unless a delivery is in a state for a reason.
func (o *office) wantState(d *identityv1.Delivery, state identityv1.Delivery_State, failure identityv1.Delivery_Failure) *identityv1.Delivery {
	o.t.Helper()
	var now *identityv1.Delivery
	o.must(o.store.View(context.Background(), func(r kv.Reader) (err error) {
		now, err = o.outbox.Get(r, d.GetName())
		return err
	}))
	if now.GetState() != state || now.GetFailure() != failure {
		o.t.Fatalf("the delivery is %s, %s, want %s, %s", now.GetState(), now.GetFailure(), state, failure)
	}
	return now
}

// holds reports whether a text is anywhere in the store, which is not sealed here.
func (o *office) holds(text string) (where []string) {
	o.t.Helper()
	o.must(o.store.View(context.Background(), func(r kv.Reader) error {
		where = nil
		for _, table := range o.tables {
			for item, err := range r.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				if strings.Contains(string(item.Key)+string(item.Value), text) {
					where = append(where, table)
				}
			}
		}
		slices.Sort(where)
		where = slices.Compact(where)
		return nil
	}))
	return where
}

var errAway = fmt.Errorf("the post office: %w", errors.New("closed"))
