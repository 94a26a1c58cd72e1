package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// team returns the name of a team of acme.
func team(id string) string { return org + "/teams/" + id }

// nest makes a team below another; "" is the top.
func (p *process) nest(ctx context.Context, id, parent string) error {
	_, err := p.teams().CreateTeam(ctx, &identityv1.CreateTeamRequest{
		Parent: org, TeamId: id, Team: &identityv1.Team{DisplayName: id, Parent: parent},
	})
	return err
}

// forest makes teams, each below the one that stands before the dot of its id:
// "a", then "a.b".
func (p *process) forest(ctx context.Context, paths ...string) {
	p.t.Helper()
	for _, path := range paths {
		parent, id, below := strings.Cut(path, ".")
		if !below {
			parent, id = "", path
		} else {
			parent = team(parent)
		}
		if err := p.nest(ctx, id, parent); err != nil {
			p.t.Fatalf("make %s: %v", path, err)
		}
	}
}

// move gives a team another place.
func (p *process) move(ctx context.Context, id, parent string) error {
	_, err := p.teams().UpdateTeam(ctx, &identityv1.UpdateTeamRequest{
		Team: &identityv1.Team{Name: team(id), Parent: parent}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"parent"}},
	})
	return err
}

// find lists the teams that a filter selects, two on a page.
func (p *process) find(ctx context.Context, filter string) string {
	p.t.Helper()
	var ids []string
	for req := (&identityv1.ListTeamsRequest{Parent: org, Filter: filter, PageSize: 2}); ; {
		resp, err := p.teams().ListTeams(ctx, req)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, found := range resp.GetTeams() {
			ids = append(ids, strings.TrimPrefix(found.GetName(), team("")))
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return strings.Join(ids, " ")
		}
	}
}

// wantField fails the test unless err names the field.
func wantField(t testing.TB, err error, field string) {
	t.Helper()
	if violations := errs.From(err).Violations; len(violations) != 1 || violations[0].Field != field {
		t.Errorf("the error is about %v, want %s", violations, field)
	}
}

func TestTeam_isFoundWhereItIs(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.forest(ctx, "sales", "sales.east", "sales.west", "east.city", "city.club", "east.dock", "works")
		places := func(want map[string]string) {
			t.Helper()
			for filter, ids := range want {
				if got := p.find(ctx, filter); got != ids {
					t.Errorf("%s: %q, want %q", filter, got, ids)
				}
			}
		}
		places(map[string]string{
			"":                                             "city club dock east sales west works",
			`parent = ""`:                                  "sales works",
			`parent = "` + team("sales") + `"`:             "east west",
			`parent = "` + team("dock") + `"`:              "",
			`ancestor = "` + team("sales") + `"`:           "city club dock east west",
			`ancestor = "` + team("club") + `"`:            "",
			`descendant = "` + team("club") + `"`:          "city east sales",
			`descendant = "` + team("none") + `"`:          "",
			`ancestor = "organizations/other/teams/sales"`: "",
			`ancestor = "sales"`:                           "",
		})
		if err := p.move(ctx, "city", team("works")); err != nil {
			t.Fatal(err)
		}
		places(map[string]string{
			`ancestor = "` + team("sales") + `"`:  "dock east west",
			`descendant = "` + team("club") + `"`: "city works",
			`parent = "` + team("works") + `"`:    "city",
		})
		for _, filter := range []string{`parent`, `owner = "x"`, `parent = "" AND ancestor = ""`} {
			_, err := p.teams().ListTeams(ctx, &identityv1.ListTeamsRequest{Parent: org, Filter: filter})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
			wantField(t, err, "filter")
		}
		// A token is for its filter only.
		resp, err := p.teams().ListTeams(ctx, &identityv1.ListTeamsRequest{Parent: org, PageSize: 1, Filter: `parent = ""`})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.teams().ListTeams(ctx, &identityv1.ListTeamsRequest{Parent: org, PageSize: 1, PageToken: resp.GetNextPageToken()})
		wantError(t, err, errs.Invalid, "PAGE_TOKEN_MISMATCH")
	})
}

