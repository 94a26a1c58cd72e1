package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestSegment_isNoWayToMoreThanTheCallerHolds: whatever call makes a customer
// join a segment asks whether the caller holds what the segment does.
func TestSegment_isNoWayToMoreThanTheCallerHolds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{Country: "DE"}).GetName()
		vip := p.segment(ctx, "vip", `customer.country == "CN"`)
		fixed := p.segment(ctx, "fixed", "")
		p.evaluated(ctx, vip.GetName())
		calls := map[string]func() error{
			"an update": func() error { return p.rewrite(ctx, &identityv1.Customer{Name: c, Country: "CN"}) },
			"a new customer": func() error {
				_, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Country: "CN"}})
				return err
			},
			"another rule": func() error { return p.rerule(ctx, vip.GetName(), "true", "") },
			"an evaluation": func() error {
				_, err := p.segments().EvaluateSegment(ctx, &identityv1.EvaluateSegmentRequest{Name: vip.GetName()})
				return err
			},
			"a member of a list": func() error { return p.list(ctx, fixed.GetName(), c) },
		}
		p.permission.set(false, vip.GetName(), fixed.GetName())
		for name, call := range calls {
			if err := call(); !errs.Is(err, errs.Denied) || errs.ReasonOf(err) != "TARGET_EXCEEDS_CALLER" {
				t.Errorf("%s: %v", name, err)
			}
		}
		results := p.upload(ctx, "external_id,country\n1,DE\n2,CN\n")
		if len(results) != 2 || results[0].GetReason() != "" || results[1].GetReason() != "TARGET_EXCEEDS_CALLER" {
			t.Errorf("an import: %v", results)
		}
		p.permission.set(true)
		for name, call := range calls {
			if err := call(); !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != "PERMISSION_UNAVAILABLE" {
				t.Errorf("%s while permission is away: %v", name, err)
			}
		}
		if got := p.members(ctx, vip.GetName()) + p.members(ctx, fixed.GetName()); got != "" {
			t.Errorf("members: %s", got)
		}
		// What moves nobody asks nobody.
		if err := p.rewrite(ctx, &identityv1.Customer{Name: c, Country: "FR"}); err != nil {
			t.Error(err)
		}
		p.permission.set(false)
		if err := calls["an update"](); err != nil {
			t.Error(err)
		}
		if asked := p.permission.questions(); len(asked) != 1 || asked[0].GetSubject() != vip.GetName() || asked[0].GetDenied() {
			t.Errorf("permission was asked %v", asked)
		}
		if got := p.members(ctx, vip.GetName()); got != "c1" {
			t.Errorf("members: %s", got)
		}
	})
}

