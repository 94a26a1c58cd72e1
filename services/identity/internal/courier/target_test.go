package courier_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
)

// TestOnce_nobodyIsWrittenToWithoutEnd: from one organisation so many go to one
// address at once, and then one every ten minutes, however it is spelt. Others do not
// wait.
func TestOnce_nobodyIsWrittenToWithoutEnd(t *testing.T) {
	eachOffice(t, delivery.Config{PerTarget: 3}, func(t *testing.T, o *office) {
		spellings := []string{"ada@example.com", "ADA@example.com", "Ada@Example.com"}
		for i := range 6 {
			o.invite(&storev1.Account{Name: fmt.Sprint(acme, "/customers/c", i), Email: spellings[i%3]})
		}
		o.invite(&storev1.Account{Name: acme + "/customers/bo", Email: "bo@example.com"})
		if to := o.bring(); len(to) != 4 || !slices.Contains(to, "bo@example.com") {
			t.Errorf("at once letters go to %v, want three to Ada and one to Bo", to)
		}
		o.invite(&storev1.Account{Name: other + "/customers/ada", Email: "ada@example.com"})
		if to := o.bring(); len(to) != 1 {
			t.Errorf("another organisation's letters go to %v, want one", to)
		}
		for range 3 {
			o.wait(10*time.Minute - time.Second)
			if to := o.bring(); len(to) != 0 {
				t.Errorf("too soon letters go to %v", to)
			}
			o.wait(time.Second)
			if to := o.bring(); len(to) != 1 {
				t.Errorf("after ten minutes letters go to %v, want one", to)
			}
		}
		o.wait(time.Hour)
		if o.sweep(); len(o.bring()) != 0 {
			t.Error("more than there were")
		}
	})
}

// TestOnce_manyTogetherDoNotWhatOneMustNot: of all organisations together four times
// as many go to one address.
func TestOnce_manyTogetherDoNotWhatOneMustNot(t *testing.T) {
	eachOffice(t, delivery.Config{PerTarget: 1}, func(t *testing.T, o *office) {
		for i := range 7 {
			o.invite(&storev1.Account{Name: fmt.Sprintf("organizations/o%d/customers/ada", i), Email: "ada@example.com"})
		}
		if to := o.bring(); len(to) != 4 {
			t.Errorf("at once letters go to %v, want four", to)
		}
		for range 3 {
			o.wait(150 * time.Second)
			if to := o.bring(); len(to) != 1 {
				t.Errorf("after two and a half minutes letters go to %v, want one", to)
			}
		}
	})
}

// TestOnce_codesDoNotWaitForWhatOthersSend: verifications and reminders, which others
// can cause, fill buckets of their own each, also that of all organisations.
func TestOnce_codesDoNotWaitForWhatOthersSend(t *testing.T) {
	eachOffice(t, delivery.Config{PerTarget: 1}, func(t *testing.T, o *office) {
		flood := func(kind identityv1.MessageKind) {
			for i := range 6 {
				a := &storev1.Account{Name: fmt.Sprintf("organizations/o%d/customers/mallory", i), Email: ada().GetEmail()}
				o.must(o.do(func(tx *change.Tx) error {
					_, err := o.outbox.Enqueue(tx, delivery.Message{Account: a, Kind: kind, Values: message.Values{message.Code: "1"}, Expire: tx.Time.Add(time.Hour)})
					return err
				}))
			}
			if n := len(o.bring()); n != 4 {
				t.Errorf("%d of %s are sent at once, want four", n, kind)
			}
		}
		flood(message.ContactVerification)
		flood(message.TaskReminder)
		news := o.tell(message.PasswordChanged, contact.Contact{})
		if to := o.bring(); len(to) != 1 {
			t.Errorf("letters go to %v, want the news alone", to)
		}
		o.wantState(news, identityv1.Delivery_STATE_SENT, 0)
	})
}

