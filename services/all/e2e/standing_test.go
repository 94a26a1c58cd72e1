package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// promptly is how soon an open stream ends when its caller may not go on. It
// takes milliseconds; the bound is for machines that do a lot else, and still
// below what any heartbeat would take.
const promptly = 5 * time.Second

// open is an open stream of some service.
type open struct {
	what  string
	ended chan error
}

// followEvents reads a service's feed until the stream ends.
func (c *company) followEvents(t testing.TB, p *person, what, service string) *open {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream := need(p.events(service).StreamEvents(ctx, &eventv1.StreamEventsRequest{Parent: c.name}))(t)
	need(stream.Recv())(t)
	o := &open{what: what, ended: make(chan error, 1)}
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				o.ended <- err
				return
			}
		}
	}()
	return o
}

// streams opens a stream of the person in each service, also as server-sent
// events when the person comes over HTTP.
func (c *company) streams(t testing.TB, p *person) (all []*open) {
	t.Helper()
	for _, service := range services[:4] {
		all = append(all, c.followEvents(t, p, service, service))
		if c.d == httpDoor {
			conn := &httpConn{t: t, base: c.http, token: p.tokens.GetAccessToken(), sse: true}
			sse := &person{name: p.name, tokens: p.tokens, api: newAPI(func(string) grpc.ClientConnInterface { return conn })}
			all = append(all, c.followEvents(t, sse, service+", server-sent events", service))
		}
	}
	return all
}

// end wants all streams to end promptly, with a reason.
func end(t testing.TB, streams []*open, kind errs.Kind, reason string) {
	t.Helper()
	began := time.Now()
	var last time.Duration
	for _, s := range streams {
		select {
		case err := <-s.ended:
			last = time.Since(began)
			if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
				t.Errorf("%s: the stream ended with %v, want %s", s.what, err, reason)
			}
		case <-time.After(promptly):
			t.Errorf("%s: the stream goes on", s.what)
		}
	}
	t.Logf("%d streams had ended %s after the call that ended them", len(streams), last)
}

// immediate: whoever may not go on is not only refused its next call; what it
// has open ends too.
func immediate(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		c.hire("boss")
		name := c.name + "/staff/boss"
		g := c.grant(name, "roles/organization.admin", c.name)
		enter := func(t testing.TB) (*person, []*open) {
			t.Helper()
			boss := c.as(need(c.login(name))(t))
			return boss, c.streams(t, boss)
		}
		t.Run("a session that is ended", func(t *testing.T) {
			boss, streams := enter(t)
			_, others := enter(t)
			need(c.admin.auth.RevokeSession(t.Context(), &identityv1.RevokeSessionRequest{Name: boss.tokens.GetSession()}))(t)
			end(t, streams, errs.Unauthenticated, "SESSION_ENDED")
			for _, o := range others {
				select {
				case err := <-o.ended:
					t.Errorf("%s: the stream of another session ended with %v", o.what, err)
				default:
				}
			}
		})
		t.Run("a logout", func(t *testing.T) {
			boss, streams := enter(t)
			need(boss.auth.Logout(t.Context(), &identityv1.LogoutRequest{}))(t)
			end(t, streams, errs.Unauthenticated, "SESSION_ENDED")
		})
		t.Run("an account that is disabled", func(t *testing.T) {
			_, streams := enter(t)
			need(c.admin.staff.DisableStaffMember(t.Context(), &identityv1.DisableStaffMemberRequest{Name: name}))(t)
			end(t, streams, errs.Unauthenticated, "ACCOUNT_SUSPENDED")
			need(c.admin.staff.EnableStaffMember(t.Context(), &identityv1.EnableStaffMemberRequest{Name: name}))(t)
		})
		t.Run("a role that is revoked", func(t *testing.T) {
			_, streams := enter(t)
			need(c.admin.grants.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: g.GetName()}))(t)
			end(t, streams, errs.Denied, "PERMISSION_DENIED")
		})
		t.Run("a team that is moved away", func(t *testing.T) {
			region := c.team(t, "region", "")
			shop := c.team(t, "shop", region)
			c.grant(region, "roles/organization.admin", c.name)
			boss := c.as(need(c.login(name))(t))
			c.enlist(t, shop, boss)
			streams := c.streams(t, boss)
			c.moveTeam(t, shop, "")
			end(t, streams, errs.Denied, "PERMISSION_DENIED")
		})
		t.Run("an administrator of a group", func(t *testing.T) { endGroupAdmin(t, c) })
	})
}

// endGroupAdmin: a group's administrator who is a plain member from now on goes
// on reading and runs the group no more; one who is removed does neither.
func endGroupAdmin(t *testing.T, c *company) {
	ann := c.enrol("ann")
	group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: c.name, GroupId: "run", Group: &groupchatv1.Group{DisplayName: "Run"},
	}))(t).GetName()
	member := need(c.admin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
		Parent: group, Member: &groupchatv1.Member{Account: ann.name, Role: groupchatv1.MemberRole_MEMBER_ROLE_ADMIN},
	}))(t).GetName()
	rename := func(text string) error {
		_, err := ann.groups.UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{Group: &groupchatv1.Group{Name: group, DisplayName: text}})
		return err
	}
	if err := rename("Hers"); err != nil {
		t.Fatal(err)
	}
	stream := c.listen(t, ann, group, 0)
	c.admin.say(t, group, "one")
	stream.expect(1, "one")
	need(c.admin.groups.UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
		Member: &groupchatv1.Member{Name: member, Role: groupchatv1.MemberRole_MEMBER_ROLE_MEMBER},
	}))(t)
	for range replicas {
		refused("", rename("Still hers"))(t, errs.Denied, "")
	}
	c.admin.say(t, group, "two")
	stream.expect(2, "two")
	need(c.admin.groups.DeleteMember(t.Context(), &groupchatv1.DeleteMemberRequest{Name: member}))(t)
	began := time.Now()
	stream.expectEnd(errs.Denied)
	if took := time.Since(began); took > promptly {
		t.Errorf("the stream of a removed administrator went on for %s", took)
	}
	owner := fmt.Sprintf("%s/members/staff-admin", group)
	refused(c.admin.groups.DeleteMember(t.Context(), &groupchatv1.DeleteMemberRequest{Name: owner}))(t, errs.Precondition, "LAST_OWNER")
}

// endWithoutPermission is what still can end a session while permission is
// away: a refresh token that was stolen. It returns whose it was.
func (c *chat) endWithoutPermission(t testing.TB) *person {
	t.Helper()
	thief := c.as(need(c.login(c.chen.name))(t))
	nobody := c.open(t, c.d, "")
	refresh := func(token string) (*identityv1.TokenSet, error) {
		return nobody.auth.RefreshToken(t.Context(), &identityv1.RefreshTokenRequest{RefreshToken: token})
	}
	first := need(refresh(thief.tokens.GetRefreshToken()))(t)
	second := need(refresh(first.GetRefreshToken()))(t)
	refused(refresh(thief.tokens.GetRefreshToken()))(t, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
	return c.as(second)
}
