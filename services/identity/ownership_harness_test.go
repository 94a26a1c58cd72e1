package identity_test

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) ownerships() identityv1.OwnershipServiceClient {
	return identityv1.NewOwnershipServiceClient(p.conn)
}

func (p *process) transfers() identityv1.OwnershipTransferServiceClient {
	return identityv1.NewOwnershipTransferServiceClient(p.conn)
}

// colleague makes an active member of staff and returns the name and a context
// that is logged in.
func (p *process) colleague(ctx context.Context, id string) (string, context.Context) {
	p.t.Helper()
	name := p.staffMember(ctx, id, &identityv1.StaffMember{DisplayName: id}).GetName()
	return name, with(p.accept(ctx, name))
}

// assign gives a customer an owner.
func (p *process) assign(ctx context.Context, customer, owner string) error {
	return second(p.ownerships().AssignOwner(ctx, &identityv1.AssignOwnerRequest{Name: customer, Owner: owner}))
}

// owned returns the ids of an owner's customers, in order.
func (p *process) owned(ctx context.Context, owner string) string {
	p.t.Helper()
	var ids []string
	for token := ""; ; {
		resp, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{
			Parent: org, PageSize: 2, PageToken: token, Filter: `owner = "` + owner + `"`,
		})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, c := range resp.GetCustomers() {
			ids = append(ids, strings.TrimPrefix(c.GetName(), org+"/customers/"))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return strings.Join(ids, " ")
		}
	}
}

// history returns "owner CAUSE" of a customer's periods, the newest first, with
// "-CAUSE" for how one ended.
func (p *process) history(ctx context.Context, customer string) string {
	p.t.Helper()
	var all []string
	for token := ""; ; {
		resp, err := p.ownerships().ListOwnershipPeriods(ctx, &identityv1.ListOwnershipPeriodsRequest{Parent: customer, PageSize: 1, PageToken: token})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, o := range resp.GetOwnershipPeriods() {
			text := strings.TrimPrefix(o.GetOwner(), org+"/staff/") + " " + strings.TrimPrefix(o.GetCause().String(), "OWNERSHIP_CAUSE_")
			if o.GetEndTime() != nil {
				text += " -" + strings.TrimPrefix(o.GetEndCause().String(), "OWNERSHIP_CAUSE_")
			}
			all = append(all, text)
		}
		if token = resp.GetNextPageToken(); token == "" {
			return strings.Join(all, ", ")
		}
	}
}

// propose makes a transfer.
func (p *process) propose(ctx context.Context, customer, to string) (*identityv1.OwnershipTransfer, error) {
	return p.transfers().CreateOwnershipTransfer(ctx, &identityv1.CreateOwnershipTransferRequest{
		Parent: org, OwnershipTransfer: &identityv1.OwnershipTransfer{Customer: customer, ToOwner: to, Note: "please"},
	})
}

// inTransit returns "id STATE" of the transfers of a list, the newest first.
func (p *process) inTransit(ctx context.Context, parent, filter string) string {
	p.t.Helper()
	var all []string
	for token := ""; ; {
		resp, err := p.transfers().ListOwnershipTransfers(ctx, &identityv1.ListOwnershipTransfersRequest{
			Parent: parent, PageSize: 1, PageToken: token, Filter: filter,
		})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, t := range resp.GetOwnershipTransfers() {
			all = append(all, strings.TrimPrefix(t.GetCustomer(), org+"/customers/")+" "+strings.TrimPrefix(t.GetState().String(), "STATE_"))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return strings.Join(all, ", ")
		}
	}
}

// policy sets the limits of hand-overs.
func (p *process) policy(ctx context.Context, set *identityv1.OwnershipPolicy) {
	p.t.Helper()
	set.Name = org + "/ownershipPolicy"
	if _, err := p.ownerships().UpdateOwnershipPolicy(ctx, &identityv1.UpdateOwnershipPolicyRequest{OwnershipPolicy: set}); err != nil {
		p.t.Fatal(err)
	}
}

// noWait is a policy without a cool-down.
func noWait() *identityv1.OwnershipPolicy {
	return &identityv1.OwnershipPolicy{CoolDown: &durationpb.Duration{}}
}
