package courier_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/change"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
)

const gone = identityv1.Delivery_STATE_WITHDRAWN

// tell puts a message without a code into the outbox, to a contact of Ada's.
func (o *office) tell(kind identityv1.MessageKind, to contact.Contact) (d *identityv1.Delivery) {
	o.t.Helper()
	o.must(o.do(func(tx *change.Tx) (err error) {
		d, err = o.outbox.Enqueue(tx, delivery.Message{Account: ada(), To: to, Kind: kind, Expire: tx.Time.Add(time.Hour)})
		return err
	}))
	return d
}

// TestEnqueue_takesThePlaceOfOneThatWaits, of the same kind for the same account and
// contact, and of no other.
func TestEnqueue_takesThePlaceOfOneThatWaits(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		before, phone := contact.Email("before@example.com"), contact.Phone("+8613800138000")
		first := o.invite(ada())
		changed := o.tell(message.PasswordChanged, contact.Contact{})
		notices := []*identityv1.Delivery{o.tell(message.ContactChanged, before), o.tell(message.ContactChanged, phone)}
		second := o.invite(ada())
		o.wantState(first, gone, 0)
		if where := o.holds("SECRETCODE"); !slices.Equal(where, []string{"delivery_parcels"}) {
			t.Errorf("the code is in %v", where)
		}
		if to := o.bring(); len(to) != 4 {
			t.Errorf("letters go to %v", to)
		}
		for _, d := range append(notices, changed, second) {
			o.wantState(d, identityv1.Delivery_STATE_SENT, 0)
		}
		third := o.invite(ada())
		o.wantState(second, identityv1.Delivery_STATE_SENT, 0)
		o.wantState(third, identityv1.Delivery_STATE_QUEUED, 0)
	})
}

// TestWithdraw_takesCodesBackAndLeavesNews: of what waits and of what has failed.
func TestWithdraw_takesCodesBackAndLeavesNews(t *testing.T) {
	eachOffice(t, delivery.Config{Attempts: 1}, func(t *testing.T, o *office) {
		o.post.fail(errAway)
		failedOne := o.invite(ada())
		o.bring()
		o.wantState(failedOne, identityv1.Delivery_STATE_FAILED, identityv1.Delivery_FAILURE_UNAVAILABLE)
		news := o.tell(message.PasswordChanged, contact.Contact{})
		elsewhere := o.tell(message.ContactVerification, contact.Email("new@example.com"))
		o.must(o.do(func(tx *change.Tx) error { return o.outbox.Withdraw(tx, ada().GetName(), contact.Of(ada())) }))
		o.wantState(failedOne, gone, identityv1.Delivery_FAILURE_UNAVAILABLE)
		if err := o.do(func(tx *change.Tx) error {
			_, err := o.outbox.Retry(tx, failedOne.GetName(), "")
			return err
		}); err == nil {
			t.Error("what was taken back is sent again")
		}
		o.post.fail(nil)
		if to := o.bring(); len(to) != 2 {
			t.Errorf("letters go to %v, want the news and the one to elsewhere", to)
		}
		o.wantState(news, identityv1.Delivery_STATE_SENT, 0)
		o.wantState(elsewhere, identityv1.Delivery_STATE_SENT, 0)
	})
}

// TestSettle_oneThatWentBeforeItWasWithdrawn has gone.
func TestSettle_oneThatWentBeforeItWasWithdrawn(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		d := o.invite(ada())
		var claimed []delivery.Claimed
		o.must(o.do(func(tx *change.Tx) (err error) {
			claimed, _, err = o.outbox.Claim(tx, "me", 1)
			return err
		}))
		o.must(o.do(func(tx *change.Tx) error { return o.outbox.Withdraw(tx, ada().GetName(), contact.Of(ada())) }))
		o.wantState(d, gone, 0)
		o.must(o.do(func(tx *change.Tx) error {
			_, err := o.outbox.Settle(tx, claimed[0], delivery.Outcome{Provider: "post"})
			return err
		}))
		o.wantState(d, identityv1.Delivery_STATE_SENT, 0)
	})
}

// TestOnce_aResetHasALink to the page that takes its code, in the language of the
// message, and in no text but its own.
func TestOnce_aResetHasALink(t *testing.T) {
	o := newOffice(t, "bolt", delivery.Config{})
	o.must(o.do(func(tx *change.Tx) error {
		_, err := o.outbox.Enqueue(tx, delivery.Message{
			Account: ada(), Kind: message.PasswordReset, Values: message.Values{message.Code: "A&B"}, Expire: tx.Time.Add(time.Hour),
		})
		return err
	}))
	o.must(o.courier().Once(t.Context()))
	o.post.mu.Lock()
	defer o.post.mu.Unlock()
	text := o.post.letters[0].Text
	if want := "\nhttps://id.example/oauth2/password?code=A%26B&ui_locales=en\n"; !strings.Contains(text.Plain, want) {
		t.Errorf("the text is %q", text.Plain)
	}
	if want := `<a href="https://id.example/oauth2/password?code=A%26B&amp;ui_locales=en">`; !strings.Contains(text.HTML, want) {
		t.Errorf("the HTML part is %q", text.HTML)
	}
}
