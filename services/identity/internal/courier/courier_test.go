package courier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/provider"
)

const (
	queued     = identityv1.Delivery_STATE_QUEUED
	sent       = identityv1.Delivery_STATE_SENT
	arrived    = identityv1.Delivery_STATE_DELIVERED
	bounced    = identityv1.Delivery_STATE_BOUNCED
	suppressed = identityv1.Delivery_STATE_SUPPRESSED
	failed     = identityv1.Delivery_STATE_FAILED

	none        = identityv1.Delivery_FAILURE_UNSPECIFIED
	unavailable = identityv1.Delivery_FAILURE_UNAVAILABLE
	refused     = identityv1.Delivery_FAILURE_REFUSED
	expired     = identityv1.Delivery_FAILURE_EXPIRED
)

func TestOnce_sendsWhatTheChangeSaidAndForgetsIt(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		d := o.invite(ada())
		if d.GetTargetHint() != "A***@example.com" || d.GetChannel() != message.Email || d.GetLanguage() != "en" || d.GetState() != queued {
			t.Errorf("the delivery is %v", d)
		}
		if where := o.holds("SECRETCODE"); !slices.Equal(where, []string{"delivery_parcels"}) {
			t.Errorf("what it says is in %v", where)
		}
		o.must(o.courier().Once(t.Context()))
		if n := len(o.post.letters); n != 1 {
			t.Fatalf("%d letters, want 1", n)
		}
		l := o.post.letters[0]
		if l.To != "Ada@example.com" || !strings.HasSuffix(d.GetName(), "/"+l.ID) || l.Text.Subject != "Your account at ORGANIZATIONS/ACME" ||
			!strings.Contains(l.Text.Plain, "SECRETCODE") || !strings.Contains(l.Text.Plain, "valid for 1 day") {
			t.Errorf("the letter is %+v", l)
		}
		now := o.wantState(d, sent, none)
		if now.GetProvider() != "post" || now.GetAttemptCount() != 1 || now.GetSendTime() == nil || now.GetNextAttemptTime() != nil {
			t.Errorf("the delivery is %v", now)
		}
		for _, gone := range []string{"SECRETCODE", "Ada@example.com", "ada@example.com"} {
			if where := o.holds(gone); len(where) > 0 {
				t.Errorf("%s is still in %v", gone, where)
			}
		}
		if to := o.bring(); len(to) != 1 { // the one of before
			t.Errorf("it is sent again: %v", to)
		}
	})
}

func TestEnqueue_isOneWithItsChange(t *testing.T) {
	o := newOffice(t, "bolt", delivery.Config{})
	mistake := errors.New("not now")
	if err := o.do(func(tx *change.Tx) error {
		if _, err := o.outbox.Enqueue(tx, delivery.Message{Account: ada(), Kind: message.PasswordChanged, Expire: tx.Time.Add(time.Hour)}); err != nil {
			return err
		}
		return mistake
	}); !errors.Is(err, mistake) {
		t.Fatal(err)
	}
	if to := o.bring(); len(to) > 0 {
		t.Errorf("a message of a change that was not made went to %v", to)
	}
	if d := o.invite(&storev1.Account{Name: acme + "/staff/bo"}); d != nil {
		t.Errorf("a message to nobody: %v", d)
	}
	if d := o.invite(&storev1.Account{Name: acme + "/customers/bo", Phone: "+8613800138000"}); d.GetChannel() != message.SMS || d.GetLanguage() != "zh-CN" || d.GetTargetHint() != "***8000" {
		t.Errorf("the delivery is %v", d)
	}
}

func TestOnce_triesAgainLaterAndGivesUp(t *testing.T) {
	const attempts = 4
	eachOffice(t, delivery.Config{Attempts: attempts}, func(t *testing.T, o *office) {
		o.post.fail(errAway)
		d := o.invite(ada())
		var last time.Duration
		for i := range attempts {
			o.bring()
			if i == attempts-1 {
				break
			}
			now := o.wantState(d, queued, unavailable)
			delay := now.GetNextAttemptTime().AsTime().Sub(o.clock())
			if delay <= last {
				t.Errorf("attempt %d waits %s after one of %s", i+1, delay, last)
			}
			o.wait(delay - time.Millisecond)
			if o.bring(); o.wantState(d, queued, unavailable).GetAttemptCount() != int32(i+1) {
				t.Error("it is tried before its time")
			}
			o.wait(time.Millisecond)
			last = delay
		}
		dead := o.wantState(d, failed, unavailable)
		o.post.fail(nil)
		o.wait(2 * time.Hour)
		if to := o.bring(); len(to) > 0 {
			t.Errorf("a dead letter went to %v", to)
		}
		wantReason(t, o.retry(d, "other"), errs.Conflict, "ETAG_MISMATCH")
		o.must(o.retry(d, dead.GetEtag()))
		if to := o.bring(); len(to) != 1 {
			t.Errorf("after the retry letters go to %v", to)
		}
		o.wantState(d, sent, none)
		wantReason(t, o.retry(d, ""), errs.Precondition, "ILLEGAL_STATE")
		wantReason(t, o.retry(&identityv1.Delivery{Name: acme + "/deliveries/none"}, ""), errs.NotFound, "DELIVERY_NOT_FOUND")
	})
}