// TestSegment_isNoWayOutOfADenial: to take a customer out of a segment to which
// something is denied is to give, by whatever call.
func TestSegment_isNoWayOutOfADenial(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{Country: "CN", ExternalId: "1"}).GetName()
		barred, fixed := p.segment(ctx, "barred", `customer.country == "CN"`), p.segment(ctx, "fixed", "")
		p.evaluated(ctx, barred.GetName())
		if err := p.list(ctx, fixed.GetName(), c); err != nil {
			t.Fatal(err)
		}
		calls := map[string]func() error{
			"an update":    func() error { return p.rewrite(ctx, &identityv1.Customer{Name: c, Country: "DE"}) },
			"another rule": func() error { return p.rerule(ctx, barred.GetName(), "false", "") },
			"an evaluation": func() error {
				return second(p.segments().EvaluateSegment(ctx, &identityv1.EvaluateSegmentRequest{Name: barred.GetName()}))
			},
			"a deleted segment": func() error {
				return second(p.segments().DeleteSegment(ctx, &identityv1.DeleteSegmentRequest{Name: barred.GetName()}))
			},
			"a deleted list": func() error {
				return second(p.segments().DeleteSegment(ctx, &identityv1.DeleteSegmentRequest{Name: fixed.GetName()}))
			},
			"off a list": func() error {
				return second(p.segments().DeleteSegmentMember(ctx, &identityv1.DeleteSegmentMemberRequest{Name: fixed.GetName() + "/members/c1"}))
			},
		}
		p.permission.set(false, denied(barred.GetName()), denied(fixed.GetName()))
		for name, call := range calls {
			if err := call(); !errs.Is(err, errs.Denied) || errs.ReasonOf(err) != "TARGET_EXCEEDS_CALLER" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if results := p.upload(ctx, "external_id,country\n1,DE\n"); len(results) != 1 || results[0].GetReason() != "TARGET_EXCEEDS_CALLER" {
			t.Errorf("an import: %v", results)
		}
		if got := p.members(ctx, barred.GetName()) + p.members(ctx, fixed.GetName()); got != "c1c1" {
			t.Errorf("members: %s", got)
		}
		// Nobody has to hold what the segment does: the customer loses that.
		p.permission.set(false, barred.GetName(), fixed.GetName())
		for _, name := range []string{"off a list", "an update", "a deleted list", "a deleted segment"} {
			if err := calls[name](); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestSegment_permitsAreAskedForInGoodTime: what makes a customer move later, when
// nobody is asked any more, needs the same right as what makes it move now.
func TestSegment_permitsAreAskedForInGoodTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.define(ctx, "until", &identityv1.AttributeDefinition{Type: identityv1.AttributeDefinition_TYPE_DATE})
		today := p.clock.now().UTC()
		later := func(days int) map[string]*identityv1.AttributeValue {
			return map[string]*identityv1.AttributeValue{"until": day(today.AddDate(0, 0, days).Format(time.DateOnly))}
		}
		cn := p.add(ctx, "cn", &identityv1.Customer{Country: "CN"}).GetName()
		de := p.add(ctx, "de", &identityv1.Customer{Country: "DE", Attributes: later(300)}).GetName()
		active := p.segment(ctx, "active", `customer.state == "ACTIVE" && customer.country == "CN"`).GetName()
		barred := p.segment(ctx, "barred", `customer.country == "DE" && !now.passed(customer.attributes.until)`).GetName()
		for _, s := range []string{active, barred} {
			p.evaluated(ctx, s)
		}
		refused := func(what string, err error) {
			t.Helper()
			if !errs.Is(err, errs.Denied) || errs.ReasonOf(err) != "TARGET_EXCEEDS_CALLER" {
				t.Errorf("%s: %v", what, err)
			}
		}
		// Before the invitation is accepted.
		p.permission.set(false, active)
		refused("what joins when it is accepted", p.rewrite(ctx, &identityv1.Customer{Name: de, Country: "CN"}))
		_, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Country: "CN"}})
		refused("a new customer that joins when it accepts", err)
		// While it is suspended.
		p.permission.set(false)
		p.accept(ctx, cn)
		if got := p.members(ctx, active); got != "cn" {
			t.Errorf("members: %s", got)
		}
		p.permission.set(false, denied(active))
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: cn}); err != nil {
			t.Errorf("a suspension, which gives nothing: %v", err)
		}
		refused("what is out when it is enabled", p.rewrite(ctx, &identityv1.Customer{Name: cn, Country: "FR"}))
		if _, err := p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: cn}); err != nil {
			t.Error(err)
		}
		// By a day to come.
		extend := func(days int) error { return p.rewrite(ctx, &identityv1.Customer{Name: de, Attributes: later(days)}) }
		p.permission.set(false, denied(barred))
		refused("a day that comes sooner", extend(2))
		p.permission.set(false, barred)
		refused("a day that comes later", extend(900))
		p.permission.set(false)
		if err := extend(2); err != nil || p.members(ctx, barred) != "de" || len(p.permission.questions()) != 2 {
			t.Errorf("%v, members %s, %d questions", err, p.members(ctx, barred), len(p.permission.questions()))
		}
		if err := p.rewrite(ctx, &identityv1.Customer{Name: de, DisplayName: "Di"}); err != nil || len(p.permission.questions()) != 2 {
			t.Errorf("what moves no day: %v, %d questions", err, len(p.permission.questions()))
		}
	})
}