func (o *office) sweep() {
	o.t.Helper()
	for most := 1; most > 0; {
		o.must(o.store.Update(context.Background(), func(tx kv.Tx) (err error) {
			most, err = o.outbox.Sweep(tx, o.clock(), 10)
			return err
		}))
	}
}

const (
	saysArrived    = identityv1.ReportDeliveryRequest_OUTCOME_DELIVERED
	saysBounced    = identityv1.ReportDeliveryRequest_OUTCOME_BOUNCED
	saysComplained = identityv1.ReportDeliveryRequest_OUTCOME_COMPLAINED
)

func (o *office) report(d *identityv1.Delivery, outcome identityv1.ReportDeliveryRequest_Outcome) error {
	return o.do(func(tx *change.Tx) error {
		_, err := o.outbox.Report(tx, d.GetName(), outcome)
		return err
	})
}

func TestReport_movesAlongTheStates(t *testing.T) {
	for _, c := range []struct {
		says       []identityv1.ReportDeliveryRequest_Outcome
		want       identityv1.Delivery_State
		suppresses bool
	}{
		{[]identityv1.ReportDeliveryRequest_Outcome{saysArrived, saysArrived}, arrived, false},
		{[]identityv1.ReportDeliveryRequest_Outcome{saysBounced}, bounced, true},
		{[]identityv1.ReportDeliveryRequest_Outcome{saysArrived, saysBounced}, bounced, true},
		{[]identityv1.ReportDeliveryRequest_Outcome{saysBounced, saysArrived}, bounced, true},
		{[]identityv1.ReportDeliveryRequest_Outcome{saysComplained, saysComplained}, arrived, true},
	} {
		o := newOffice(t, "bolt", delivery.Config{})
		d := o.invite(ada())
		wantReason(t, o.report(d, saysArrived), errs.Precondition, "ILLEGAL_STATE")
		o.bring()
		for _, says := range c.says {
			o.must(o.report(d, says))
		}
		o.wantState(d, c.want, none)
		if got := len(o.suppressions()) == 1; got != c.suppresses {
			t.Errorf("after %v suppressed: %t", c.says, got)
		}
	}
	o := newOffice(t, "bolt", delivery.Config{})
	d := o.invite(ada())
	o.claim("a") // and the process ends when the provider has it
	o.must(o.report(d, saysArrived))
	o.wantState(d, arrived, none)
	o.wait(delivery.Lease)
	if to := o.bring(); len(to) > 0 || len(o.holds("SECRETCODE")) > 0 {
		t.Errorf("it is sent again, to %v", to)
	}
}

func (o *office) suppressions() (out []*identityv1.Suppression) {
	o.t.Helper()
	o.must(o.store.View(context.Background(), func(r kv.Reader) (err error) {
		out, _, err = o.outbox.Suppressions(r, acme, nil, 10)
		return err
	}))
	return out
}

func TestSuppression_holdsUntilItIsDeleted(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		d := o.invite(ada())
		o.bring()
		waiting := o.invite(ada())
		o.must(o.report(d, saysBounced))
		list := o.suppressions()
		if len(list) != 1 || list[0].GetCause() != saysBounced || list[0].GetDelivery() != d.GetName() || list[0].GetTargetHint() != "A***@example.com" || strings.Contains(list[0].GetName(), "ada") {
			t.Fatalf("suppressions are %v", list)
		}
		if to := o.bring(); len(to) > 0 {
			t.Errorf("letters go to %v", to)
		}
		o.wantState(waiting, suppressed, none)
		other := o.invite(&storev1.Account{Name: acme + "/staff/ada", Email: "ada@EXAMPLE.com"})
		o.wantState(other, suppressed, none)
		if len(o.holds("SECRETCODE")) > 0 {
			t.Error("what it would have said is kept")
		}
		remove := func(etag string) error {
			return o.do(func(tx *change.Tx) error {
				_, err := o.outbox.DeleteSuppression(tx, list[0].GetName(), etag)
				return err
			})
		}
		wantReason(t, remove("other"), errs.Conflict, "ETAG_MISMATCH")
		o.must(remove(list[0].GetEtag()))
		wantReason(t, remove(""), errs.NotFound, "SUPPRESSION_NOT_FOUND")
		o.invite(ada())
		if to := o.bring(); len(to) != 1 {
			t.Errorf("letters go to %v, want one", to)
		}
	})
}

