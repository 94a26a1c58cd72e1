package identity_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestSegment_momentsOfARuleAreKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{Country: "CN"}).GetName()
		s := p.segment(ctx, "old", `customer.country == "CN" && now.passed(customer.create_time + duration("1h")) && !now.passed(customer.create_time + duration("2h"))`)
		p.evaluated(ctx, s.GetName())
		if got := p.members(ctx, s.GetName()); got != "" {
			t.Errorf("at once: %s", got)
		}
		p.clock.advance(61 * time.Minute)
		ctx = p.backIn()
		p.until(func() bool { return p.members(ctx, s.GetName()) == "c1" })
		why, err := p.segments().ExplainSegmentMembership(ctx, &identityv1.ExplainSegmentMembershipRequest{Parent: c, Segment: s.GetName()})
		if err != nil || !why.GetMember() || why.GetDueTime() == nil || why.GetMembership().GetCause() != identityv1.MembershipCause_MEMBERSHIP_CAUSE_TIME {
			t.Errorf("explain: %v %v", why, err)
		}
		p.clock.advance(time.Hour)
		ctx = p.backIn()
		p.until(func() bool { return p.members(ctx, s.GetName()) == "" })
		if got := p.moves(ctx, s.GetName(), ""); got != "+c1 TIME 1, -c1 TIME 1" {
			t.Errorf("history: %s", got)
		}
	})
}

// backIn logs the administrator in anew.
func (p *process) backIn() context.Context {
	p.t.Helper()
	tokens, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword})
	if err != nil {
		p.t.Fatal(err)
	}
	return with(tokens)
}

func TestSegment_anEvaluationGoesOnAfterARestart(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		const n = 450 // some steps
		for start := 0; start < n; start += 150 {
			var csv strings.Builder
			csv.WriteString("external_id,country\n")
			for i := start; i < start+150; i++ {
				fmt.Fprintf(&csv, "%d,%s\n", i, []string{"CN", "DE"}[i%2])
			}
			p.upload(ctx, csv.String())
		}
		s := p.segment(ctx, "china", `customer.country == "CN"`)
		p.close() // at whatever step it is
		next := p.start(config())
		ctx = next.backIn()
		e := next.evaluated(ctx, s.GetName())
		if e.GetEvaluatedCount() != n || e.GetMemberCount() != n/2 || e.GetJoinedCount() != n/2 || e.GetLeftCount() != 0 {
			t.Errorf("evaluation: %v", e)
		}
		if got := len(strings.Fields(next.members(ctx, s.GetName()))); got != n/2 {
			t.Errorf("%d members", got)
		}
		joined := next.events(ctx, "guildhall.identity.segment_member.created")
		if len(joined) != n/2 {
			t.Errorf("%d events of members", len(joined))
		}
	})
}

func TestSegment_aPurgedCustomerLeavesNoTrace(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		s := p.segment(ctx, "all", `!now.passed(customer.create_time + duration("100000h"))`)
		p.evaluated(ctx, s.GetName())
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil {
			t.Fatal(err)
		}
		if got := p.moves(ctx, s.GetName(), ""); got != "+c1 RULE 1, -c1 DELETION 1" {
			t.Errorf("history: %s", got)
		}
		p.clock.advance(31 * 24 * time.Hour)
		p.close()
		next := p.start(config()) // it sweeps at its start
		ctx = next.backIn()
		next.until(func() bool { return next.moves(ctx, s.GetName(), "") == "" })
		if left := next.events(ctx, "guildhall.identity.account.purged"); len(left) != 1 {
			t.Errorf("events: %v", left)
		}
	})
}

// TestSegment_doesNotDriftUnderRaces has customers and the rule change at once:
// an evaluation afterwards finds everybody where the rule says.
func TestSegment_doesNotDriftUnderRaces(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		s := p.segment(ctx, "race", `customer.country == "CN"`)
		const writers, changes = 6, 8
		for i := range writers {
			p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{Country: "DE"})
		}
		var running sync.WaitGroup
		for i := range writers {
			running.Go(func() {
				for n := range changes {
					_, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: &identityv1.Customer{
						Name: fmt.Sprint(org, "/customers/c", i), Country: []string{"CN", "DE", "FR"}[(i+n)%3],
					}})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		running.Go(func() {
			for n := range changes {
				_, err := p.segments().UpdateSegment(ctx, &identityv1.UpdateSegmentRequest{Segment: &identityv1.Segment{
					Name: s.GetName(), Rule: fmt.Sprintf(`customer.country == %q`, []string{"DE", "FR", "CN"}[n%3]),
				}})
				if err != nil {
					t.Error(err)
				}
			}
		})
		running.Wait()
		before := p.evaluated(ctx, s.GetName())
		if before.GetRevision() != changes+1 {
			t.Errorf("revision %d", before.GetRevision())
		}
		if _, err := p.segments().EvaluateSegment(ctx, &identityv1.EvaluateSegmentRequest{Name: s.GetName()}); err != nil {
			t.Fatal(err)
		}
		after := p.evaluated(ctx, s.GetName())
		if after.GetJoinedCount() != 0 || after.GetLeftCount() != 0 || after.GetEvaluatedCount() != writers {
			t.Errorf("it had drifted: %v", after)
		}
		if got := len(strings.Fields(p.members(ctx, s.GetName()))); got != int(after.GetMemberCount()) {
			t.Errorf("%d members, %d by the evaluation", got, after.GetMemberCount())
		}
		// Joins and leaves of each customer take turns.
		for i := range writers {
			moves := p.moves(ctx, s.GetName(), fmt.Sprint(org, "/customers/c", i))
			for n, move := range strings.Split(moves, ", ") {
				if moves != "" && strings.HasPrefix(move, "+") != (n%2 == 0) {
					t.Errorf("history of c%d: %s", i, moves)
				}
			}
		}
	})
}