// TestSegment_comingBackIsNoWayOffAList: a deleted customer is on no list, and
// whoever brings it back has taken it off.
func TestSegment_comingBackIsNoWayOffAList(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{Country: "CN"}).GetName()
		list := p.segment(ctx, "barred", "").GetName()
		if err := p.list(ctx, list, c); err != nil {
			t.Fatal(err)
		}
		remove := func() {
			t.Helper()
			if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil {
				t.Fatal(err)
			}
			p.clock.advance(time.Second)
		}
		restore := func() error {
			return second(p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: c}))
		}
		p.permission.set(false, denied(list))
		remove()
		wantError(t, restore(), errs.Denied, "TARGET_EXCEEDS_CALLER")
		p.permission.set(false)
		if err := restore(); err != nil {
			t.Fatal(err)
		}
		// It is no longer on the list, and so can come back again.
		p.permission.set(false, denied(list))
		remove()
		if err := restore(); err != nil {
			t.Error(err)
		}
	})
}

// TestSegment_changesWaitUntilPermissionHasHeard: who is in which segment is known
// to permission when the call returns, and what moves nobody waits for nobody.
func TestSegment_changesWaitUntilPermissionHasHeard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{Country: "DE", ExternalId: "1"}).GetName()
		segment := func(id string) string { return org + "/segments/" + id }
		for _, step := range []struct {
			what string
			do   func() error
			want int
		}{
			{"an import without rules", func() error { return second(p.imported(ctx, "external_id,country\n2,DE\n")) }, 0},
			{"a rule made", func() error { p.segment(ctx, "cn", `customer.country == "CN"`); return nil }, 0},
			{"a list made", func() error { p.segment(ctx, "list", ""); return nil }, 0},
			{"a customer made, outside", func() error { p.add(ctx, "c2", &identityv1.Customer{Country: "DE"}); return nil }, 0},
			{"a customer made, inside", func() error { p.add(ctx, "c3", &identityv1.Customer{Country: "CN"}); return nil }, 1},
			{"an update that moves nobody", func() error { return p.rewrite(ctx, &identityv1.Customer{Name: c, Country: "FR"}) }, 0},
			{"joined", func() error { return p.rewrite(ctx, &identityv1.Customer{Name: c, Country: "CN"}) }, 1},
			{"left", func() error { return p.rewrite(ctx, &identityv1.Customer{Name: c, Country: "DE"}) }, 1},
			{"imported", func() error { return second(p.imported(ctx, "external_id,country\n1,CN\n")) }, 1},
			{"imported again", func() error { return second(p.imported(ctx, "external_id,country\n1,CN\n")) }, 1},
			{"listed", func() error { return p.list(ctx, segment("list"), c) }, 1},
			{"taken off the list", func() error {
				return second(p.segments().DeleteSegmentMember(ctx, &identityv1.DeleteSegmentMemberRequest{Name: segment("list") + "/members/c1"}))
			}, 1},
			{"another name", func() error {
				return second(p.segments().UpdateSegment(ctx, &identityv1.UpdateSegmentRequest{Segment: &identityv1.Segment{Name: segment("cn"), DisplayName: "China"}}))
			}, 0},
			{"another rule", func() error { return p.rerule(ctx, segment("cn"), `customer.country == "DE"`, "") }, 1},
			{"suspended and enabled", func() error {
				if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c}); err != nil {
					return err
				}
				return second(p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: c}))
			}, 1},
			{"deleted", func() error {
				return second(p.segments().DeleteSegment(ctx, &identityv1.DeleteSegmentRequest{Name: segment("cn")}))
			}, 1},
		} {
			before := p.permission.timesHeard()
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			if got := p.permission.timesHeard() - before; got != step.want {
				t.Errorf("%s: permission was waited for %d times, want %d", step.what, got, step.want)
			}
		}
	})
}

