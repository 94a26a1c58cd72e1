package e2e

import (
	"context"
	"testing"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// segments: a customer may what its tag puts it among, and no longer when the tag
// is gone; and nobody gives by a tag what he does not hold.
func segments(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		w := s.lounge(t, d)
		vip := w.segment("vip", `"loyalty/gold" in customer.tags`)
		w.c.grant(vip, "roles/customer.service", w.group)
		w.may(false)
		clerk := w.clerk()
		refused(w.classify(clerk, w.gold, ""))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
		w.may(false)

		need(w.classify(w.c.admin, w.gold, ""))(t)
		w.may(true)
		why := need(w.segments.ExplainSegmentMembership(t.Context(), &identityv1.ExplainSegmentMembershipRequest{Parent: w.ann.name, Segment: vip}))(t)
		wants(t, "its membership's cause", why.GetMembership().GetCause(), identityv1.MembershipCause_MEMBERSHIP_CAUSE_CUSTOMER)

		// To take away needs no more than the right to tag.
		need(w.classify(clerk, "", w.gold))(t)
		w.may(false)
		t.Run("leaving", func(t *testing.T) { leaveSegments(t, s.lounge(t, d)) })
		t.Run("denials", func(t *testing.T) { segmentDenials(t, s.lounge(t, d)) })
	})
}

// leaveSegments: whoever leaves a segment, by whatever call, is refused at every
// replica when it returns.
func leaveSegments(t *testing.T, w *lounge) {
	vip, list := w.segment("vip", `"loyalty/gold" in customer.tags`), w.segment("list", "")
	w.c.grant(vip, "roles/customer.service", w.group)
	for range 2 {
		need(w.classify(w.c.admin, w.gold, ""))(t)
		w.may(true)
		need(w.classify(w.c.admin, "", w.gold))(t)
		w.may(false)
	}
	need(w.classify(w.c.admin, w.gold, ""))(t)
	rule := func(text string) {
		t.Helper()
		need(w.segments.UpdateSegment(t.Context(), &identityv1.UpdateSegmentRequest{Segment: &identityv1.Segment{Name: vip, Rule: text}}))(t)
	}
	rule(`"loyalty/gold" in customer.tags && customer.has_phone`)
	w.may(false)
	rule(`"loyalty/gold" in customer.tags`) // whom it takes in it does in the background
	eventually(t, "the rule has come to the customer", w.enter)
	w.may(true)
	need(w.segments.DeleteSegment(t.Context(), &identityv1.DeleteSegmentRequest{Name: vip}))(t)
	w.may(false)

	w.c.grant(list, "roles/customer.service", w.group)
	member := w.list(list)
	w.may(true)
	need(w.segments.DeleteSegmentMember(t.Context(), &identityv1.DeleteSegmentMemberRequest{Name: member}))(t)
	w.may(false)
	// Who comes back after a deletion is on no list.
	w.list(list)
	need(w.c.admin.customers.DeleteCustomer(t.Context(), &identityv1.DeleteCustomerRequest{Name: w.ann.name}))(t)
	need(w.c.admin.customers.UndeleteCustomer(t.Context(), &identityv1.UndeleteCustomerRequest{Name: w.ann.name}))(t)
	w.ann = w.c.as(need(w.c.login(w.ann.name))(t))
	w.may(false)
}

// segmentDenials: nobody takes a customer out of a segment to which something is
// denied that he does not hold, and nobody gets round that.
func segmentDenials(t *testing.T, w *lounge) {
	barred, list := w.segment("barred", `customer.state == "ACTIVE" && "loyalty/gold" in customer.tags`), w.segment("list", "")
	w.c.grant(w.ann.name, "roles/customer.service", w.group)
	for _, segment := range []string{barred, list} {
		need(w.c.admin.grants.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: w.c.name, Grant: &permissionv1.Grant{
			Subject: segment, Role: "roles/customer.service", Resource: w.group, Effect: permissionv1.Effect_EFFECT_DENY, Reason: "for the test",
		}}))(t)
	}
	clerk := w.clerk()
	w.may(true)
	need(w.classify(clerk, w.gold, ""))(t)
	w.may(false)
	refused(w.classify(clerk, "", w.gold))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	need(clerk.customers.DisableCustomer(t.Context(), &identityv1.DisableCustomerRequest{Name: w.ann.name}))(t)
	refused(w.classify(clerk, "", w.gold))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	need(clerk.customers.EnableCustomer(t.Context(), &identityv1.EnableCustomerRequest{Name: w.ann.name}))(t)
	w.ann = w.c.as(need(w.c.login(w.ann.name))(t))
	w.may(false)
	need(w.classify(w.c.admin, "", w.gold))(t)
	w.may(true)

	w.list(list)
	w.may(false)
	need(clerk.customers.DeleteCustomer(t.Context(), &identityv1.DeleteCustomerRequest{Name: w.ann.name}))(t)
	undelete := &identityv1.UndeleteCustomerRequest{Name: w.ann.name}
	refused(clerk.customers.UndeleteCustomer(t.Context(), undelete))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	need(w.c.admin.customers.UndeleteCustomer(t.Context(), undelete))(t)
	w.ann = w.c.as(need(w.c.login(w.ann.name))(t))
	w.may(true)
}

