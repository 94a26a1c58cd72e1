package request_test

import (
	"testing"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/peopletest"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	acme  = peopletest.Acme
	admin = acme + "/staff/admin"
	boss  = acme + "/staff/boss"
	sue   = acme + "/staff/sue"
	tom   = acme + "/staff/tom"
	carl  = acme + "/customers/carl"
	sales = acme + "/teams/sales"
	group = acme + "/groups/g1"
)

var start = peopletest.Start

// desk is the centre on a store with two administrators, admin and boss.
type desk struct {
	*request.Requests
	house    *peopletest.House
	t        *testing.T
	policies *policy.Policies
	notices  *notice.Notices
	subjects *subject.Subjects
}

func eachDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newDesk(t, engine)) })
	}
}

func newDesk(t *testing.T, engine string) *desk {
	t.Helper()
	h := peopletest.New(t)
	d := &desk{t: t, house: h, policies: policy.New(h.Roles), notices: notice.New(), subjects: h.Subjects}
	d.Requests = request.New(request.Config{
		Roles: h.Roles, Grants: h.Grants, Subjects: h.Subjects, Policies: d.policies, Notices: d.notices,
		MayGive: (&edit.Editor{Rules: h.Rules, Loader: h.Loader}).MayGive,
	})
	h.Open(engine, kv.RawTables(d.policies, d.notices, d.Requests)[1:])
	for _, name := range []string{admin, boss} {
		d.grant(name, role.Admin, acme)
	}
	return d
}

func (d *desk) do(fn func(tx *change.Tx) error) error { return d.house.Do(fn) }

func (d *desk) must(fn func(tx *change.Tx) error) {
	d.t.Helper()
	d.house.Must(fn)
}

func (d *desk) grant(subject, role, on string) string {
	d.t.Helper()
	return d.house.Grant(subject, role, on)
}

func (d *desk) revoke(name string) {
	d.t.Helper()
	d.house.Revoke(name)
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
	d.house.View(fn)
}

func (d *desk) held(subject, on string) []string {
	d.t.Helper()
	return d.house.Held(subject, on)
}

func wants(role, on string) *message {
	return &message{Change: &permissionv1.PermissionChangeRequest_Grant{Grant: &permissionv1.WantedGrant{Role: role, Resource: on}}}
}

func wantError(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	peopletest.WantError(t, err, kind, reason)
}