func (o *office) retry(d *identityv1.Delivery, etag string) error {
	return o.do(func(tx *change.Tx) error {
		_, err := o.outbox.Retry(tx, d.GetName(), etag)
		return err
	})
}

func wantReason(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("%v, want %s", err, reason)
	}
}

func TestOnce_asksNoMoreWhoRefuses(t *testing.T) {
	o := newOffice(t, "bolt", delivery.Config{})
	o.post.fail(fmt.Errorf("%w: 550", provider.ErrRefused))
	d := o.invite(ada())
	o.bring()
	o.wantState(d, failed, refused)
	o.must(o.retry(d, "")) // somebody has mended it
	o.wantState(d, queued, none)
}

func TestOnce_waitsForAsLongAsTheProviderSays(t *testing.T) {
	o := newOffice(t, "bolt", delivery.Config{})
	o.post.fail(errs.New(errs.Unavailable, "HOOK_UNAVAILABLE", "busy", errs.RetryAfter(30*time.Minute)))
	d := o.invite(ada())
	o.bring()
	if wait := o.wantState(d, queued, unavailable).GetNextAttemptTime().AsTime().Sub(o.clock()); wait != 30*time.Minute {
		t.Errorf("it waits %s", wait)
	}
}

func TestOnce_sendsNothingThatIsOfNoUse(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		o.post.fail(errAway)
		d, dead := o.invite(ada()), o.invite(&storev1.Account{Name: acme + "/customers/bo", Email: "bo@example.com"})
		o.bring()
		o.post.fail(fmt.Errorf("%w: 550", provider.ErrRefused))
		o.wait(time.Hour)
		o.bring()
		o.wantState(d, failed, refused)
		o.wait(23 * time.Hour)
		late := o.invite(ada())
		o.post.fail(nil)
		if to := o.bring(); len(to) != 1 {
			t.Errorf("letters go to %v, want one", to)
		}
		o.wantState(late, sent, none)
		for range 2 { // also when its words have been swept away
			wantReason(t, o.retry(dead, ""), errs.Precondition, "DELIVERY_EXPIRED")
			o.sweep()
		}
		if where := o.holds("SECRETCODE"); len(where) > 0 {
			t.Errorf("what it said is still in %v", where)
		}
		// One that waited for nobody to send it ends too.
		waiting := o.invite(ada())
		o.wait(48 * time.Hour)
		o.sweep()
		if to := o.bring(); len(to) > 0 {
			t.Errorf("letters go to %v", to)
		}
		o.wantState(waiting, failed, expired)
	})
}

// TestOnce_replicasSendEachOnce: several couriers at one outbox, at once.
func TestOnce_replicasSendEachOnce(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		const messages = 40
		for i := range messages {
			o.invite(&storev1.Account{Name: fmt.Sprint(acme, "/customers/c", i), Email: fmt.Sprintf("c%d@example.com", i)})
		}
		var couriers sync.WaitGroup
		for range 3 {
			c := o.courier()
			couriers.Go(func() {
				if err := c.Once(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		couriers.Wait()
		to := o.post.got()
		slices.Sort(to)
		if len(to) != messages || len(slices.Compact(to)) != messages {
			t.Errorf("%d letters to %d people, want %d", len(to), len(slices.Compact(to)), messages)
		}
	})
}

// TestClaim_anotherTakesOverWhenTheLeaseEnds: of a replica that was cut off, or
// comes back late.
func TestClaim_anotherTakesOverWhenTheLeaseEnds(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		d := o.invite(ada())
		claimed := o.claim("a")
		if len(claimed) != 1 || len(o.claim("b")) != 0 {
			t.Fatalf("claimed %d", len(claimed))
		}
		o.wait(delivery.Lease)
		again := o.claim("b")
		if len(again) != 1 || again[0].Delivery.GetName() != d.GetName() || again[0].Delivery.GetAttemptCount() != 2 {
			t.Fatalf("claimed %v", again)
		}
		// What the first has to say counts no more, unless it was sent.
		o.settle(claimed[0], delivery.Outcome{Provider: "a", Failure: refused})
		o.wantState(d, queued, none)
		o.settle(claimed[0], delivery.Outcome{Provider: "a"})
		o.wantState(d, sent, none)
		o.settle(again[0], delivery.Outcome{Provider: "b", Failure: unavailable})
		o.wantState(d, sent, none)
	})
}

func (o *office) claim(word string) (claimed []delivery.Claimed) {
	o.t.Helper()
	o.must(o.do(func(tx *change.Tx) (err error) {
		claimed, _, err = o.outbox.Claim(tx, word, 10)
		return err
	}))
	return claimed
}

func (o *office) settle(c delivery.Claimed, outcome delivery.Outcome) {
	o.t.Helper()
	o.must(o.do(func(tx *change.Tx) error {
		_, err := o.outbox.Settle(tx, c, outcome)
		return err
	}))
}
