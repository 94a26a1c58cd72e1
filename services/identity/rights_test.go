package identity_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// long: the way of a request through its states, and what is no way.
func TestDataSubjectRequest_goesThroughItsStates(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"}).GetName()
		q, err := p.ask(ctx, c, rectify, "the name is wrong")
		if err != nil || q.GetState() != identityv1.DataSubjectRequest_STATE_RECEIVED || q.GetProof() != 0 {
			t.Fatalf("what staff write down is %v, %v", q, err)
		}
		wantError(t, second(p.ask(ctx, c, rectify, "again")), errs.Precondition, "DATA_SUBJECT_REQUEST_OPEN")
		verify := func(proof identityv1.DataSubjectRequest_Proof, etag string) (*identityv1.DataSubjectRequest, error) {
			return p.rights().VerifyIdentityOfDataSubject(ctx, &identityv1.VerifyIdentityOfDataSubjectRequest{Name: q.GetName(), Proof: proof, Etag: etag})
		}
		fulfil := func(etag string) (*identityv1.DataSubjectRequest, error) {
			return p.rights().FulfilDataSubjectRequest(ctx, &identityv1.FulfilDataSubjectRequestRequest{Name: q.GetName(), Etag: etag, Answer: "done"})
		}
		extend := func() (*identityv1.DataSubjectRequest, error) {
			return p.rights().ExtendDataSubjectRequest(ctx, &identityv1.ExtendDataSubjectRequestRequest{Name: q.GetName(), Reason: "many requests"})
		}
		wantError(t, second(fulfil("")), errs.Precondition, "ILLEGAL_STATE")
		wantError(t, second(extend()), errs.Precondition, "ILLEGAL_STATE")
		if q, err = verify(0, q.GetEtag()); err != nil || q.GetState() != identityv1.DataSubjectRequest_STATE_IDENTITY_CHECK {
			t.Fatalf("more to show: %v, %v", q, err)
		}
		wantError(t, second(verify(identityv1.DataSubjectRequest_PROOF_LOGIN, "")), errs.Invalid, "VALIDATION_FAILED")
		if q, err = verify(identityv1.DataSubjectRequest_PROOF_DOCUMENT, ""); err != nil || q.GetState() != identityv1.DataSubjectRequest_STATE_IN_PROGRESS || q.GetVerifier() != admin {
			t.Fatalf("verified: %v, %v", q, err)
		}
		due := q.GetDueTime().AsTime()
		if days := due.Sub(q.GetCreateTime().AsTime()).Hours() / 24; days < 28 || days > 31 {
			t.Errorf("due after %v days, want a month", days)
		}
		if q, err = extend(); err != nil || q.GetState() != identityv1.DataSubjectRequest_STATE_EXTENDED || q.GetDueTime().AsTime().Before(due.AddDate(0, 0, 58)) {
			t.Fatalf("extended: %v, %v", q, err)
		}
		wantError(t, second(extend()), errs.Precondition, "ILLEGAL_STATE")
		wantError(t, second(fulfil("wrong")), errs.Conflict, "ETAG_MISMATCH")
		if q, err = fulfil(q.GetEtag()); err != nil || q.GetState() != identityv1.DataSubjectRequest_STATE_FULFILLED {
			t.Fatalf("fulfilled: %v, %v", q, err)
		}
		wantError(t, second(fulfil("")), errs.Precondition, "DATA_SUBJECT_REQUEST_ENDED")
		wantError(t, second(p.ask(ctx, org+"/customers/none", rectify, "")), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, second(p.ask(ctx, c, 0, "")), errs.Invalid, "VALIDATION_FAILED")
		wantError(t, second(p.rights().GetDataSubjectRequest(ctx, &identityv1.GetDataSubjectRequestRequest{Name: "organizations/other/customers/c1/dataSubjectRequests/r1"})),
			errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, second(p.rights().GetDataSubjectRequest(ctx, &identityv1.GetDataSubjectRequestRequest{Name: c + "/dataSubjectRequests/none"})),
			errs.NotFound, "DATA_SUBJECT_REQUEST_NOT_FOUND")
	})
}

