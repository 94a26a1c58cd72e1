// Package peopletest is the ground that tests of the people's centres stand on:
// a store with grants, roles and subjects, a journal, and a clock that a test
// moves. It has tests' helpers only.
package peopletest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"

	// The catalogue of permissions is made of the protos of all services.
	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Acme is the organisation of all tests.
const Acme = "organizations/acme"

// Start is the time at which tests begin.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// House is what the centres need of the service.
type House struct {
	T        testing.TB
	Roles    *role.Roles
	Subjects *subject.Subjects
	Grants   *grant.Grants
	Rules    *decide.Rules
	Loader   *decide.Loader
	Store    *Breakable
	Journal  *change.Journal
	Feed     *feed.Log
	Now      time.Time
}

// New returns the rules; Open gives them a store, which needs the tables of the
// centre under test.
func New(t testing.TB) *House {
	h := &House{T: t, Roles: role.New(role.NewCatalogue(authz.Catalogue())), Subjects: subject.New(), Now: Start}
	conditions, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	h.Grants = grant.New(h.Roles, h.Subjects, conditions)
	h.Rules = decide.New(h.Roles, conditions)
	h.Loader = &decide.Loader{
		Grants: h.Grants, Subjects: h.Subjects, Roles: h.Roles, Properties: property.New(),
		Qualifications: qualification.New(h.Roles, h.Grants, h.Subjects),
	}
	return h
}

// Open opens a store of the engine with all tables.
func (h *House) Open(engine string, tables []string) {
	h.T.Helper()
	all := slices.Concat(kv.RawTables(h.Roles, h.Subjects, h.Grants, h.Loader.Properties, h.Loader.Qualifications), tables, change.Tables(), revision.Tables())
	h.Store = &Breakable{Store: testkit.Store(h.T, engine, "permission", all)}
	clock := func() time.Time { return h.Now }
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	h.check(err)
	h.Feed, err = feed.Open(context.Background(), feed.Config{Service: "permission", Store: h.Store, Clock: clock})
	h.check(err)
	entries, err := audit.New(audit.Config{Store: h.Store, Pages: pages, Clock: clock})
	h.check(err)
	h.Journal, err = change.NewJournal(change.Config{Service: "permission", Store: h.Store, Feed: h.Feed, Audit: entries, Clock: clock})
	h.check(err)
}

func (h *House) check(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// Breakable is a store whose commits fail while it is broken, as those of a
// process that dies.
type Breakable struct {
	kv.Store
	Broken bool
}

// ErrCrash is the error of a commit that did not happen.
var ErrCrash = errors.New("the process died before the commit")

// Update implements kv.Store.
func (b *Breakable) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return b.Store.Update(ctx, func(tx kv.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if b.Broken {
			return ErrCrash
		}
		return nil
	})
}

// Do runs one change.
func (h *House) Do(fn func(tx *change.Tx) error) error {
	return change.DoSystem(h.T.Context(), h.Journal, "test", fn)
}

// Must is Do for what has to succeed. fn need not record anything.
func (h *House) Must(fn func(tx *change.Tx) error) {
	h.T.Helper()
	h.check(h.Do(func(tx *change.Tx) error {
		tx.Unchanged()
		return fn(tx)
	}))
}

// View reads.
func (h *House) View(fn func(r kv.Reader) error) {
	h.T.Helper()
	h.check(h.Store.View(h.T.Context(), fn))
}

// Grant grants a role and returns the grant's name.
func (h *House) Grant(subject, role, on string) (name string) {
	h.T.Helper()
	h.Must(func(tx *change.Tx) error {
		g, _, err := h.Grants.Create(tx, tx.Time, &permissionv1.Grant{
			Name: Acme + "/grants/" + tx.NewID(), Subject: subject, Role: role, Resource: on,
		})
		name = g.GetName()
		return err
	})
	return name
}

// Revoke ends a grant.
func (h *House) Revoke(name string) {
	h.T.Helper()
	h.Must(func(tx *change.Tx) error {
		_, _, err := h.Grants.Delete(tx, tx.Time, name, "")
		return err
	})
}

// Join puts an account into a team.
func (h *House) Join(team, account string) {
	h.T.Helper()
	h.Must(func(tx *change.Tx) error { return h.Subjects.AddMember(tx, tx.Time, team, account) })
}

// Held returns the roles that a name itself holds on exactly the resource.
func (h *House) Held(subject, on string) (roles []string) {
	h.T.Helper()
	h.View(func(r kv.Reader) error {
		roles = nil
		for g, err := range h.Grants.Of(r, subject) {
			if err != nil {
				return err
			}
			if g.GetResource() == on {
				roles = append(roles, g.GetRole())
			}
		}
		return nil
	})
	return roles
}

// Events returns the events of a type so far.
func (h *House) Events(kind string) (events []*eventv1.Event) {
	h.T.Helper()
	for cursor, more := "", true; more; {
		b, err := h.Feed.Read(h.T.Context(), cursor, feed.MaxBatch)
		h.check(err)
		for _, e := range b.Events {
			if e.GetType() == kind {
				events = append(events, e)
			}
		}
		cursor, more = b.Cursor, b.More
	}
	return events
}

// WantError fails unless err is of the kind and reason.
func WantError(t testing.TB, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got error %v, want %s [%s]", err, kind, reason)
	}
}
