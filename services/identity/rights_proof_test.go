package identity_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestDataSubjectRequests_aStolenSessionErasesNobody: what ends in an erasure, or
// opens the way to one, takes a fresh proof of who asks.
func TestDataSubjectRequests_aStolenSessionErasesNobody(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	admins, err := login(p, admin, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	q, err := p.ask(ctx, c.GetName(), erasure, "by letter")
	if err != nil {
		t.Fatal(err)
	}
	h := p.hold(ctx, c.GetName(), nil)
	stale := with(p.later(admins))
	calls := map[string]error{
		"verify": second(p.rights().VerifyIdentityOfDataSubject(stale, &identityv1.VerifyIdentityOfDataSubjectRequest{
			Name: q.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_DOCUMENT,
		})),
		"policy": second(p.rights().UpdateDataSubjectPolicy(stale, &identityv1.UpdateDataSubjectPolicyRequest{
			DataSubjectPolicy: &identityv1.DataSubjectPolicy{Name: org + "/dataSubjectPolicy", GracePeriod: durationpb.New(0)},
		})),
		"lift":      second(p.legalHolds().LiftLegalHold(stale, &identityv1.LiftLegalHoldRequest{Name: h.GetName()})),
		"one's own": second(p.ask(with(p.refreshed(tokens)), c.GetName(), erasure, "")),
		"to see it": second(p.ask(with(p.refreshed(tokens)), c.GetName(), toSee, "")),
	}
	for call, err := range calls {
		wantErrorOf(t, call, err, "STEP_UP_REQUIRED")
	}
	if got := p.asked(stale, q.GetName()).GetState(); got != identityv1.DataSubjectRequest_STATE_RECEIVED {
		t.Errorf("the request is %s", got)
	}
}

// TestDataSubjectRequests_ofOneCustomerAreBounded: they end together, in one
// transaction.
func TestDataSubjectRequests_ofOneCustomerAreBounded(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"}).GetName()
	for range 200 {
		q, err := p.ask(ctx, c, rectify, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.rights().WithdrawDataSubjectRequest(ctx, &identityv1.WithdrawDataSubjectRequestRequest{Name: q.GetName()}); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, second(p.ask(ctx, c, rectify, "")), errs.Exhausted, "DATA_SUBJECT_REQUEST_LIMIT")
	if _, err := p.ask(ctx, c, erasure, ""); err != nil {
		t.Errorf("an erasure can be asked for all the same: %v", err)
	}
	other := p.add(ctx, "c2", &identityv1.Customer{DisplayName: "Bob"}).GetName()
	if _, err := p.ask(ctx, other, rectify, ""); err != nil {
		t.Errorf("another customer's: %v", err)
	}
}

// TestDataSubjectRequests_toSeeWhatIsKeptAreFew, a day: each is work for all services.
func TestDataSubjectRequests_toSeeWhatIsKeptAreFew(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"}).GetName()
	for range 5 {
		q, err := p.ask(ctx, c, toSee, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.rights().WithdrawDataSubjectRequest(ctx, &identityv1.WithdrawDataSubjectRequestRequest{Name: q.GetName()}); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, second(p.ask(ctx, c, toSee, "")), errs.Exhausted, "DATA_SUBJECT_REQUEST_LIMIT")
	p.clock.advance(24 * time.Hour)
	if _, err := p.ask(p.relogin(), c, toSee, ""); err != nil {
		t.Errorf("a day later: %v", err)
	}
}

// TestErasure_atThePurgeOfADeletedCustomer: whose purge comes before the end of the
// time to think it over is erased then, with everything that is kept elsewhere.
func TestErasure_atThePurgeOfADeletedCustomer(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			p.grace(ctx, durationpb.New(14*24*time.Hour))
			c, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada Lovelace", Email: "ada@example.com"})
			if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c.GetName()}); err != nil {
				t.Fatal(err)
			}
			h.clock.advance(25 * 24 * time.Hour)
			ctx = p.relogin()
			q, err := p.ask(ctx, c.GetName(), erasure, "by letter")
			if err != nil {
				t.Fatal(err)
			}
			_, colleague := p.colleague(ctx, "bob")
			if q, err = p.rights().VerifyIdentityOfDataSubject(colleague, &identityv1.VerifyIdentityOfDataSubjectRequest{
				Name: q.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_DOCUMENT,
			}); err != nil {
				t.Fatal(err)
			}
			p.close()
			h.clock.advance(6 * 24 * time.Hour)
			p = h.start(config())
			ctx = p.relogin()
			p.until(func() bool {
				return p.asked(ctx, q.GetName()).GetState() == identityv1.DataSubjectRequest_STATE_FULFILLED
			})
			if !p.erased(ctx, c.GetName()) || len(p.asked(ctx, q.GetName()).GetErasure().GetReceipts()) < 2 {
				t.Errorf("the request is %v", p.asked(ctx, q.GetName()))
			}
			p.close()
			if left := p.holding("Lovelace", "ada@example.com"); len(left) > 0 {
				t.Errorf("what is left, and where: %v", left)
			}
		})
	}
}