func TestTeam_isNeverBelowItself(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.forest(ctx, "a", "a.b", "b.c")
		for _, under := range []string{"a", "b", "c"} {
			err := p.move(ctx, "a", team(under))
			wantError(t, err, errs.Invalid, "TEAM_CYCLE")
			wantField(t, err, "team.parent")
		}
		err := p.move(ctx, "a", team("c"))
		if way := errs.From(err).Metadata["path"]; way != "a > c > b > a" {
			t.Errorf("the circle is %q", way)
		}
		if got := p.find(ctx, `ancestor = "`+team("a")+`"`); got != "b c" {
			t.Errorf("below a are %q", got)
		}
	})
}

func TestTeam_chainsAreBounded(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	const most = 16
	for i := range most {
		parent := ""
		if i > 0 {
			parent = team(fmt.Sprint("t", i-1))
		}
		if err := p.nest(ctx, fmt.Sprint("t", i), parent); err != nil {
			t.Fatal(err)
		}
	}
	err := p.nest(ctx, "more", team(fmt.Sprint("t", most-1)))
	wantError(t, err, errs.Invalid, "TEAM_TOO_DEEP")
	wantField(t, err, "team.parent")
	// What is below a team counts when it moves.
	p.forest(ctx, "x", "x.y", "y.z")
	wantError(t, p.move(ctx, "x", team("t13")), errs.Invalid, "TEAM_TOO_DEEP")
	if err := p.move(ctx, "x", team("t12")); err != nil {
		t.Errorf("the sixteenth: %v", err)
	}
	wantError(t, p.nest(ctx, "more", team("z")), errs.Invalid, "TEAM_TOO_DEEP")
}

func TestTeam_isBelowTeamsOfItsOrganizationOnly(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	chief, _ := other(t, p, ctx)
	if _, err := p.teams().CreateTeam(chief, &identityv1.CreateTeamRequest{
		Parent: "organizations/other", TeamId: "theirs", Team: &identityv1.Team{DisplayName: "Theirs"},
	}); err != nil {
		t.Fatal(err)
	}
	p.forest(ctx, "sales")
	for _, parent := range []string{"organizations/other/teams/theirs", team("none")} {
		for _, err := range []error{p.move(ctx, "sales", parent), p.nest(ctx, "new", parent)} {
			wantError(t, err, errs.NotFound, "TEAM_NOT_FOUND")
			wantField(t, err, "team.parent")
		}
	}
	for _, err := range []error{p.move(ctx, "sales", "sales"), p.nest(ctx, "new", org+"/staff/s1")} {
		wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
		wantField(t, err, "team.parent")
	}
	wantError(t, p.move(ctx, "none", team("sales")), errs.NotFound, "TEAM_NOT_FOUND")
}

