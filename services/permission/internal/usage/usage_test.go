package usage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/usage"

	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const acme = "organizations/acme"

var noon = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

// failing is a store whose updates fail while it is told so.
type failing struct {
	kv.Store
	fail bool
}

func (f *failing) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if f.fail {
		return errors.New("the store is away")
	}
	return f.Store.Update(ctx, fn)
}

// fixture is a recorder over grants.
type fixture struct {
	*usage.Recorder
	grants *grant.Grants
	store  *failing
}

func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newFixture(t, engine)) })
	}
}

func newFixture(t testing.TB, engine string) *fixture {
	t.Helper()
	roles, subjects := role.New(role.NewCatalogue(authz.Catalogue())), subject.New()
	conditions, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	grants, uses := grant.New(roles, subjects, conditions), usage.NewTable()
	store := &failing{Store: testkit.Store(t, engine, "permission", append(kv.RawTables(roles, subjects, grants, uses), revision.Tables()...))}
	u, err := usage.New(usage.Config{Store: store, Grants: grants}, uses)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{u, grants, store}
}

func (f *fixture) grant(t testing.TB, id string, at time.Time) (g *permissionv1.Grant) {
	t.Helper()
	err := f.store.Update(t.Context(), func(tx kv.Tx) (err error) {
		g, _, err = f.grants.Create(tx, at, &permissionv1.Grant{
			Name: acme + "/grants/" + id, Subject: acme + "/staff/" + id, Role: "roles/viewer", Resource: acme,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (f *fixture) revoke(t testing.TB, g *permissionv1.Grant, at time.Time) {
	t.Helper()
	err := f.store.Update(t.Context(), func(tx kv.Tx) error { _, _, err := f.grants.Delete(tx, at, g.GetName(), ""); return err })
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) flush(t testing.TB) {
	t.Helper()
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// day returns the day of the last use, as in "2027-01-15"; "" for none.
func (f *fixture) day(t testing.TB, g *permissionv1.Grant) string {
	t.Helper()
	var days []time.Time
	err := f.store.View(t.Context(), func(r kv.Reader) (err error) {
		days, err = f.Days(r, []*permissionv1.Grant{g})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if days[0].IsZero() {
		return ""
	}
	return days[0].Format(time.DateOnly)
}

func (f *fixture) wantDay(t testing.TB, g *permissionv1.Grant, want string) {
	t.Helper()
	if got := f.day(t, g); got != want {
		t.Errorf("%s was last used on %q, want %q", g.GetName(), got, want)
	}
}

func TestNote_keepsTheLatestDay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g, idle := f.grant(t, "used", noon), f.grant(t, "idle", noon)
		f.Note(g.GetName(), noon)
		f.wantDay(t, g, "") // not yet written
		f.flush(t)
		f.wantDay(t, g, "2027-01-15")
		f.Note(g.GetName(), noon.Add(48*time.Hour))
		f.Note(g.GetName(), noon.Add(24*time.Hour)) // a clock that lags
		f.flush(t)
		f.wantDay(t, g, "2027-01-17")
		f.Note(g.GetName(), noon)
		f.flush(t)
		f.wantDay(t, g, "2027-01-17")
		f.wantDay(t, idle, "")
	})
}

func TestFlush_keepsWhatItCannotWrite(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := f.grant(t, "used", noon)
		f.Note(g.GetName(), noon)
		f.store.fail = true
		if err := f.Flush(t.Context()); err == nil {
			t.Error("wrote to a store that is away")
		}
		f.store.fail = false
		f.flush(t)
		f.wantDay(t, g, "2027-01-15")
	})
}

func TestDays_ofAGrantThatHasTheNameOfAnotherBeginWithIt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := f.grant(t, "name", noon)
		f.Note(g.GetName(), noon)
		f.flush(t)
		f.revoke(t, g, noon)
		f.Note(g.GetName(), noon.Add(24*time.Hour)) // by a check that came before
		f.flush(t)
		again := f.grant(t, "name", noon.Add(72*time.Hour))
		f.wantDay(t, again, "")
		f.Note(again.GetName(), noon.Add(72*time.Hour))
		f.flush(t)
		f.wantDay(t, again, "2027-01-18")
	})
}

func TestRun_forgetsUsesOfGrantsThatAreGoneAndWritesAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, "bolt")
		g, last := f.grant(t, "gone", noon), f.grant(t, "last", noon)
		f.Note(g.GetName(), noon)
		f.flush(t)
		f.revoke(t, g, noon)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		time.Sleep(usage.DefaultInterval + time.Second) // of the bubble's clock
		f.Note(last.GetName(), noon)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		f.wantDay(t, last, "2027-01-15")
		// Without the sweep a grant of that name made then would have the use.
		f.wantDay(t, f.grant(t, "gone", noon), "")
	})
}

func TestNote_isBoundedAndCostsNothing(t *testing.T) {
	f := newFixture(t, "bolt")
	name := acme + "/grants/busy"
	if n := testing.AllocsPerRun(100, func() { f.Note(name, noon) }); n != 0 {
		t.Errorf("a note costs %v allocations", n)
	}
	for i := range 120_000 {
		f.Note(fmt.Sprintf("%s/grants/g%d", acme, i), noon)
	}
	if n := f.Dropped(); n != 20_001 { // busy is one of those there is room for
		t.Errorf("dropped %d notes", n)
	}
}

func BenchmarkNote(b *testing.B) {
	f := newFixture(b, "bolt")
	name := acme + "/grants/019a9a5e-0c3f-7d3e-9a55-5a7d6d0f3c11"
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f.Note(name, noon)
		}
	})
}