// TestSegment_aChangeThatIsNotHeardIsMadeAndSaysSo: permission does not hear of a
// move. The same request again waits for it.
func TestSegment_aChangeThatIsNotHeardIsMadeAndSaysSo(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{Country: "CN", ExternalId: "1"}).GetName()
		s := p.segment(ctx, "cn", `customer.country == "CN"`).GetName()
		p.evaluated(ctx, s)
		for _, change := range []struct {
			what    string
			do      func() error
			members string
		}{
			{"an update", func() error {
				return second(p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: &identityv1.Customer{Name: c, Country: "DE"}, RequestId: "r1"}))
			}, ""},
			{"an import", func() error { return second(p.imported(ctx, "external_id,country\n1,CN\n")) }, "c1"},
			{"another rule", func() error { return p.rerule(ctx, s, "false", "r2") }, ""},
		} {
			p.permission.goDeafAfter(0)
			for range 2 {
				err := change.do()
				wantError(t, err, errs.Unavailable, "REVOCATION_PENDING")
				if errs.From(err).RetryAfter == 0 {
					t.Error("it does not say when to come again")
				}
			}
			if got := p.members(ctx, s); got != change.members {
				t.Errorf("after %s: members %s", change.what, got)
			}
			p.permission.goDeafAfter(-1)
			if err := change.do(); err != nil {
				t.Errorf("%s again: %v", change.what, err)
			}
		}
	})
}

// TestSegment_whoAnotherRuleLeavesOutHasLeftWhenItIsThere, however many there are:
// members come before all customers.
func TestSegment_whoAnotherRuleLeavesOutHasLeftWhenItIsThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		const n, members = 1000, 250 // the members are more than a step takes
		var csv strings.Builder
		csv.WriteString("external_id,country\n")
		for i := range n {
			fmt.Fprintf(&csv, "%d,%s\n", i, []string{"CN", "DE", "DE", "DE"}[i%4])
		}
		p.upload(ctx, csv.String())
		s := p.segment(ctx, "cn", `customer.country == "CN"`).GetName()
		p.evaluated(ctx, s)
		if err := p.rerule(ctx, s, `customer.country == "CN" && customer.has_email`, ""); err != nil {
			t.Fatal(err)
		}
		if got := p.members(ctx, s); got != "" {
			t.Errorf("there are still %d members", len(strings.Fields(got)))
		}
		if e := p.evaluated(ctx, s); e.GetEvaluatedCount() != n || e.GetLeftCount() != members || e.GetJoinedCount() != 0 || e.GetMemberCount() != 0 {
			t.Errorf("evaluation: %v", e)
		}
	})
}

// TestAcceptInvitation_waitsWhenTheCustomerMoves: nobody begins with what only
// customers that have not come yet may.
func TestAcceptInvitation_waitsWhenTheCustomerMoves(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	accept := func(name string) error {
		invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: name, ShowCode: true})
		if err != nil {
			t.Fatal(err)
		}
		return second(p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: invitation.GetCode(), Password: goodPassword}))
	}
	p.permission.goDeafAfter(0)
	if err := accept(p.add(ctx, "c1", &identityv1.Customer{}).GetName()); err != nil {
		t.Errorf("a customer that moves nowhere: %v", err)
	}
	p.permission.goDeafAfter(-1)
	s := p.segment(ctx, "new", `customer.state == "PENDING"`).GetName()
	p.evaluated(ctx, s)
	c := p.add(ctx, "c2", &identityv1.Customer{Email: "c2@example.com"}).GetName()
	p.permission.goDeafAfter(0)
	wantError(t, accept(c), errs.Unavailable, "REVOCATION_PENDING")
	if got := p.members(ctx, s); got != "" {
		t.Errorf("members: %s", got)
	}
	if _, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: "c2@example.com", Password: goodPassword}); err != nil {
		t.Errorf("a login with the new password: %v", err)
	}
}
