package request_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/api"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"

	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	acme  = "organizations/acme"
	admin = acme + "/staff/admin"
	boss  = acme + "/staff/boss"
	sue   = acme + "/staff/sue"
	tom   = acme + "/staff/tom"
	carl  = acme + "/customers/carl"
	sales = acme + "/teams/sales"
	group = acme + "/groups/g1"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// desk is the centre on a store with two administrators, admin and boss.
type desk struct {
	*request.Requests
	t        *testing.T
	store    *breakable
	journal  *change.Journal
	grants   *grant.Grants
	subjects *subject.Subjects
	policies *policy.Policies
	notices  *notice.Notices
	now      time.Time
}

// breakable is a store that can fail the next commit.
type breakable struct {
	kv.Store
	broken bool
}

var errCrash = errors.New("the process died before the commit")

func (b *breakable) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return b.Store.Update(ctx, func(tx kv.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if b.broken {
			return errCrash
		}
		return nil
	})
}

func eachDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newDesk(t, engine)) })
	}
}

func newDesk(t *testing.T, engine string) *desk {
	t.Helper()
	roles, subjects := role.New(role.NewCatalogue(authz.Catalogue())), subject.New()
	d := &desk{t: t, subjects: subjects, grants: grant.New(roles, subjects), policies: policy.New(roles), notices: notice.New(), now: start}
	loader := &decide.Loader{Grants: d.grants, Subjects: subjects, Roles: roles}
	d.Requests = request.New(request.Config{
		Roles: roles, Grants: d.grants, Subjects: subjects, Policies: d.policies, Notices: d.notices,
		MayGive: api.Config{Rules: decide.New(roles), Loader: loader}.MayGive,
	})
	tables := append(kv.RawTables(roles, subjects, d.grants, d.policies, d.notices, d.Requests), change.Tables()...)
	d.store = &breakable{Store: testkit.Store(t, engine, "permission", append(tables, revision.Tables()...))}
	d.journal = newJournal(t, d.store, func() time.Time { return d.now })
	for _, name := range []string{admin, boss} {
		d.grant(name, role.Admin, acme)
	}
	return d
}

func newJournal(t *testing.T, s kv.Store, clock func() time.Time) *change.Journal {
	t.Helper()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	log, err := feed.Open(t.Context(), feed.Config{Service: "permission", Store: s, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: s, Pages: pages, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	j, err := change.NewJournal(change.Config{Service: "permission", Store: s, Feed: log, Audit: entries, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// do runs one change.
func (d *desk) do(fn func(tx *change.Tx) error) error {
	return change.DoSystem(d.t.Context(), d.journal, "test", fn)
}

func (d *desk) must(fn func(tx *change.Tx) error) {
	d.t.Helper()
	if err := d.do(fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) grant(subject, role, on string) string {
	d.t.Helper()
	var name string
	d.must(func(tx *change.Tx) error {
		tx.Unchanged()
		g, _, err := d.grants.Create(tx, tx.Time, &permissionv1.Grant{
			Name: acme + "/grants/" + tx.NewID(), Subject: subject, Role: role, Resource: on,
		})
		name = g.GetName()
		return err
	})
	return name
}

func (d *desk) revoke(name string) {
	d.t.Helper()
	d.must(func(tx *change.Tx) error {
		tx.Unchanged()
		_, _, err := d.grants.Delete(tx, tx.Time, name, "")
		return err
	})
}

func (d *desk) setPolicy(p *permissionv1.ApprovalPolicy) {
	d.t.Helper()
	d.must(func(tx *change.Tx) error {
		_, err := d.policies.Create(tx, acme, "", p)
		return err
	})
}

func as(name string) authn.Caller { return authn.Caller{Name: name, Session: "s1"} }

type message = permissionv1.PermissionChangeRequest

// file files a request of an account by another.
func (d *desk) tryFile(by, requester string, in *message) (v *message, err error) {
	if in.Justification == "" {
		in.Justification = "the night shift needs it"
	}
	err = d.do(func(tx *change.Tx) error {
		v, err = d.Create(tx, as(by), requester, "", in)
		return err
	})
	return v, err
}

func (d *desk) file(by, requester string, in *message) *message {
	d.t.Helper()
	v, err := d.tryFile(by, requester, in)
	if err != nil {
		d.t.Fatalf("file: %v", err)
	}
	return v
}

// step makes one move and returns what it came to.
func (d *desk) step(name, by string, move func(tx *change.Tx, m request.Move) (*message, error)) (v *message, err error) {
	err = d.do(func(tx *change.Tx) error {
		v, err = move(tx, request.Move{Name: name, By: as(by), Note: "noted"})
		return err
	})
	return v, err
}

func (d *desk) verify(name, by string) (*message, error) {
	return d.step(name, by, func(tx *change.Tx, m request.Move) (*message, error) {
		return d.Verify(tx, m, permissionv1.IdentityProof_METHOD_CALL_BACK)
	})
}

func (d *desk) approve(name, by string) (*message, error) {
	return d.step(name, by, func(tx *change.Tx, m request.Move) (*message, error) { return d.Approve(tx, m, nil) })
}

func (d *desk) apply(name, by string) (*message, error) { return d.step(name, by, d.Apply) }

// approved files a request of sue and brings it to APPROVED.
func (d *desk) approved(in *message) *message {
	d.t.Helper()
	v := d.file(sue, sue, in)
	if _, err := d.verify(v.GetName(), tom); err != nil {
		d.t.Fatalf("verify: %v", err)
	}
	v, err := d.approve(v.GetName(), admin)
	if err != nil {
		d.t.Fatalf("approve: %v", err)
	}
	return v
}

func (d *desk) get(name string) (v *message) {
	d.t.Helper()
	d.view(func(r kv.Reader) (err error) {
		v, err = d.Get(r, name)
		return err
	})
	return v
}

func (d *desk) view(fn func(r kv.Reader) error) {
	d.t.Helper()
	if err := d.store.View(d.t.Context(), fn); err != nil {
		d.t.Fatal(err)
	}
}

// held returns the roles that the subject holds on a resource.
func (d *desk) held(subject, on string) (roles []string) {
	d.t.Helper()
	d.view(func(r kv.Reader) error {
		roles = nil
		for g, err := range d.grants.Of(r, subject) {
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

func wants(role, on string) *message {
	return &message{Change: &permissionv1.PermissionChangeRequest_Grant{Grant: &permissionv1.WantedGrant{Role: role, Resource: on}}}
}

func wantError(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s [%s]", err, kind, reason)
	}
}
