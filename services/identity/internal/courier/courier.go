// Package courier takes messages out of the outbox and gives them to providers,
// again and again until they are taken or given up.
//
// Replicas do so at once and do not get in each other's way: each claims what it
// sends (see package delivery). Between the claim and what came of it no
// transaction is open, and nothing of a message is in memory any longer than that.
package courier

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/provider"
)

const (
	// every is how often Run looks: how late a message may be on its way.
	every = time.Second
	// batch is how many messages are claimed at once, and atOnce how many of them
	// are sent at a time. All of a batch are through well within the lease.
	batch, atOnce = 8, 4
	// patience bounds one attempt.
	patience = 30 * time.Second
)

// Config says what a Courier needs, all of it.
type Config struct {
	Store     kv.Store
	Journal   *change.Journal
	Outbox    *delivery.Book
	Templates *message.Book
	// Mail and SMS are who brings what.
	Mail, SMS provider.Provider
	// Issuer is the URL that people know the gateway by: links lead there.
	Issuer string
	Logger *slog.Logger
	Meter  metric.Meter
	Clock  func() time.Time
}

// Courier sends messages. It is safe for concurrent use.
type Courier struct {
	cfg      Config
	attempts metric.Int64Counter
	age      metric.Float64Gauge
}

// New returns a courier. Start Run.
func New(cfg Config) (*Courier, error) {
	c := &Courier{cfg: cfg}
	var err error
	if c.attempts, err = cfg.Meter.Int64Counter("guildhall.identity.delivery.attempts",
		metric.WithDescription("Messages given to a provider, by provider and outcome: sent, later, failed.")); err != nil {
		return nil, err
	}
	c.age, err = cfg.Meter.Float64Gauge("guildhall.identity.delivery.queue.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest message that is still to be sent, as of the last look."))
	return c, err
}

// Run sends until ctx ends.
func (c *Courier) Run(ctx context.Context) error {
	return rounds.Loop{Do: c.Once, Failed: "messages could not be taken out of the outbox; trying again", Logger: c.cfg.Logger, Every: every}.Run(ctx)
}

// Once sends all that is due, and notes how old the oldest of the rest is.
func (c *Courier) Once(ctx context.Context) error {
	for {
		claimed, found, err := c.claim(ctx)
		if err != nil {
			return err
		}
		if err := c.sendAll(ctx, claimed); err != nil {
			return err
		}
		if found < batch {
			return c.look(ctx)
		}
	}
}

func (c *Courier) claim(ctx context.Context) (claimed []delivery.Claimed, found int, err error) {
	// Most looks find nothing, and need no transaction that writes.
	due := false
	if err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		due, err = c.cfg.Outbox.Due(r, c.cfg.Clock())
		return err
	}); err != nil || !due {
		return nil, 0, err
	}
	word := rand.Text()
	err = change.DoSystem(ctx, c.cfg.Journal, "identity.deliveries.send", func(tx *change.Tx) (err error) {
		claimed, found, err = c.cfg.Outbox.Claim(tx, word, batch)
		return err
	})
	return claimed, found, err
}

// sendAll sends what was claimed, some at a time. What cannot be noted of one
// keeps no other from being sent: its lease ends.
func (c *Courier) sendAll(ctx context.Context, claimed []delivery.Claimed) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, each := range claimed {
		g.Go(func() error { return c.send(ctx, each) })
	}
	return g.Wait()
}

// send gives one message to its provider and notes what came of it.
func (c *Courier) send(ctx context.Context, claimed delivery.Claimed) error {
	by := c.providerOf(claimed.Delivery.GetChannel())
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.hand(bounded, by, claimed)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // the process ends: another one sends it when the lease is over
	}
	outcome := c.outcome(by, claimed, err)
	var state identityv1.Delivery_State
	if err := change.DoSystem(ctx, c.cfg.Journal, "identity.deliveries.send", func(tx *change.Tx) (err error) {
		state, err = c.cfg.Outbox.Settle(tx, claimed, outcome)
		return err
	}); err != nil {
		return err
	}
	c.note(ctx, claimed.Delivery, by, state, err)
	return nil
}