// TestDataSubjectRequest_erasureCanBeTakenBackInTime: a customer needs a fresh proof
// to ask, and has days to think it over.
func TestDataSubjectRequest_erasureCanBeTakenBackInTime(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.grace(ctx, durationpb.New(time.Hour))
	c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	asAda := with(tokens)
	q, err := p.ask(asAda, c.GetName(), erasure, "")
	if err != nil || q.GetState() != identityv1.DataSubjectRequest_STATE_IN_PROGRESS {
		t.Fatalf("the customer's own request is %v, %v", q, err)
	}
	if wait := q.GetErasure().GetEraseTime().AsTime().Sub(q.GetCreateTime().AsTime()); wait != time.Hour {
		t.Errorf("the erasure waits %v, want an hour", wait)
	}
	wantError(t, second(p.rights().FulfilDataSubjectRequest(ctx, &identityv1.FulfilDataSubjectRequestRequest{Name: q.GetName()})), errs.Precondition, "ERASURE_FULFILS_ITSELF")
	wantError(t, second(p.rights().VerifyIdentityOfDataSubject(asAda, &identityv1.VerifyIdentityOfDataSubjectRequest{
		Name: q.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_CONTACT,
	})), errs.Precondition, "SELF_FORBIDDEN")
	withdraw := &identityv1.WithdrawDataSubjectRequestRequest{Name: q.GetName(), Etag: q.GetEtag(), RequestId: "w1"}
	first, err := p.rights().WithdrawDataSubjectRequest(asAda, withdraw)
	if err != nil || first.GetState() != identityv1.DataSubjectRequest_STATE_WITHDRAWN {
		t.Fatalf("withdrawn: %v, %v", first, err)
	}
	if again, err := p.rights().WithdrawDataSubjectRequest(asAda, withdraw); err != nil || again.GetEtag() != first.GetEtag() {
		t.Errorf("the same request_id: %v, %v; want the first answer", again, err)
	}
	p.clock.advance(4 * time.Minute) // the token lives for five
	if _, err := p.ask(asAda, c.GetName(), rectify, ""); err != nil {
		t.Error(err)
	}
	if err := p.gone(ctx, c.GetName()); err != nil {
		t.Errorf("the customer: %v", err)
	}
}

// TestDataSubjectRequests_areListedAsTheyAreDue: filters, pages, and what is overdue.
func TestDataSubjectRequests_areListedAsTheyAreDue(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"}).GetName()
		d := p.add(ctx, "c2", &identityv1.Customer{DisplayName: "Bob"}).GetName()
		for _, of := range []string{c, d} {
			if _, err := p.ask(ctx, of, rectify, ""); err != nil {
				t.Fatal(err)
			}
			p.clock.advance(time.Second)
		}
		refused, err := p.ask(ctx, d, identityv1.DataSubjectRequest_KIND_OBJECT, "")
		if err != nil {
			t.Fatal(err)
		}
		if refused, err = p.rights().RefuseDataSubjectRequest(ctx, &identityv1.RefuseDataSubjectRequestRequest{
			Name: refused.GetName(), Refusal: identityv1.DataSubjectRequest_REFUSAL_EXCESSIVE, Answer: "the fifth time",
		}); err != nil || refused.GetRefusal() != identityv1.DataSubjectRequest_REFUSAL_EXCESSIVE {
			t.Fatalf("refused: %v, %v", refused, err)
		}
		count := func(parent, filter string) (n int) {
			t.Helper()
			for token := ""; ; {
				resp, err := p.rights().ListDataSubjectRequests(ctx, &identityv1.ListDataSubjectRequestsRequest{Parent: parent, Filter: filter, PageSize: 1, PageToken: token})
				if err != nil {
					t.Fatal(err)
				}
				n += len(resp.GetDataSubjectRequests())
				if token = resp.GetNextPageToken(); token == "" {
					return n
				}
			}
		}
		for _, x := range []struct {
			parent, filter string
			want           int
		}{
			{org, "", 3}, {c, "", 1}, {d, "", 2}, {org, `state = "REFUSED"`, 1}, {org, `kind = "RECTIFY"`, 2},
			{org, `open = true`, 2}, {d, `open = false`, 1}, {org, `overdue = true`, 0},
		} {
			if got := count(x.parent, x.filter); got != x.want {
				t.Errorf("%s with %q has %d requests, want %d", x.parent, x.filter, got, x.want)
			}
		}
		err = second(p.rights().ListDataSubjectRequests(ctx, &identityv1.ListDataSubjectRequestsRequest{Parent: org, Filter: `state = "GONE"`}))
		wantError(t, err, errs.Invalid, "FILTER_INVALID")
		p.clock.advance(32 * 24 * time.Hour)
		ctx = p.relogin()
		if got := count(org, `overdue = true`); got != 2 {
			t.Errorf("%d requests are overdue, want 2", got)
		}
	})
}

