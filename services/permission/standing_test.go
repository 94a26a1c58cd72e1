package permission_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// setState says a state of an account as identity does.
func (c *client) setState(t testing.TB, account, state string, version int64) {
	t.Helper()
	if _, err := c.SetStanding(t.Context(), &permissionv1.SetStandingRequest{Account: account, State: state, Version: version}); err != nil {
		t.Fatalf("SetStanding(%s, %s): %v", account, state, err)
	}
}

// endSession ends a session as identity does.
func (c *client) endSession(t testing.TB, account, session string) {
	t.Helper()
	if _, err := c.EndSessions(t.Context(), &permissionv1.EndSessionsRequest{
		Account:  account,
		Sessions: []*permissionv1.EndedSession{{Session: session, ForgetTime: timestamppb.New(time.Now().Add(5 * time.Minute))}},
	}); err != nil {
		t.Fatalf("EndSessions(%s): %v", account, err)
	}
}

// denial asks whether the account may act at all in a session.
func (c *client) denial(t testing.TB, account, session string) permissionv1.Denial {
	t.Helper()
	resp, err := c.Check(t.Context(), &permissionv1.CheckRequest{
		Parent: acme, Query: &permissionv1.CheckQuery{Subject: account, Session: session},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.GetResult(); got.GetAllowed() != (got.GetDenial() == 0) {
		t.Errorf("allowed %t and denied for %s", got.GetAllowed(), got.GetDenial())
	}
	return resp.GetResult().GetDenial()
}

// TestStanding_isTrueEverywhereWhenItReturns says it through one replica and
// asks the other.
func TestStanding_isTrueEverywhereWhenItReturns(t *testing.T) {
	const (
		may       = permissionv1.Denial_DENIAL_UNSPECIFIED
		suspended = permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
		ended     = permissionv1.Denial_DENIAL_SESSION_ENDED
	)
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	one, two := in.start(), in.start()
	in.seed(one)
	says, asks := one.asService("identity"), two.asService("groupchat")
	one.as(admin).grant(t, sue, "roles/viewer", acme)
	get := func(want bool) {
		t.Helper()
		asks.wantMay(t, want, sue, "groupchat.groups.get", acme+"/groups/g1")
	}
	want := func(session string, want permissionv1.Denial) {
		t.Helper()
		if got := asks.denial(t, sue, session); got != want {
			t.Errorf("in session %q: %s, want %s", session, got, want)
		}
	}
	for version := int64(1); version < 20; version += 2 {
		get(true)
		says.setState(t, sue, "SUSPENDED", version)
		get(false)
		want("", suspended)
		says.setState(t, sue, "ACTIVE", version+1)
		want("", may)
	}
	says.endSession(t, sue, "phone")
	want("phone", ended)
	want("laptop", may)
	get(true)
	// The feed is behind with what was said before.
	in.identity.tell("guildhall.identity.account.state_changed.v1", sue, &identityv1.AccountStateChanged{State: "SUSPENDED", Version: 19})
	in.identity.tell("guildhall.identity.account.state_changed.v1", carl, &identityv1.AccountStateChanged{State: "SUSPENDED", Version: 1})
	in.await(func() bool { return asks.denial(t, carl, "") == suspended })
	want("", may)
	one.stop()
	want("phone", ended)
}

// TestStanding_closesCallsThatNeedNoPermission: any caller may list the
// permissions, but one that may not act.
func TestStanding_closesCallsThatNeedNoPermission(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		says, c := r.asService("identity"), r.as(sue) // in session s1
		list := func() error {
			_, err := c.ListPermissions(t.Context(), &permissionv1.ListPermissionsRequest{})
			return err
		}
		if err := list(); err != nil {
			t.Fatal(err)
		}
		says.setState(t, sue, "SUSPENDED", 1)
		wantError(t, list(), errs.Unauthenticated, "ACCOUNT_SUSPENDED")
		_, err := c.ListRoles(t.Context(), &permissionv1.ListRolesRequest{Parent: acme})
		wantError(t, err, errs.Unauthenticated, "ACCOUNT_SUSPENDED")
		says.setState(t, sue, "ACTIVE", 2)
		if err := list(); err != nil {
			t.Error(err)
		}
		says.endSession(t, sue, "s1")
		wantError(t, list(), errs.Unauthenticated, "SESSION_ENDED")
		_, err = c.ListRoles(t.Context(), &permissionv1.ListRolesRequest{Parent: acme})
		wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
	})
}

func TestStanding_isIdentitysAlone(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	set := &permissionv1.SetStandingRequest{Account: sue, State: "SUSPENDED", Version: 1}
	end := &permissionv1.EndSessionsRequest{Account: sue, Sessions: []*permissionv1.EndedSession{{Session: "s1", ForgetTime: timestamppb.Now()}}}
	for name, c := range map[string]*client{"groupchat": r.asService("groupchat"), "the administrator": r.as(admin)} {
		if _, err := c.SetStanding(t.Context(), set); !errs.Is(err, errs.Denied) {
			t.Errorf("SetStanding by %s: %v", name, err)
		}
		if _, err := c.EndSessions(t.Context(), end); !errs.Is(err, errs.Denied) {
			t.Errorf("EndSessions by %s: %v", name, err)
		}
	}
	says := r.asService("identity")
	_, err := says.SetStanding(t.Context(), &permissionv1.SetStandingRequest{Account: acme + "/teams/t1", State: "SUSPENDED", Version: 1})
	wantError(t, err, errs.Invalid, "SUBJECT_INVALID")
	_, err = says.EndSessions(t.Context(), &permissionv1.EndSessionsRequest{Account: acme, Sessions: end.GetSessions()})
	wantError(t, err, errs.Invalid, "SUBJECT_INVALID")
	for _, bad := range []*permissionv1.SetStandingRequest{{Account: sue, State: "SUSPENDED"}, {Account: sue, Version: 1}, {State: "ACTIVE", Version: 1}} {
		_, err := says.SetStanding(t.Context(), bad)
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	}
	_, err = says.EndSessions(t.Context(), &permissionv1.EndSessionsRequest{Account: sue})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	_, err = r.asService("gateway").Check(t.Context(), &permissionv1.CheckRequest{Parent: acme, Query: &permissionv1.CheckQuery{Subject: sue, Resource: acme}})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
}

// wantError fails unless err is of the kind and reason.
func wantError(t testing.TB, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got error %v, want %s [%s]", err, kind, reason)
	}
}