func TestList_newestFirstByWhatTheFilterSays(t *testing.T) {
	eachOffice(t, delivery.Config{}, func(t *testing.T, o *office) {
		var want []string
		for i := range 5 {
			d := o.invite(&storev1.Account{Name: fmt.Sprint(acme, "/customers/c", i%2), Email: fmt.Sprintf("c%d@example.com", i)})
			want = append([]string{d.GetName()}, want...)
			o.wait(time.Second)
		}
		o.invite(&storev1.Account{Name: other + "/customers/c0", Email: "c0@example.com"})
		o.bring()
		last := o.invite(&storev1.Account{Name: acme + "/customers/c9", Phone: "+8613800138000"})
		for text, names := range map[string][]string{
			"":                                       append([]string{last.GetName()}, want...),
			`state = "SENT"`:                         want,
			`state = SENT AND channel = SMS`:         nil,
			`channel = "SMS" AND kind = INVITATION`:  {last.GetName()},
			`account = "` + acme + `/customers/c1"`:  {want[1], want[3]},
			`account = "` + other + `/customers/c0"`: nil,
			`kind = PASSWORD_CHANGED`:                nil,
		} {
			if got := o.list(text); !slices.Equal(got, names) {
				t.Errorf("%s finds %v, want %v", text, got, names)
			}
		}
		for _, bad := range []string{"state = GONE", "target = x", "kind = 1"} {
			if _, err := delivery.ParseFilter(bad); errs.ReasonOf(err) != "FILTER_INVALID" {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
}

// list returns all deliveries of acme that a filter selects, two a page.
func (o *office) list(text string) (names []string) {
	o.t.Helper()
	terms, err := delivery.ParseFilter(text)
	o.must(err)
	for after := []byte(nil); ; {
		page, next := o.pageOf(terms, after)
		if names = append(names, page...); next == nil {
			return names
		}
		after = next
	}
}

func (o *office) pageOf(terms filter.Terms, after []byte) (names []string, next []byte) {
	o.t.Helper()
	o.must(o.store.View(context.Background(), func(r kv.Reader) error {
		found, more, err := o.outbox.List(r, acme, terms, after, 2)
		names, next = nil, more
		for _, d := range found {
			names = append(names, d.GetName())
		}
		return err
	}))
	return names, next
}

func TestForget_nothingOfAnAccountStays(t *testing.T) {
	eachOffice(t, delivery.Config{Keep: 24 * time.Hour}, func(t *testing.T, o *office) {
		o.invite(ada())
		o.bring()
		waiting := o.invite(ada())
		o.must(o.store.Update(context.Background(), func(tx kv.Tx) error { return o.outbox.Forget(tx, ada().GetName()) }))
		if where := o.holds("SECRETCODE"); len(o.list("")) > 0 || len(where) > 0 {
			t.Errorf("there are %v, and the code in %v", o.list(""), where)
		}
		o.settle(delivery.Claimed{Delivery: waiting}, delivery.Outcome{}) // of what was under way
		o.invite(ada())
		o.bring()
		o.wait(25 * time.Hour)
		if o.sweep(); len(o.list("")) > 0 {
			t.Errorf("kept too long: %v", o.list(""))
		}
	})
}

func TestDelay_growsAndIsSpread(t *testing.T) {
	for attempt, want := range map[int32]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 9: 2560 * time.Second, 10: time.Hour, 1000: time.Hour} {
		low, high := delivery.Delay(attempt, 0), delivery.Delay(attempt, 1)
		if low != want*8/10 || high != want*12/10 {
			t.Errorf("attempt %d waits %s to %s, want a fifth about %s", attempt, low, high, want)
		}
	}
}
