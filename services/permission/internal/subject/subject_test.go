package subject_test

import (
	"context"
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
		acme + "/allStaff": true, acme + "/allCustomers": true,
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
