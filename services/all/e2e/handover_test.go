package e2e

import (
	"testing"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// handovers: what staff and customers may do about who looks after whom, by the
// roles that they hold from the start.
func handovers(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		ctx := t.Context()
		lin, wei, hu, chen := c.hire("lin"), c.hire("wei"), c.hire("hu"), c.enrol("chen")
		owners := func(p *person) identityv1.OwnershipServiceClient {
			return identityv1.NewOwnershipServiceClient(p.conn("identity"))
		}
		transfers := func(p *person) identityv1.OwnershipTransferServiceClient {
			return identityv1.NewOwnershipTransferServiceClient(p.conn("identity"))
		}
		proposal := &identityv1.CreateOwnershipTransferRequest{
			Parent: c.name, OwnershipTransfer: &identityv1.OwnershipTransfer{Customer: chen.name, ToOwner: wei.name},
		}
		need(owners(c.admin).AssignOwner(ctx, &identityv1.AssignOwnerRequest{Name: chen.name, Owner: lin.name}))(t)
		refused(owners(lin).AssignOwner(ctx, &identityv1.AssignOwnerRequest{Name: chen.name, Owner: wei.name}))(t, errs.Denied, "PERMISSION_DENIED")
		refused(transfers(hu).CreateOwnershipTransfer(ctx, proposal))(t, errs.Denied, "OWNER_ONLY")
		refused(transfers(chen).CreateOwnershipTransfer(ctx, proposal))(t, errs.Denied, "PERMISSION_DENIED")
		made := need(transfers(lin).CreateOwnershipTransfer(ctx, proposal))(t)
		refused(transfers(hu).GetOwnershipTransfer(ctx, &identityv1.GetOwnershipTransferRequest{Name: made.GetName()}))(t, errs.NotFound, "OWNERSHIP_TRANSFER_NOT_FOUND")
		refused(transfers(hu).ListOwnershipTransfers(ctx, &identityv1.ListOwnershipTransfersRequest{Parent: c.name}))(t, errs.Denied, "PERMISSION_DENIED")
		waiting := need(transfers(wei).ListOwnershipTransfers(ctx, &identityv1.ListOwnershipTransfersRequest{
			Parent: wei.name, Filter: `state = "PENDING"`,
		}))(t).GetOwnershipTransfers()
		if len(waiting) != 1 || waiting[0].GetName() != made.GetName() {
			t.Errorf("what waits for %s: %v", wei.name, waiting)
		}
		need(transfers(wei).AcceptOwnershipTransfer(ctx, &identityv1.AcceptOwnershipTransferRequest{Name: made.GetName()}))(t)
		seen := need(owners(chen).GetOwnership(ctx, &identityv1.GetOwnershipRequest{Name: chen.name + "/ownership"}))(t)
		wants(t, "the customer's owner", seen.GetOwner(), wei.name)
		back := need(owners(chen).DeclineOwnership(ctx, &identityv1.DeclineOwnershipRequest{Name: chen.name + "/ownership", Etag: seen.GetEtag()}))(t)
		wants(t, "the owner after the customer declined", back.GetOwner(), lin.name)
		refused(owners(wei).DeclineOwnership(ctx, &identityv1.DeclineOwnershipRequest{Name: chen.name + "/ownership"}))(t, errs.Denied, "PERMISSION_DENIED")
	})
}
