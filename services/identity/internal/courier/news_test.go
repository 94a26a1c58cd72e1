package courier_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
)

// news tells an account that it has one more passkey.
func (o *office) news(a *storev1.Account) {
	o.t.Helper()
	o.must(o.do(func(tx *change.Tx) error {
		tx.Unchanged() // but for the message
		return o.outbox.Tell(tx, delivery.Message{
			Account: a, Kind: message.FactorAdded, Values: message.Values{message.Time: "now", message.Factor: "PASSKEY"},
		})
	}))
}

// TestTell_byAllThatWasProven: and by what somebody wrote down only where there is
// nothing else.
func TestTell_byAllThatWasProven(t *testing.T) {
	proven := timestamppb.Now()
	const mail, number = "ada@example.com", "+8613800138000"
	for name, c := range map[string]struct {
		account *storev1.Account
		want    []string
	}{
		"both":            {&storev1.Account{Email: mail, Phone: number, EmailVerifyTime: proven, PhoneVerifyTime: proven}, []string{number, mail}},
		"the phone alone": {&storev1.Account{Email: "eve@example.com", Phone: number, PhoneVerifyTime: proven}, []string{number}},
		"neither":         {&storev1.Account{Email: mail, Phone: number}, []string{mail}},
		"reached by none": {&storev1.Account{}, nil},
		"an address gone": {&storev1.Account{Phone: number, EmailVerifyTime: proven}, []string{number}},
	} {
		o := newOffice(t, "bolt", delivery.Config{})
		c.account.Name = acme + "/customers/ada"
		o.news(c.account)
		to := slices.Sorted(slices.Values(o.bring()))
		if !slices.Equal(to, c.want) {
			t.Errorf("%s: told at %v, want %v", name, to, c.want)
		}
	}
}

// TestTell_waitsForNothingThatStrangersCanAskFor: an address that is written to too
// much hears of what is done to its account all the same.
func TestTell_waitsForNothingThatStrangersCanAskFor(t *testing.T) {
	eachOffice(t, delivery.Config{PerTarget: 2}, func(t *testing.T, o *office) {
		for i := range 4 {
			o.invite(&storev1.Account{Name: fmt.Sprint(acme, "/customers/c", i), Email: "ada@example.com"})
		}
		if to := o.bring(); len(to) != 2 {
			t.Fatalf("at once letters go to %v, want two", to)
		}
		o.news(ada())
		o.must(o.courier().Once(t.Context()))
		if l := o.post.letters; len(l) != 1 || l[0].Kind != message.FactorAdded {
			t.Errorf("the news are not brought: %v", l)
		}
	})
}
