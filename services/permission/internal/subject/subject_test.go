package subject_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	acme  = "organizations/acme"
	sue   = acme + "/staff/sue"
	tom   = acme + "/staff/tom"
	sales = acme + "/teams/sales"
)

var (
	at  = time.Unix(1_800_000_000, 0)
	ctx = context.Background()
)

func TestIsGrantable(t *testing.T) {
	for name, want := range map[string]bool{
		sue: true, acme + "/customers/c1": true, acme + "/serviceAccounts/x": true, sales: true,
		acme + "/allStaff": true, acme + "/allCustomers": true, acme + "/everyone": true, acme + "/segments/gold": true,
		acme + "/groups/g1#roles/group.admin": true, acme + "#roles/viewer": true, "groups/g1#roles/viewer": false, "#roles/viewer": false,
		"": false, acme: false, "services/groupchat": false, acme + "/groups/g1": false, acme + "/staff/-": false,
		acme + "/staff/sue/sessions/s1": false, "organizations//allStaff": false, "organizations/-/allStaff": false,
		acme + "/staff/Sue": false, "allStaff": false, acme + "/teams/sales/allStaff": false,
	} {
		if got := subject.IsGrantable(name); got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
}

func TestClass(t *testing.T) {
	for name, want := range map[string]string{
		sue: acme + "/allStaff", acme + "/customers/c1": acme + "/allCustomers",
		acme + "/serviceAccounts/x": "", sales: "", "": "",
	} {
		if got := subject.Class(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestSubjects_mirrorsWhatItIsTold applies facts one after the other; each
// says whether it is a change at all.
func TestSubjects_mirrorsWhatItIsTold(t *testing.T) {
	subjects := subject.New()
	testkit.EachStore(t, "permission", append(subjects.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		state := func(account, state string) func(kv.Tx) error {
			return func(tx kv.Tx) error { return subjects.SetState(tx, at, account, state) }
		}
		join := func(tx kv.Tx) error { return subjects.AddMember(tx, at, sales, sue) }
		leave := func(tx kv.Tx) error { return subjects.RemoveMember(tx, at, sales, sue) }
		for i, step := range []struct {
			name   string
			do     func(kv.Tx) error
			change bool
			want   subject.Facts // of sue
		}{
			{"created active", state(sue, "ACTIVE"), false, subject.Facts{}},
			{"joins", join, true, subject.Facts{Teams: []string{sales}}},
			{"joins again", join, false, subject.Facts{Teams: []string{sales}}},
			{"suspended", state(sue, "SUSPENDED"), true, subject.Facts{Denied: true, Teams: []string{sales}}},
			{"suspended again", state(sue, "SUSPENDED"), false, subject.Facts{Denied: true, Teams: []string{sales}}},
			{"deleted", state(sue, "ACCOUNT_STATE_DELETED"), true, subject.Facts{Denied: true, Teams: []string{sales}}},
			{"active again", state(sue, "ACTIVE"), true, subject.Facts{Teams: []string{sales}}},
			{"pending", state(sue, "PENDING"), false, subject.Facts{Teams: []string{sales}}},
			{"a state of the future", state(sue, "QUARANTINED"), true, subject.Facts{Denied: true, Teams: []string{sales}}},
			{"active", state(sue, "ACCOUNT_STATE_ACTIVE"), true, subject.Facts{Teams: []string{sales}}},
			{"leaves", leave, true, subject.Facts{}},
			{"leaves again", leave, false, subject.Facts{}},
			{"joins anew", join, true, subject.Facts{Teams: []string{sales}}},
			{"the team ends", func(tx kv.Tx) error { return subjects.RemoveTeam(tx, at, sales) }, true, subject.Facts{}},
			{"the team ended", func(tx kv.Tx) error { return subjects.RemoveTeam(tx, at, sales) }, false, subject.Facts{}},
		} {
			before := head(t, s)
			if err := s.Update(t.Context(), step.do); err != nil {
				t.Fatalf("%d %s: %v", i, step.name, err)
			}
			if changed := head(t, s) != before; changed != step.change {
				t.Errorf("%d %s: a change %t, want %t", i, step.name, changed, step.change)
			}
			err := s.View(t.Context(), func(r kv.Reader) error {
				got, err := subjects.Facts(r, sue)
				if got.Denied != step.want.Denied || !slices.Equal(got.Teams, step.want.Teams) {
					t.Errorf("%d %s: %+v, want %+v", i, step.name, got, step.want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRemoveTeam_touchesAllMembers(t *testing.T) {
	subjects := subject.New()
	s := testkit.Store(t, "bolt", "permission", append(subjects.Tables(), revision.Tables()...))
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for _, account := range []string{sue, tom} {
			if err := subjects.AddMember(tx, at, sales, account); err != nil {
				return err
			}
		}
		if err := subjects.RemoveTeam(tx, at, sales); err != nil {
			return err
		}
		changes, _, err := revision.Since(tx, acme, 2)
		if len(changes) != 1 || !slices.Equal(changes[0].Touched, []string{sue, tom}) {
			t.Errorf("changes %v", changes)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func head(t *testing.T, s kv.Store) (v revision.Revision) {
	t.Helper()
	if err := s.View(t.Context(), func(r kv.Reader) (err error) {
		v, err = revision.Head(r, acme)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSubjects_teamsBelowTeams(t *testing.T) {
	subjects := subject.New()
	testkit.EachStore(t, "permission", append(subjects.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		const east, west, city, club = acme + "/teams/east", acme + "/teams/west", acme + "/teams/city", acme + "/teams/club"
		update := func(fn func(tx kv.Tx) error) {
			t.Helper()
			if err := s.Update(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		place := func(team, parent string) {
			t.Helper()
			update(func(tx kv.Tx) error { return subjects.SetParent(tx, at, team, parent) })
		}
		want := func(team string, above []string, believed bool, members ...string) {
			t.Helper()
			update(func(tx kv.Tx) error {
				got, sound, err := subjects.Above(tx, team)
				if err != nil || sound != believed || !slices.Equal(got, above) {
					t.Errorf("above %s: %v, %t, %v; want %v, %t", team, got, sound, err, above, believed)
				}
				var in []string
				for account, err := range subjects.Members(tx, team) {
					if err != nil {
						return err
					}
					in = append(in, account)
				}
				if !slices.Equal(in, members) {
					t.Errorf("members of %s: %v, want %v", team, in, members)
				}
				return nil
			})
		}
		update(func(tx kv.Tx) error {
			if err := subjects.AddMember(tx, at, sales, sue); err != nil {
				return err
			}
			return subjects.AddMember(tx, at, city, tom)
		})
		place(east, sales)
		place(west, sales)
		place(city, east)
		before := head(t, s)
		place(city, east)
		if head(t, s) != before {
			t.Error("what is so already is a change")
		}
		want(city, []string{east, sales}, true, tom)
		want(sales, nil, true, sue, tom)
		want(west, []string{sales}, true)
		// A circle reaches nobody and ends.
		place(sales, city)
		want(city, []string{east, sales}, false, tom)
		want(sales, []string{city, east}, false, sue)
		place(sales, "")
		// A team that goes takes its place with it; those below it move up.
		update(func(tx kv.Tx) error { return subjects.RemoveTeam(tx, at, east) })
		want(city, []string{sales}, true, tom)
		want(sales, nil, true, sue, tom)
		place(club, sales)
		want(club, []string{sales}, true)
		update(func(tx kv.Tx) error {
			all, next, err := subjects.Parents(tx, acme, nil, 10)
			if len(all) != 3 || next != nil || all[0].GetTeam() != city || all[1].GetTeam() != club || all[2].GetTeam() != west {
				t.Errorf("parents %v", all)
			}
			return err
		})
		// Of a circle nothing is left but the top.
		place(east, west)
		place(west, east)
		update(func(tx kv.Tx) error { return subjects.RemoveTeam(tx, at, east) })
		want(west, nil, true)
	})
}

func TestSubjects_chainsAreBounded(t *testing.T) {
	subjects := subject.New()
	s := testkit.Store(t, "bolt", "permission", append(subjects.Tables(), revision.Tables()...))
	team := func(i int) string { return fmt.Sprintf("%s/teams/t%d", acme, i) }
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for i := range subject.MaxDepth {
			if err := subjects.SetParent(tx, at, team(i+1), team(i)); err != nil {
				return err
			}
		}
		for i, want := range map[int]bool{0: true, subject.MaxDepth - 1: true, subject.MaxDepth: false} {
			above, believed, err := subjects.Above(tx, team(i))
			if err != nil || believed != want || len(above) != min(i, subject.MaxDepth-1) {
				t.Errorf("above %d: %d, %t, %v", i, len(above), believed, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubjects_segments(t *testing.T) {
	subjects := subject.New()
	s := testkit.Store(t, "bolt", "permission", append(subjects.Tables(), revision.Tables()...))
	const gold = acme + "/segments/gold"
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for i := range 5 {
			if err := subjects.AddMember(tx, at, gold, fmt.Sprintf("%s/customers/c%d", acme, i)); err != nil {
				return err
			}
		}
		facts, err := subjects.Facts(tx, acme+"/customers/c1")
		if err != nil || len(facts.Teams) != 0 || !slices.Equal(facts.Segments, []string{gold}) {
			t.Errorf("facts %+v, %v", facts, err)
		}
		for i, want := range []bool{true, true, false, false} {
			more, err := subjects.RemoveMembers(tx, at, gold, 2)
			if err != nil || more != want {
				t.Errorf("call %d: more %t, %v", i, more, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
