package identity_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// told waits for a message of a kind to somebody that says something.
func (p *process) told(kind, to, words string) mail {
	p.t.Helper()
	var m mail
	p.await("a message of kind "+kind+" to "+to+" that says "+words, func() bool {
		for _, m = range slices.Backward(p.mailbox()) {
			if m.Kind == kind && m.To == to && strings.Contains(m.Text, words) {
				return true
			}
		}
		return false
	})
	return m
}

// roomy is a configuration that sends much to one address at once.
func (h *host) roomy() *process {
	cfg := config()
	cfg.Delivery.PerTarget = 50
	return h.start(cfg)
}

// TestASVS_6_3_7_whoseFactorsChangeIsTold, by whoever and however: what was added or
// removed, and no secret with it.
func TestASVS_6_3_7_whoseFactorsChangeIsTold(t *testing.T) {
	const mail = "ada@example.com"
	p := newHost(t, "bolt").roomy()
	ctx := p.asAdmin()
	c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: mail})
	a, confirmed := p.enroll(with(tokens))
	added := p.told("FACTOR_ADDED", mail, "an authenticator app")
	for _, secret := range append(confirmed.GetRecoveryCodes(), a.code(0)) {
		if strings.Contains(added.Text+added.HTML, secret) {
			t.Errorf("the mail says a secret: %q", added.Text)
		}
	}
	if !strings.Contains(added.Text, p.clock.now().UTC().Format("2006-01-02")) || !strings.Contains(added.Subject, "A new way to log in at acme") {
		t.Errorf("the mail says %q: %q", added.Subject, added.Text)
	}
	_, done := p.register(with(tokens))
	p.told("FACTOR_ADDED", mail, "a passkey")
	fresh, err := p.factors().RegenerateRecoveryCodes(with(tokens), &identityv1.RegenerateRecoveryCodesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	codes := fresh.GetCodes()
	p.told("RECOVERY_CODES_REGENERATED", mail, "made anew")
	tokens = p.enterAgain(t, c.GetName(), codes[0])
	if used := p.told("RECOVERY_CODE_USED", mail, "somebody used"); strings.Contains(used.Text, codes[0]) {
		t.Errorf("the mail says %q", used.Text)
	}
	if _, err := p.factors().DeleteFactor(with(tokens), &identityv1.DeleteFactorRequest{Name: done.GetFactor().GetName()}); err != nil {
		t.Fatal(err)
	}
	p.told("FACTOR_REMOVED", mail, "a passkey")
	if _, err := p.factors().ResetFactors(p.asAdminAgain(), &identityv1.ResetFactorsRequest{Account: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	p.told("FACTOR_REMOVED", mail, "all second factors")
}

// TestRecoveryCode_inAProofIsToldToo: it is used up there as well; and in the language
// of who is told.
func TestRecoveryCode_inAProofIsToldToo(t *testing.T) {
	p := newHost(t, "bolt").roomy()
	ctx := p.asAdmin()
	_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Phone: "+8613800138000", Language: "zh-CN"})
	_, confirmed := p.enroll(with(tokens))
	if _, err := p.prove(tokens, withRecovery(confirmed.GetRecoveryCodes()[0])); err != nil {
		t.Fatal(err)
	}
	p.told("RECOVERY_CODE_USED", "+8613800138000", "恢复码")
	p.told("FACTOR_ADDED", "+8613800138000", "身份验证器应用")
}

// TestErasure_theCustomerIsToldWhileItCanBeTakenBack: also when staff wrote it down.
func TestErasure_theCustomerIsToldWhileItCanBeTakenBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.grace(ctx, durationpb.New(48*time.Hour))
		ada := p.add(ctx, "ada", &identityv1.Customer{Email: "ada@example.com"}).GetName()
		q, err := p.ask(ctx, ada, erasure, "by letter")
		if err != nil {
			t.Fatal(err)
		}
		_, other := p.colleague(ctx, "bob")
		verify := func(ctx context.Context) (*identityv1.DataSubjectRequest, error) {
			return p.rights().VerifyIdentityOfDataSubject(ctx, &identityv1.VerifyIdentityOfDataSubjectRequest{Name: q.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_DOCUMENT})
		}
		for range 2 { // to say it again changes nothing
			if q, err = verify(other); err != nil {
				t.Fatal(err)
			}
		}
		begins := q.GetErasure().GetEraseTime().AsTime().UTC().Format("2006-01-02 15:04 UTC")
		p.told("ERASURE_REQUESTED", "ada@example.com", begins)
		list, err := p.deliveries().ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org, Filter: `kind = ERASURE_REQUESTED`})
		if err != nil || len(list.GetDeliveries()) != 1 {
			t.Errorf("told by %v, %v; want once", list.GetDeliveries(), err)
		}
		_, tokens := p.customer(ctx, &identityv1.Customer{Phone: "+8613800138000", Language: "zh-CN"})
		if _, err := p.ask(with(tokens), tokens.GetAccount(), erasure, ""); err != nil {
			t.Fatal(err)
		}
		p.told("ERASURE_REQUESTED", "+8613800138000", "永久删除")
	})
}

