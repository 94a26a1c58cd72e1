package e2e

import (
	"net/http"
	"slices"
	"testing"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// types: who may have to do with some types of messages sees only these, in
// lists and in streams, and sends no others; a message that is re-typed comes or
// goes at once.
func types(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
			Parent: c.name, GroupId: "typed", Group: &groupchatv1.Group{DisplayName: "Typed"},
		}))(t).GetName()
		role := need(c.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
			Parent: c.name, RoleId: "messages", Role: &permissionv1.Role{DisplayName: "Messages", Permissions: []string{
				"groupchat.messages.create", "groupchat.messages.get", "groupchat.messages.list", "groupchat.messages.stream",
			}},
		}))(t).GetName()
		bo, chen := c.hire("bo"), c.hire("chen")
		// bo is given complaints; from chen, an administrator of the group, they are
		// taken.
		c.grantWhen(bo.name, role, group, permissionv1.Effect_EFFECT_ALLOW, `request.message_type == "complaint"`)
		c.grantWhen(chen.name, role, group, permissionv1.Effect_EFFECT_DENY, `request.message_type == "complaint"`)
		need(c.admin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
			Parent: group, Member: &groupchatv1.Member{Account: chen.name, Role: groupchatv1.MemberRole_MEMBER_ROLE_ADMIN},
		}))(t)
		t.Run("lists and reads", func(t *testing.T) { typedReads(t, c, group, bo, chen) })
		t.Run("streams", func(t *testing.T) { typedStreams(t, c, group, bo, chen) })
		t.Run("sends", func(t *testing.T) {
			refused(chen.sayOf(t, group, "complaint", "mine"))(t, errs.Denied, "PERMISSION_DENIED")
			need(chen.sayOf(t, group, "order", "fine"))(t)
		})
	})
}

// typedReads says a complaint and an order, messages 1 and 2.
func typedReads(t *testing.T, c *company, group string, bo, chen *person) {
	grumble, parcel := need(c.admin.sayOf(t, group, "complaint", "stale"))(t), need(c.admin.sayOf(t, group, "order", "two tins"))(t)
	for _, reader := range []struct {
		*person
		mine, other *groupchatv1.Message
	}{{bo, grumble, parcel}, {chen, parcel, grumble}} {
		p := need(reader.messages.ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: group}))(t)
		if m, w := p.GetMessages(), p.GetWithheld(); len(m) != 1 || len(w) != 1 || m[0].GetName() != reader.mine.GetName() || w[0].GetFirstSequence() != reader.other.GetSequence() {
			t.Errorf("%s lists %v", reader.name, p)
		}
		need(reader.messages.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: reader.mine.GetName()}))(t)
		refused(reader.messages.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: reader.other.GetName()}))(t, errs.Denied, "PERMISSION_DENIED")
	}
}

// typedStreams re-types messages that are on open streams, and takes a type from
// a stream that goes on.
func typedStreams(t *testing.T, c *company, group string, bo, chen *person) {
	complaints, others := c.listen(t, bo, group, 0), c.listen(t, chen, group, 0)
	wants(t, "what bo may read", len(complaints.next().GetScope().GetTypes()), 1)
	complaints.expect(1, "stale")
	wants(t, "the order, to bo,", complaints.next().GetWithheld().GetLastSequence(), 2)
	if types := others.next().GetScope().GetTypes(); slices.Contains(types, c.name+"/messageTypes/complaint") || len(types) == 0 {
		t.Errorf("chen may read %v", types)
	}
	wants(t, "the complaint, to chen,", others.next().GetWithheld().GetLastSequence(), 1)
	others.expect(2, "two tins")
	retype := func(sequence, to string) {
		need(c.admin.messages.RetypeMessage(t.Context(), &groupchatv1.RetypeMessageRequest{
			Name: group + "/messages/" + sequence, Type: c.name + "/messageTypes/" + to,
		}))(t)
	}
	retype("2", "complaint")
	wants(t, "the order that is a complaint now, to bo,", complaints.next().GetRetyped().GetText(), "two tins")
	wants(t, "and to chen", others.next().GetRemoved().GetSequence(), 2)
	retype("2", "order")
	wants(t, "the order again, to bo,", complaints.next().GetRemoved().GetSequence(), 2)
	wants(t, "and to chen", others.next().GetRetyped().GetText(), "two tins")
	// Orders are given to bo as well: its stream goes on with them.
	c.grantWhen(bo.name, "roles/customer.service", group, permissionv1.Effect_EFFECT_ALLOW, `request.message_type == "order"`)
	wants(t, "what bo may read", len(complaints.next().GetScope().GetTypes()), 2)
	need(c.admin.sayOf(t, group, "order", "three tins"))(t)
	complaints.expect(3, "three tins")
}

// sayOf sends a message of a type.
func (p *person) sayOf(t testing.TB, group, id, text string) (*groupchatv1.Message, error) {
	return p.messages.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: group, Message: &groupchatv1.Message{Text: text, Type: organizationOf(group) + "/messageTypes/" + id},
	})
}

// grantWhen gives or takes a role under a condition.
func (c *company) grantWhen(subject, role, resource string, effect permissionv1.Effect, condition string) {
	c.t.Helper()
	need(c.admin.grants.CreateGrant(c.t.Context(), &permissionv1.CreateGrantRequest{
		Parent: c.name, Grant: &permissionv1.Grant{
			Subject: subject, Role: role, Resource: resource, Effect: effect, Reason: "for the test",
			Condition: &permissionv1.Condition{Expression: condition},
		},
	}))(c.t)
}

// networks: a grant for callers of some network holds for the suite's own calls,
// and nobody says of itself where it is.
func networks(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		here, away := c.hire("here"), c.hire("away")
		const local = `inNetwork(request.address, "127.0.0.0/8") || inNetwork(request.address, "::1/128")`
		c.grantWhen(here.name, "roles/customer.service", c.name, permissionv1.Effect_EFFECT_ALLOW, local)
		c.grantWhen(away.name, "roles/customer.service", c.name, permissionv1.Effect_EFFECT_ALLOW, `inNetwork(request.address, "10.0.0.0/8")`)
		list := &identityv1.ListCustomersRequest{Parent: c.name}
		create := &groupchatv1.CreateGroupRequest{Parent: c.name, Group: &groupchatv1.Group{DisplayName: "From here"}}
		need(here.customers.ListCustomers(t.Context(), list))(t)
		need(here.groups.CreateGroup(t.Context(), create))(t)
		refused(away.customers.ListCustomers(t.Context(), list))(t, errs.Denied, "PERMISSION_DENIED")
		refused(away.groups.CreateGroup(t.Context(), create))(t, errs.Denied, "PERMISSION_DENIED")
		if d == httpDoor {
			liar := identityv1.NewCustomerServiceClient(&httpConn{
				t: t, base: s.http, token: away.tokens.GetAccessToken(), header: http.Header{"X-Forwarded-For": {"10.1.2.3"}},
			})
			refused(liar.ListCustomers(t.Context(), list))(t, errs.Denied, "PERMISSION_DENIED")
		}
	})
}
