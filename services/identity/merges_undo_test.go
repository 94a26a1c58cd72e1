package identity_test

import (
	"context"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestUndoMerge_shutsOutWhoCameInByTheContact: with a contact of the duplicate's somebody
// else may have set a password and logged in as the survivor; that one is out again.
func TestUndoMerge_shutsOutWhoCameInByTheContact(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, _ := p.two(ctx)
		m := p.merged(ctx, "email")
		stranger := with(p.accept(ctx, first))
		if _, err := p.auth().WhoAmI(stranger, &identityv1.WhoAmIRequest{}); err != nil {
			t.Fatal(err)
		}
		p.undone(ctx, m.GetName())
		if _, err := p.auth().WhoAmI(stranger, &identityv1.WhoAmIRequest{}); err == nil {
			t.Error("a session of the time of the merge goes on")
		}
		_, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: "ada@example.com", Password: goodPassword})
		if err == nil {
			t.Error("a password of the time of the merge is taken")
		}
	})
}

// TestUndoMerge_theLastFirst: a merge on which a later one rests waits for the undoing of
// that.
func TestUndoMerge_theLastFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, _ := p.two(ctx)
		m1 := p.merged(ctx)
		p.clock.advance(time.Second)
		third := p.add(ctx, "c3", &identityv1.Customer{DisplayName: "Ada L."}).GetName()
		begun, err := p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: first, Duplicate: third})
		if err != nil {
			t.Fatal(err)
		}
		m2 := p.comes(ctx, begun.GetName(), identityv1.MergeRecord_STATE_MERGED)
		undo := func(name string) error {
			return second(p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: name}))
		}
		wantError(t, undo(m1.GetName()), errs.Precondition, "MERGE_NOT_LAST")
		p.undone(ctx, m2.GetName())
		p.undone(ctx, m1.GetName())
	})
}

// TestUndoMerge_aHoldOnBothWins: what a legal hold keeps of the one person is not taken
// from under it.
func TestUndoMerge_aHoldOnBothWins(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, _ := p.two(ctx)
		m := p.merged(ctx)
		h := p.hold(ctx, first, nil)
		wantError(t, second(p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: m.GetName()})), errs.Precondition, "LEGAL_HOLD")
		if _, err := p.legalHolds().LiftLegalHold(ctx, &identityv1.LiftLegalHoldRequest{Name: h.GetName()}); err != nil {
			t.Fatal(err)
		}
		p.undone(ctx, m.GetName())
	})
}

// TestUndoMerge_takesNoTaskThatIsAnothers: one that staff have made another customer's
// meanwhile stays that one's.
func TestUndoMerge_takesNoTaskThatIsAnothers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.two(ctx)
		m := p.merged(ctx)
		other := p.add(ctx, "c9", &identityv1.Customer{DisplayName: "Bo"}).GetName()
		change := &identityv1.UpdateTaskRequest{Task: &identityv1.Task{Name: org + "/tasks/ring", Customer: other}}
		if _, err := p.tasks().UpdateTask(ctx, change); err != nil {
			t.Fatal(err)
		}
		p.undone(ctx, m.GetName())
		got, err := p.tasks().GetTask(ctx, &identityv1.GetTaskRequest{Name: org + "/tasks/ring"})
		if err != nil || got.GetCustomer() != other {
			t.Errorf("the task is %v, %v", got, err)
		}
	})
}
