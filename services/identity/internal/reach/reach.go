// Package reach is how people keep the contacts by which they are reached: they
// prove the ones they have, and change them themselves.
//
// It brings together accounts, the codes that prove a contact, and the outbox that
// sends them. A contact is changed by who has read what was sent to the new one, in
// a session that has proven lately whose it is; the old one counts until then, and
// hears of it after. Nothing that is answered on the way depends on whose the new
// contact is now.
package reach

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/verification"
)

// Config says what a Desk needs. Meter and Clock have defaults.
type Config struct {
	Store         kv.Store
	Journal       *change.Journal
	Accounts      *account.Book
	Verifications *verification.Book
	// Outbox takes codes and news to people.
	Outbox *delivery.Book
	Meter  metric.Meter
	Clock  func() time.Time
}

// Desk serves people about their contacts. It is safe for concurrent use.
type Desk struct {
	cfg   Config
	codes metric.Int64Counter
}

// New returns a desk.
func New(cfg Config) (*Desk, error) {
	if cfg.Store == nil || cfg.Journal == nil || cfg.Accounts == nil || cfg.Verifications == nil || cfg.Outbox == nil {
		return nil, errors.New("reach: a desk needs a store, a journal and the centres it brings together")
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.NewMeterProvider().Meter("")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	codes, err := cfg.Meter.Int64Counter("guildhall.identity.contact.codes",
		metric.WithDescription("Codes that prove contacts, by outcome: made, throttled, right, wrong."))
	return &Desk{cfg: cfg, codes: codes}, err
}

func (d *Desk) count(ctx context.Context, outcome string) {
	d.codes.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
}

// List returns the caller's contacts and the codes that are open. The error is
// Precondition (ILLEGAL_STATE) for a program.
func (d *Desk) List(ctx context.Context, caller authn.Caller) (*identityv1.ListContactsResponse, error) {
	resp := &identityv1.ListContactsResponse{}
	err := d.cfg.Store.View(ctx, func(r kv.Reader) error {
		a, err := d.person(r, caller)
		if err != nil {
			return err
		}
		open, err := d.cfg.Verifications.List(r, caller.Name, d.cfg.Clock())
		resp.Contacts, resp.Verifications = nil, nil
		for _, c := range contact.All(a) {
			resp.Contacts = append(resp.Contacts, view(a, c.Channel))
		}
		for _, v := range open {
			resp.Verifications = append(resp.Verifications, verification.View(v))
		}
		return err
	})
	return resp, err
}

// person returns the caller's account, who is a person.
func (d *Desk) person(r kv.Reader, caller authn.Caller) (*storev1.Account, error) {
	if _, err := account.ParseName("", caller.Name); err != nil {
		return nil, errs.New(errs.Precondition, "ILLEGAL_STATE", "only people have contacts; a program has its keys")
	}
	rec, err := d.cfg.Accounts.Get(r, caller.Name)
	return rec.Value, err
}

// view returns the API's view of an account's contact.
func view(a *storev1.Account, channel identityv1.MessageChannel) *identityv1.Contact {
	return &identityv1.Contact{Channel: channel, Value: contact.On(a, channel).Target, VerifyTime: contact.VerifyTime(a, channel)}
}
