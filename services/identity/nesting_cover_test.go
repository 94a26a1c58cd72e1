package identity_test

import (
	"context"
	"testing"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestMoveTeam_isNoWayToMore has a clerk who may manage teams, and holds little
// else, nest them.
func TestMoveTeam_isNoWayToMore(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	chief := p.asAdmin()
	name := p.staffMember(chief, "clerk", &identityv1.StaffMember{DisplayName: "Clerk"}).GetName()
	clerk := with(p.accept(chief, name))
	p.forest(chief, "bosses", "clerks", "clerks.desk")
	refused := func(what string, err error) {
		t.Helper()
		if !errs.Is(err, errs.Denied) || errs.ReasonOf(err) != "TARGET_EXCEEDS_CALLER" {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.permission.set(false, team("bosses"))
	refused("a team moved below one that holds more", p.move(clerk, "desk", team("bosses")))
	refused("a team made below one that holds more", p.nest(clerk, "spies", team("bosses")))
	if asked := p.permission.questions(); len(asked) != 2 || asked[0].GetActor() != name || asked[0].GetSubject() != team("bosses") {
		t.Errorf("permission was asked %v", asked)
	}
	if got := p.find(chief, `parent = "`+team("bosses")+`"`); got != "" {
		t.Errorf("below the bosses are %q", got)
	}
	// To lift a denial is to give.
	p.permission.set(false, denied(team("clerks")))
	refused("a team moved out from under a denial", p.move(clerk, "desk", ""))
	refused("a member taken out from under a denial", second(p.teams().DeleteTeamMember(clerk, &identityv1.DeleteTeamMemberRequest{Name: team("clerks") + "/members/clerk"})))
	refused("a team that is deleted with its denial", second(p.teams().DeleteTeam(clerk, &identityv1.DeleteTeamRequest{Name: team("clerks"), Force: true})))
	// A place that there is not is refused before anybody is asked.
	p.permission.set(true)
	wantError(t, p.move(clerk, "clerks", team("desk")), errs.Invalid, "TEAM_CYCLE")
	wantError(t, p.move(clerk, "desk", team("bosses")), errs.Unavailable, "PERMISSION_UNAVAILABLE")
	p.permission.set(false)
	if err := p.move(clerk, "desk", team("bosses")); err != nil {
		t.Errorf("below a team that holds no more: %v", err)
	}
	if err := p.move(clerk, "desk", team("bosses")); err != nil || len(p.permission.questions()) != 2 {
		t.Errorf("to where it is: %v, %d questions", err, len(p.permission.questions()))
	}
}

// TestTeam_changesWaitUntilPermissionHasHeard: who is in which team, and where
// teams are, is known to permission when the call returns.
func TestTeam_changesWaitUntilPermissionHasHeard(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		member := p.staffMember(ctx, "s1", &identityv1.StaffMember{DisplayName: "S"}).GetName()
		p.forest(ctx, "a", "b")
		join := &identityv1.CreateTeamMemberRequest{Parent: team("b"), TeamMember: &identityv1.TeamMember{Account: member}}
		for _, step := range []struct {
			what string
			do   func() error
			want int // 1 to ask by what is so now, 1 to be heard
		}{
			{"made at the top", func() error { return p.nest(ctx, "c", "") }, 0},
			{"made below another", func() error { return p.nest(ctx, "d", team("a")) }, 2},
			{"joined", func() error { return second(p.teams().CreateTeamMember(ctx, join)) }, 2},
			{"moved below", func() error { return p.move(ctx, "b", team("a")) }, 2},
			{"moved away", func() error { return p.move(ctx, "b", "") }, 2},
			{"left", func() error {
				return second(p.teams().DeleteTeamMember(ctx, &identityv1.DeleteTeamMemberRequest{Name: team("b") + "/members/s1"}))
			}, 2},
			{"deleted", func() error {
				return second(p.teams().DeleteTeam(ctx, &identityv1.DeleteTeamRequest{Name: team("b")}))
			}, 2},
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

// TestTeam_aChangeThatIsNotHeardIsMadeAndSaysSo: permission is lost between the
// question and the change.
func TestTeam_aChangeThatIsNotHeardIsMadeAndSaysSo(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.forest(ctx, "a", "a.b")
	p.permission.goDeafAfter(1)
	req := &identityv1.DeleteTeamRequest{Name: team("b"), RequestId: "r1"}
	remove := func(ctx context.Context) error { return second(p.teams().DeleteTeam(ctx, req)) }
	err := remove(ctx)
	wantError(t, err, errs.Unavailable, "REVOCATION_PENDING")
	if errs.From(err).RetryAfter == 0 {
		t.Error("it does not say when to come again")
	}
	if got := p.find(ctx, ""); got != "a" {
		t.Errorf("the teams are %q: the change is not made", got)
	}
	p.permission.goDeafAfter(-1)
	if err := remove(ctx); err != nil {
		t.Errorf("the same request again: %v", err)
	}
}

// TestUndelete_comesAfterTheTeamsWereLeft: an account that comes back is not in
// its teams, and permission knows it first.
func TestUndelete_comesAfterTheTeamsWereLeft(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.staffMember(ctx, "s1", &identityv1.StaffMember{DisplayName: "S"}).GetName()
	if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	undelete := func() error {
		return second(p.staff().UndeleteStaffMember(ctx, &identityv1.UndeleteStaffMemberRequest{Name: name}))
	}
	p.permission.goDeafAfter(0)
	wantError(t, undelete(), errs.Unavailable, "PERMISSION_UNAVAILABLE")
	if got := p.permission.word(name); got != "DELETED" {
		t.Errorf("permission was told that the account is %s", got)
	}
	p.permission.goDeafAfter(-1)
	if err := undelete(); err != nil {
		t.Error(err)
	}
}