// TestAccess_theCustomerIsTold: also of a copy that only staff asked for, once it is
// said who asks.
func TestAccess_theCustomerIsTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		ada := p.add(ctx, "ada", &identityv1.Customer{Email: "ada@example.com"}).GetName()
		q, err := p.ask(ctx, ada, identityv1.DataSubjectRequest_KIND_ACCESS, "by letter")
		if err != nil {
			t.Fatal(err)
		}
		told := func() int {
			list, err := p.deliveries().ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org, Filter: `kind = DATA_REQUESTED`})
			if err != nil {
				t.Fatal(err)
			}
			return len(list.GetDeliveries())
		}
		if n := told(); n != 0 {
			t.Errorf("told %d times of what nobody stands for", n)
		}
		for range 2 {
			if _, err := p.rights().VerifyIdentityOfDataSubject(ctx, &identityv1.VerifyIdentityOfDataSubjectRequest{Name: q.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_DOCUMENT}); err != nil {
				t.Fatal(err)
			}
		}
		p.told("DATA_REQUESTED", "ada@example.com", "a copy of all that it keeps of you")
		if n := told(); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		_, tokens := p.customer(ctx, &identityv1.Customer{Phone: "+8613800138000", Language: "zh-CN"})
		if _, err := p.ask(with(tokens), tokens.GetAccount(), identityv1.DataSubjectRequest_KIND_ACCESS, ""); err != nil {
			t.Fatal(err)
		}
		p.told("DATA_REQUESTED", "+8613800138000", "个人数据副本")
	})
}

// TestVerifyIdentityOfDataSubject_fourEyesOnErasure: who writes an erasure down does
// not verify it, for nobody can undo it. Of other requests that is for the
// organisation to say, by its roles.
func TestVerifyIdentityOfDataSubject_fourEyesOnErasure(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "ada", &identityv1.Customer{DisplayName: "Ada"}).GetName()
		bob, asBob := p.colleague(ctx, "bob")
		q, err := p.ask(asBob, c, erasure, "by letter")
		if err != nil || q.GetCreator() != bob {
			t.Fatalf("asked: %v, %v", q, err)
		}
		verify := func(ctx context.Context, name string, proof identityv1.DataSubjectRequest_Proof) (*identityv1.DataSubjectRequest, error) {
			return p.rights().VerifyIdentityOfDataSubject(ctx, &identityv1.VerifyIdentityOfDataSubjectRequest{Name: name, Proof: proof})
		}
		if q, err = verify(asBob, q.GetName(), 0); err != nil {
			t.Errorf("to ask for more: %v", err)
		}
		wantError(t, second(verify(asBob, q.GetName(), identityv1.DataSubjectRequest_PROOF_DOCUMENT)), errs.Precondition, "SELF_FORBIDDEN")
		if now := p.asked(ctx, q.GetName()); now.GetErasure() != nil || now.GetState() != identityv1.DataSubjectRequest_STATE_IDENTITY_CHECK {
			t.Errorf("the refusal left %v", now)
		}
		q, err = verify(ctx, q.GetName(), identityv1.DataSubjectRequest_PROOF_DOCUMENT)
		if err != nil || q.GetCreator() != bob || q.GetVerifier() != admin || q.GetErasure() == nil {
			t.Errorf("verified by another: %v, %v", q, err)
		}
		other, err := p.ask(asBob, c, rectify, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(asBob, other.GetName(), identityv1.DataSubjectRequest_PROOF_CONTACT); err != nil {
			t.Errorf("of another kind: %v", err)
		}
	})
}
