package e2e

import (
	"context"
	"testing"

	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// revocations: what is taken away is gone when the call that takes it returns,
// at each replica.
func revocations(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		t.Run("a member that is removed", func(t *testing.T) { removeMember(t, c) })
		t.Run("a grant that is revoked", func(t *testing.T) { revokeGrant(t, c) })
		t.Run("an account that is disabled", func(t *testing.T) { disableAccount(t, c) })
		t.Run("a session that is ended", func(t *testing.T) { endSession(t, c) })
		t.Run("a team that is left, moved or deleted", func(t *testing.T) { leaveTeams(t, c) })
	})
}

// replicas is how often a check is repeated, so that each replica is asked.
const replicas = 6

func removeMember(t *testing.T, c *company) {
	chen := c.enrol("chen")
	group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: c.name, GroupId: "removal", Group: &groupchatv1.Group{DisplayName: "Removal"},
	}))(t).GetName()
	add := &groupchatv1.CreateMemberRequest{Parent: group, Member: &groupchatv1.Member{Account: chen.name}}
	for range 3 {
		need(c.admin.groups.CreateMember(t.Context(), add))(t)
		said := chen.say(t, group, "here")
		before := said.GetSequence() - 1
		streams := []*listener{c.listen(t, chen, group, before), c.listen(t, chen, group, before)}
		if c.d == httpDoor {
			streams = append(streams, c.listenSSE(t, chen, group, before))
		}
		for _, stream := range streams {
			stream.expect(said.GetSequence(), "here")
		}
		need(c.admin.groups.DeleteMember(t.Context(), &groupchatv1.DeleteMemberRequest{Name: group + "/members/customer-chen"}))(t)
		for range replicas {
			refused(chen.messages.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
				Parent: group, Message: &groupchatv1.Message{Text: "still here?"},
			}))(t, errs.Denied, "")
			refused(chen.messages.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: said.GetName()}))(t, errs.Denied, "")
		}
		c.admin.say(t, group, "not for chen")
		for _, stream := range streams {
			for step := range stream.steps {
				if step.GetMessage().GetText() == "not for chen" {
					t.Error("the stream of a removed member goes on")
				}
			}
			stream.expectEnd(errs.Denied)
		}
	}
}

func revokeGrant(t *testing.T, c *company) {
	wei := c.hire("wei")
	list := &identityv1.ListCustomersRequest{Parent: c.name}
	for range 5 {
		g := c.grant(wei.name, "roles/customer.service", c.name)
		for range replicas {
			need(wei.customers.ListCustomers(t.Context(), list))(t)
		}
		need(c.admin.grants.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: g.GetName()}))(t)
		for range replicas {
			refused(wei.customers.ListCustomers(t.Context(), list))(t, errs.Denied, "PERMISSION_DENIED")
		}
	}
}

// disableAccount: when the call returns, no service takes a call of the account.
func disableAccount(t *testing.T, c *company) {
	mei := c.hire("mei")
	c.grant(mei.name, "roles/viewer", c.name)
	for range 3 {
		mei.mayAct(t)
		need(c.admin.staff.DisableStaffMember(t.Context(), &identityv1.DisableStaffMemberRequest{Name: mei.name}))(t)
		mei.mayNotAct(t, "ACCOUNT_SUSPENDED")
		_, err := c.login(mei.name)
		refused("", err)(t, errs.Unauthenticated, "LOGIN_FAILED")
		refresh := &identityv1.RefreshTokenRequest{RefreshToken: mei.tokens.GetRefreshToken()}
		refused(c.open(t, c.d, "").auth.RefreshToken(t.Context(), refresh))(t, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
		need(c.admin.staff.EnableStaffMember(t.Context(), &identityv1.EnableStaffMemberRequest{Name: mei.name}))(t)
		mei.mayNotAct(t, "SESSION_ENDED")
		mei = c.as(need(c.login(mei.name))(t))
	}
}

// calls are one call of a person to each service.
func (p *person) calls() map[string]func(ctx context.Context) error {
	organization := organizationOf(p.name)
	return map[string]func(ctx context.Context) error{
		"identity": func(ctx context.Context) error {
			_, err := p.auth.WhoAmI(ctx, &identityv1.WhoAmIRequest{})
			return err
		},
		"permission": func(ctx context.Context) error {
			_, err := p.roles.ListPermissions(ctx, &permissionv1.ListPermissionsRequest{})
			return err
		},
		"groupchat": func(ctx context.Context) error {
			_, err := p.groups.ListGroups(ctx, &groupchatv1.ListGroupsRequest{Parent: organization})
			return err
		},
		"feedback": func(ctx context.Context) error {
			_, err := p.surveys.ListSurveys(ctx, &feedbackv1.ListSurveysRequest{Parent: organization})
			return err
		},
	}
}

// mayAct wants each service to take calls of the person, whatever it may do.
func (p *person) mayAct(t testing.TB) {
	t.Helper()
	for service, call := range p.calls() {
		if err := call(t.Context()); err != nil && !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// mayNotAct wants each replica of each service to refuse all calls of the
// person.
func (p *person) mayNotAct(t testing.TB, reason string) {
	t.Helper()
	for service, call := range p.calls() {
		for range replicas {
			if err := call(t.Context()); !errs.Is(err, errs.Unauthenticated) || errs.ReasonOf(err) != reason {
				t.Errorf("%s: got %v, want %s", service, err, reason)
			}
		}
	}
}

// endSession: whichever way a session ends, its access token ends with it.
func endSession(t *testing.T, c *company) {
	bo := c.enrol("bo")
	other := c.as(need(c.login(bo.name))(t))
	other.mayAct(t)
	need(bo.auth.RevokeSession(t.Context(), &identityv1.RevokeSessionRequest{Name: other.tokens.GetSession()}))(t)
	other.mayNotAct(t, "SESSION_ENDED")
	nobody := c.open(t, c.d, "")
	refused(nobody.auth.RefreshToken(t.Context(), &identityv1.RefreshTokenRequest{RefreshToken: other.tokens.GetRefreshToken()}))(t, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
	another := c.as(need(c.login(bo.name))(t))
	need(another.auth.Logout(t.Context(), &identityv1.LogoutRequest{}))(t)
	another.mayNotAct(t, "SESSION_ENDED")
	bo.mayAct(t)
	first := need(nobody.auth.RefreshToken(t.Context(), &identityv1.RefreshTokenRequest{RefreshToken: bo.tokens.GetRefreshToken()}))(t)
	second := need(nobody.auth.RefreshToken(t.Context(), &identityv1.RefreshTokenRequest{RefreshToken: first.GetRefreshToken()}))(t)
	// A token from before the last is taken for stolen: the session ends.
	refused(nobody.auth.RefreshToken(t.Context(), &identityv1.RefreshTokenRequest{RefreshToken: bo.tokens.GetRefreshToken()}))(t, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
	c.as(second).mayNotAct(t, "SESSION_ENDED")
	refused(nobody.auth.RefreshToken(t.Context(), &identityv1.RefreshTokenRequest{RefreshToken: second.GetRefreshToken()}))(t, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
	sessions := need(c.admin.auth.ListSessions(t.Context(), &identityv1.ListSessionsRequest{Parent: bo.name}))(t).GetSessions()
	wants(t, "how many sessions are left", len(sessions), 0)
}