func (c *Courier) providerOf(channel identityv1.MessageChannel) provider.Provider {
	if channel == message.SMS {
		return c.cfg.SMS
	}
	return c.cfg.Mail
}

// hand words a message and gives it to the provider.
func (c *Courier) hand(ctx context.Context, by provider.Provider, claimed delivery.Claimed) error {
	d := claimed.Delivery
	organization, id, _ := strings.Cut(d.GetName(), "/deliveries/")
	var template *identityv1.MessageTemplate
	if err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		template, err = c.cfg.Templates.For(r, organization, d.GetKind(), d.GetChannel(), d.GetLanguage())
		return err
	}); err != nil {
		return err
	}
	values := message.Values{message.Organization: claimed.Organization}
	for name, value := range claimed.Values {
		values[name] = value
	}
	if d.GetKind() == message.PasswordReset {
		values[message.Link] = c.link(d.GetLanguage(), values[message.Code])
	}
	if of, ok := values[message.Factor]; ok {
		values[message.Factor] = message.FactorName(d.GetLanguage(), of)
	}
	made := d.GetCreateTime().AsTime()
	values[message.Valid] = message.Duration(d.GetLanguage(), d.GetExpireTime().AsTime().Sub(made))
	text, err := message.Render(template, values)
	if err != nil {
		return err
	}
	return by.Send(ctx, provider.Letter{
		Delivery: d.GetName(), ID: id, Channel: d.GetChannel(), Kind: d.GetKind(), Language: d.GetLanguage(),
		To: claimed.Target, Text: text, Time: made,
	})
}

// link returns the address of the gateway's page on which a code sets a new password.
func (c *Courier) link(language, code string) string {
	return strings.TrimSuffix(c.cfg.Issuer, "/") + "/oauth2/password?" + url.Values{"ui_locales": {language}, "code": {code}}.Encode()
}

// outcome says what an attempt's error means. A provider that says when to come
// back is not asked before.
func (c *Courier) outcome(by provider.Provider, claimed delivery.Claimed, err error) delivery.Outcome {
	o := delivery.Outcome{Provider: by.Name()}
	switch {
	case err == nil:
	case errors.Is(err, provider.ErrRefused):
		o.Failure = identityv1.Delivery_FAILURE_REFUSED
	default:
		o.Failure = identityv1.Delivery_FAILURE_UNAVAILABLE
		o.Delay = max(delivery.Delay(claimed.Delivery.GetAttemptCount(), mathrand.Float64()), errs.From(err).RetryAfter)
	}
	return o
}

// note counts an attempt, and says what went wrong with it.
func (c *Courier) note(ctx context.Context, d *identityv1.Delivery, by provider.Provider, state identityv1.Delivery_State, err error) {
	outcome := "sent"
	switch {
	case err == nil:
	case state == identityv1.Delivery_STATE_QUEUED:
		outcome = "later"
		c.cfg.Logger.InfoContext(ctx, "a message was not taken; trying again later", "delivery", d.GetName(), "provider", by.Name(), "attempt", d.GetAttemptCount(), "error", err)
	default:
		outcome = "failed"
		c.cfg.Logger.WarnContext(ctx, "a message was not taken, and is not tried again", "delivery", d.GetName(), "provider", by.Name(), "attempt", d.GetAttemptCount(), "error", err)
	}
	c.attempts.Add(ctx, 1, metric.WithAttributes(attribute.String("provider", by.Name()), attribute.String("outcome", outcome)))
}

// look notes how old the oldest message is that is still to be sent.
func (c *Courier) look(ctx context.Context) error {
	return c.cfg.Store.View(ctx, func(r kv.Reader) error {
		oldest, err := c.cfg.Outbox.Oldest(r)
		age := time.Duration(0)
		if !oldest.IsZero() {
			age = max(c.cfg.Clock().Sub(oldest), 0)
		}
		c.age.Record(ctx, age.Seconds())
		return err
	})
}