// TestLegalHold_isListedAndLifted: and refused where it makes no sense.
func TestLegalHold_isListedAndLifted(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"}).GetName()
	h := p.hold(ctx, c, nil)
	p.hold(ctx, c, nil)
	list := func(filter string) int {
		t.Helper()
		resp, err := p.legalHolds().ListLegalHolds(ctx, &identityv1.ListLegalHoldsRequest{Parent: org, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		return len(resp.GetLegalHolds())
	}
	lift := &identityv1.LiftLegalHoldRequest{Name: h.GetName(), Etag: "wrong"}
	wantError(t, second(p.legalHolds().LiftLegalHold(ctx, lift)), errs.Conflict, "ETAG_MISMATCH")
	lift.Etag = ""
	lifted, err := p.legalHolds().LiftLegalHold(ctx, lift)
	if err != nil || lifted.GetState() != identityv1.LegalHold_STATE_LIFTED || lifted.GetLifter() != admin {
		t.Fatalf("lifted: %v, %v", lifted, err)
	}
	if again, err := p.legalHolds().LiftLegalHold(ctx, lift); err != nil || again.GetEtag() != lifted.GetEtag() {
		t.Errorf("lifted again: %v, %v", again, err)
	}
	if got := []int{list(""), list(`state = "ACTIVE"`), list(`customer = "` + c + `"`), list(`customer = "organizations/other/customers/c1"`)}; got[0] != 2 || got[1] != 1 || got[2] != 2 || got[3] != 0 {
		t.Errorf("lists have %v", got)
	}
	create := func(parent, customer string) error {
		return second(p.legalHolds().CreateLegalHold(ctx, &identityv1.CreateLegalHoldRequest{Parent: parent, LegalHold: &identityv1.LegalHold{Customer: customer, Reason: "r"}}))
	}
	wantError(t, create(org, "organizations/other/customers/c1"), errs.NotFound, "RESOURCE_NOT_FOUND")
	wantError(t, create("organizations/other", c), errs.Invalid, "PARENT_MISMATCH")
	wantError(t, create(org, org+"/customers/none"), errs.NotFound, "CUSTOMER_NOT_FOUND")
	wantError(t, second(p.legalHolds().GetLegalHold(ctx, &identityv1.GetLegalHoldRequest{Name: "organizations/other/legalHolds/h"})), errs.NotFound, "RESOURCE_NOT_FOUND")
	wantError(t, second(p.legalHolds().GetLegalHold(ctx, &identityv1.GetLegalHoldRequest{Name: org + "/legalHolds/none"})), errs.NotFound, "LEGAL_HOLD_NOT_FOUND")
}
