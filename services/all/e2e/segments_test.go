package e2e

import (
	"context"
	"errors"
	"testing"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// errStill says that a call that is to be refused is not yet.
var errStill = errors.New("the call is still allowed")

// segments: a customer may what its tag puts it among, and no longer when the tag
// is gone; and nobody gives by a tag what he does not hold.
func segments(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		admin := identityv1.NewSegmentServiceClient(c.admin.conn("identity"))
		tag := c.tag(t, "loyalty", "gold")
		vip := need(admin.CreateSegment(t.Context(), &identityv1.CreateSegmentRequest{
			Parent: c.name, SegmentId: "vip",
			Segment: &identityv1.Segment{DisplayName: "贵宾 VIP", Kind: identityv1.Segment_KIND_RULE, Rule: `"loyalty/gold" in customer.tags`},
		}))(t).GetName()
		group := need(c.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
			Parent: c.name, GroupId: "lounge", Group: &groupchatv1.Group{DisplayName: "Lounge"},
		}))(t).GetName()
		c.grant(vip, "roles/customer.service", group)
		ann := c.enrol("ann")
		enter := func(ctx context.Context) (*groupchatv1.Group, error) {
			return ann.groups.GetGroup(ctx, &groupchatv1.GetGroupRequest{Name: group})
		}
		refused(enter(t.Context()))(t, errs.Denied, "PERMISSION_DENIED")

		classify := func(p *person, add, remove []string) (*identityv1.Customer, error) {
			return p.customers.ClassifyCustomer(t.Context(), &identityv1.ClassifyCustomerRequest{Name: ann.name, AddTags: add, RemoveTags: remove})
		}
		// A clerk may tag customers, and holds less than the segment does.
		clerk := c.hire("clerk")
		role := need(c.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
			Parent: c.name, RoleId: "tagger", Role: &permissionv1.Role{DisplayName: "Tagger", Permissions: []string{"identity.customers.classify"}},
		}))(t)
		c.grant(clerk.name, role.GetName(), c.name)
		refused(classify(clerk, []string{tag}, nil))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
		refused(enter(t.Context()))(t, errs.Denied, "PERMISSION_DENIED")

		need(classify(c.admin, []string{tag}, nil))(t)
		eventually(t, "the segment's grant reaches the customer", enter)
		why := need(admin.ExplainSegmentMembership(t.Context(), &identityv1.ExplainSegmentMembershipRequest{Parent: ann.name, Segment: vip}))(t)
		wants(t, "its membership's cause", why.GetMembership().GetCause(), identityv1.MembershipCause_MEMBERSHIP_CAUSE_CUSTOMER)

		need(classify(clerk, nil, []string{tag}))(t)
		until(t, "the customer is refused", func(ctx context.Context) error {
			if _, err := enter(ctx); !errs.Is(err, errs.Denied) {
				return errors.Join(errStill, err)
			}
			return nil
		})
	})
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