// lounge is a group, and a customer who may enter it or not.
type lounge struct {
	t           testing.TB
	c           *company
	ann         *person
	segments    identityv1.SegmentServiceClient
	group, gold string // gold is a tag
}

func (s *suite) lounge(t testing.TB, d door) *lounge {
	t.Helper()
	c := s.found(t, d)
	group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
		Parent: c.name, GroupId: "lounge", Group: &groupchatv1.Group{DisplayName: "Lounge"},
	}))(t).GetName()
	return &lounge{
		t: t, c: c, ann: c.enrol("ann"), segments: identityv1.NewSegmentServiceClient(c.admin.conn("identity")),
		group: group, gold: c.tag(t, "loyalty", "gold"),
	}
}

func (w *lounge) enter(ctx context.Context) (*groupchatv1.Group, error) {
	return w.ann.groups.GetGroup(ctx, &groupchatv1.GetGroupRequest{Name: w.group})
}

// may fails the test unless the customer may enter, or may not, at each replica.
func (w *lounge) may(want bool) {
	w.t.Helper()
	for range replicas {
		_, err := w.enter(w.t.Context())
		if want && err != nil || !want && !errs.Is(err, errs.Denied) {
			w.t.Errorf("allowed is to be %t: %v", want, err)
		}
	}
}

// segment makes a segment: a fixed list without a rule.
func (w *lounge) segment(id, rule string) string {
	w.t.Helper()
	s := &identityv1.Segment{DisplayName: "贵宾 " + id, Kind: identityv1.Segment_KIND_FIXED, Rule: rule}
	if rule != "" {
		s.Kind = identityv1.Segment_KIND_RULE
	}
	return need(w.segments.CreateSegment(w.t.Context(), &identityv1.CreateSegmentRequest{Parent: w.c.name, SegmentId: id, Segment: s}))(w.t).GetName()
}

// list puts the customer on a fixed list.
func (w *lounge) list(segment string) string {
	w.t.Helper()
	return need(w.segments.CreateSegmentMember(w.t.Context(), &identityv1.CreateSegmentMemberRequest{
		Parent: segment, SegmentMember: &identityv1.SegmentMember{Customer: w.ann.name},
	}))(w.t).GetName()
}

// clerk is somebody who may change customers, and may not enter.
func (w *lounge) clerk() *person {
	w.t.Helper()
	role := need(w.c.admin.roles.CreateRole(w.t.Context(), &permissionv1.CreateRoleRequest{
		Parent: w.c.name, RoleId: "clerk", Role: &permissionv1.Role{DisplayName: "Clerk", Permissions: []string{
			"identity.customers.classify", "identity.customers.disable", "identity.customers.enable",
			"identity.customers.delete", "identity.customers.undelete",
		}},
	}))(w.t)
	clerk := w.c.hire("clerk")
	w.c.grant(clerk.name, role.GetName(), w.c.name)
	return clerk
}

// classify has somebody give the customer a tag and take one from it.
func (w *lounge) classify(by *person, add, remove string) (*identityv1.Customer, error) {
	req := &identityv1.ClassifyCustomerRequest{Name: w.ann.name}
	if add != "" {
		req.AddTags = []string{add}
	}
	if remove != "" {
		req.RemoveTags = []string{remove}
	}
	return by.customers.ClassifyCustomer(w.t.Context(), req)
}

// tag makes an exclusive group of tags with one tag and returns the tag's name.
func (c *company) tag(t testing.TB, group, id string) string {
	t.Helper()
	tags := identityv1.NewTagServiceClient(c.admin.conn("identity"))
	made := need(tags.CreateTagGroup(t.Context(), &identityv1.CreateTagGroupRequest{
		Parent: c.name, TagGroupId: group, TagGroup: &identityv1.TagGroup{DisplayName: group, Exclusive: true},
	}))(t)
	return need(tags.CreateTag(t.Context(), &identityv1.CreateTagRequest{Parent: made.GetName(), TagId: id, Tag: &identityv1.Tag{DisplayName: id}}))(t).GetName()
}
