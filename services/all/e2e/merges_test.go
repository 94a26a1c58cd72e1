package e2e

import (
	"context"
	"fmt"
	"testing"

	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *person) merges() identityv1.MergeServiceClient {
	return identityv1.NewMergeServiceClient(p.conn("identity"))
}

// comes waits until a merge is in a state.
func (p *person) comes(t *testing.T, merge string, state identityv1.MergeRecord_State) {
	t.Helper()
	until(t, "the merge is "+state.String(), func(ctx context.Context) error {
		m, err := p.merges().GetMergeRecord(ctx, &identityv1.GetMergeRecordRequest{Name: merge})
		if err == nil && m.GetState() != state {
			err = fmt.Errorf("it is %s", m.GetState())
		}
		return err
	})
}

// merges: what two accounts of one person have in all services is the survivor's once
// they are merged, and each has its own again when that is undone.
//
// long: one customer's traces in four services, there and back.
func merges(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		lin, chen := c.hire("lin"), c.enrol("chen")
		made := need(c.admin.customers.CreateCustomer(t.Context(), &identityv1.CreateCustomerRequest{
			Parent: c.name, CustomerId: "chen2", Customer: &identityv1.Customer{DisplayName: "Customer chen", Email: "chen2@customer.example"},
		}))(t)
		again := c.join(c.invite(made.GetName()))
		group := openGroup(t, c, lin)
		need(lin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: group, Member: &groupchatv1.Member{Account: again.name}}))(t)
		said := again.say(t, group, "Where is my lantern?")
		need(again.complaints.CreateComplaint(t.Context(), &feedbackv1.CreateComplaintRequest{
			Parent: again.name, Complaint: &feedbackv1.Complaint{Subject: "Late", Verbatim: "My lantern came late.", Channel: feedbackv1.Complaint_CHANNEL_ONLINE},
		}))(t)
		sender := func() string {
			return need(lin.messages.GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: said.GetName()}))(t).GetSender()
		}
		complaints := func(customer string) int {
			list := need(c.admin.complaints.ListComplaints(t.Context(), &feedbackv1.ListComplaintsRequest{Parent: customer}))(t)
			return len(list.GetComplaints())
		}

		asked := &identityv1.MergeCustomersRequest{Name: chen.name, Duplicate: again.name, Reason: "wrote to us from two addresses"}
		refused(chen.merges().MergeCustomers(t.Context(), asked))(t, errs.Denied, "PERMISSION_DENIED")
		m := need(c.admin.merges().MergeCustomers(t.Context(), asked))(t).GetName()
		if _, err := again.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}); err == nil {
			t.Error("an account that was merged away is logged in")
		}
		c.admin.comes(t, m, identityv1.MergeRecord_STATE_MERGED)
		wants(t, "who said it", sender(), chen.name)
		wants(t, "the survivor's complaints", complaints(chen.name), 1)
		until(t, "the survivor may write in the group", func(ctx context.Context) error {
			_, err := chen.messages.CreateMessage(ctx, &groupchatv1.CreateMessageRequest{Parent: group, Message: &groupchatv1.Message{Text: "It came."}, RequestId: newID("req")})
			return err
		})
		refused(c.admin.customers.GetCustomer(t.Context(), &identityv1.GetCustomerRequest{Name: again.name}))(t, errs.NotFound, "CUSTOMER_MERGED")

		need(c.admin.merges().UndoMerge(t.Context(), &identityv1.UndoMergeRequest{Name: m}))(t)
		c.admin.comes(t, m, identityv1.MergeRecord_STATE_UNDONE)
		wants(t, "who said it, once it is undone", sender(), again.name)
		wants(t, "complaints that stay", complaints(chen.name), 0)
		wants(t, "complaints that go back", complaints(again.name), 1)
		until(t, "the survivor may not write in the group any more", func(ctx context.Context) error {
			_, err := chen.messages.CreateMessage(ctx, &groupchatv1.CreateMessageRequest{Parent: group, Message: &groupchatv1.Message{Text: "Hello?"}, RequestId: newID("req")})
			if err == nil {
				err = fmt.Errorf("it may")
			} else if kind := errs.From(err).Kind; kind == errs.Denied || kind == errs.NotFound {
				err = nil
			}
			return err
		})
	})
}