func TestUpdateTeam_movesWithMaskEtagAndRequestID(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.forest(ctx, "a", "b", "c")
	get := func(id string) *identityv1.Team {
		t.Helper()
		found, err := p.teams().GetTeam(ctx, &identityv1.GetTeamRequest{Name: team(id)})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := get("b")
	req := &identityv1.UpdateTeamRequest{Team: &identityv1.Team{Name: team("b"), Parent: team("a"), Etag: first.GetEtag()}, RequestId: "r1"}
	moved, err := p.teams().UpdateTeam(ctx, req)
	if err != nil || moved.GetParent() != team("a") || moved.GetDisplayName() != "b" || moved.GetEtag() == first.GetEtag() {
		t.Fatalf("move: %v %v", moved, err)
	}
	again, err := p.teams().UpdateTeam(ctx, req)
	if err != nil || again.GetEtag() != moved.GetEtag() {
		t.Errorf("the same request again: %v %v", again, err)
	}
	req.Team.Parent = team("c")
	_, err = p.teams().UpdateTeam(ctx, req)
	wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
	req.RequestId = ""
	_, err = p.teams().UpdateTeam(ctx, req)
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	// A mask without it, and a request without it, leave a team where it is.
	if _, err := p.teams().UpdateTeam(ctx, &identityv1.UpdateTeamRequest{Team: &identityv1.Team{Name: team("b"), DisplayName: "B"}}); err != nil {
		t.Fatal(err)
	}
	if got := get("b"); got.GetParent() != team("a") || got.GetDisplayName() != "B" {
		t.Errorf("after a rename: %v", got)
	}
	if err := p.move(ctx, "b", ""); err != nil || get("b").GetParent() != "" {
		t.Errorf("to the top: %v, %v", get("b"), err)
	}
	var parents []string
	for _, e := range p.events(ctx, "guildhall.identity.team.") {
		var data identityv1.TeamChanged
		if e.GetSubject() == team("b") {
			if err := e.GetData().UnmarshalTo(&data); err != nil {
				t.Fatal(err)
			}
			parents = append(parents, strings.TrimPrefix(data.GetParent(), team("")))
		}
	}
	if !slices.Equal(parents, []string{"", "a", "a", ""}) {
		t.Errorf("events tell of the parents %q", parents)
	}
}

func TestDeleteTeam_withTeamsBelowItTakesForce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.forest(ctx, "a", "a.b", "b.c", "b.d", "c.e")
		remove := func(id string, force bool) error {
			_, err := p.teams().DeleteTeam(ctx, &identityv1.DeleteTeamRequest{Name: team(id), Force: force})
			return err
		}
		wantError(t, remove("b", false), errs.Precondition, "TEAM_HAS_SUBTEAMS")
		if err := remove("b", true); err != nil {
			t.Fatal(err)
		}
		if got := p.find(ctx, `parent = "`+team("a")+`"`); got != "c d" {
			t.Errorf("below a are %q", got)
		}
		if err := remove("a", true); err != nil {
			t.Fatal(err)
		}
		if got := p.find(ctx, `parent = ""`); got != "c d" {
			t.Errorf("at the top are %q", got)
		}
		wantError(t, remove("c", false), errs.Precondition, "TEAM_HAS_SUBTEAMS")
		for _, id := range []string{"e", "c", "d"} {
			if err := remove(id, false); err != nil {
				t.Errorf("delete %s: %v", id, err)
			}
		}
		if got := strings.Join(about(p.events(ctx, "guildhall.identity.team."), team("c")), " "); got != "team.created team.updated team.updated team.deleted" {
			t.Errorf("events of a team that was moved up twice: %s", got)
		}
	})
}

// TestRaces_movesMakeNoCircle moves each of two teams below the other at once.
func TestRaces_movesMakeNoCircle(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.forest(ctx, "a", "b", "a.c", "b.d")
		for round := range 5 {
			won := together(t, 4, errs.Invalid, "TEAM_CYCLE", func(i int) error {
				if i%2 == 0 {
					return p.move(ctx, "a", team("d"))
				}
				return p.move(ctx, "b", team("c"))
			})
			if top := p.find(ctx, `parent = ""`); won != 2 || top != "a" && top != "b" {
				t.Fatalf("round %d: %d moves, at the top are %q", round, won, top)
			}
			for _, id := range []string{"a", "b"} {
				if err := p.move(ctx, id, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestRaces_nothingIsLeftBelowATeamThatIsGone makes teams below one that is
// being deleted.
func TestRaces_nothingIsLeftBelowATeamThatIsGone(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.forest(ctx, "top", "top.a")
		var running sync.WaitGroup
		for i := range 4 {
			running.Go(func() {
				if err := p.nest(ctx, fmt.Sprint("n", i), team("a")); err != nil {
					wantError(t, err, errs.NotFound, "TEAM_NOT_FOUND")
				}
			})
		}
		running.Go(func() {
			if _, err := p.teams().DeleteTeam(ctx, &identityv1.DeleteTeamRequest{Name: team("a"), Force: true}); err != nil {
				t.Error(err)
			}
		})
		running.Wait()
		if got := p.find(ctx, `parent = "`+team("a")+`"`); got != "" {
			t.Errorf("below a team that is gone are %q", got)
		}
	})
}
