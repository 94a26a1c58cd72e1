package identity_test

import (
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// long: the way of a transfer, and who may not go it.
func TestTransfer_isForItsRecipient(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		_, asAda := p.colleague(ctx, "ada")
		_, asBob := p.colleague(ctx, "bob")
		_, asCy := p.colleague(ctx, "cy")
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		if err := p.assign(ctx, c, ada); err != nil {
			t.Fatal(err)
		}
		p.permission.set(false, lacking("identity.customers.assignOwner"), lacking("identity.ownershipTransfers.list"))
		_, err := p.propose(asCy, c, cy)
		wantError(t, err, errs.Denied, "OWNER_ONLY")
		_, err = p.propose(asCy, org+"/customers/none", cy)
		wantError(t, err, errs.Denied, "OWNER_ONLY")
		_, err = p.propose(asAda, c, ada)
		wantError(t, err, errs.Invalid, "OWNER_UNCHANGED")
		_, err = p.propose(asAda, c, org+"/staff/nobody")
		wantError(t, err, errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		_, err = p.propose(asAda, c, "organizations/other/staff/bob")
		wantError(t, err, errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		_, err = p.propose(asAda, "organizations/other/customers/c1", bob)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		made, err := p.propose(asAda, c, bob)
		if err != nil || made.GetFromOwner() != ada || made.GetProposer() != ada || made.GetState() != identityv1.OwnershipTransfer_STATE_PENDING ||
			made.GetExpireTime().AsTime().Sub(made.GetCreateTime().AsTime()) != 7*24*time.Hour {
			t.Fatalf("propose: %v %v", made, err)
		}
		_, err = p.propose(asAda, c, cy)
		wantError(t, err, errs.Exists, "OWNERSHIP_TRANSFER_PENDING")
		get := &identityv1.GetOwnershipTransferRequest{Name: made.GetName()}
		accept := &identityv1.AcceptOwnershipTransferRequest{Name: made.GetName()}
		_, err = p.transfers().GetOwnershipTransfer(asCy, get)
		wantError(t, err, errs.NotFound, "OWNERSHIP_TRANSFER_NOT_FOUND")
		_, err = p.transfers().AcceptOwnershipTransfer(asCy, accept)
		wantError(t, err, errs.NotFound, "OWNERSHIP_TRANSFER_NOT_FOUND")
		_, err = p.transfers().AcceptOwnershipTransfer(asAda, accept)
		wantError(t, err, errs.Denied, "TRANSFER_RECIPIENT_ONLY")
		_, err = p.transfers().CancelOwnershipTransfer(asBob, &identityv1.CancelOwnershipTransferRequest{Name: made.GetName()})
		wantError(t, err, errs.Denied, "OWNER_ONLY")
		accept.Etag = "other"
		_, err = p.transfers().AcceptOwnershipTransfer(asBob, accept)
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		accept.Etag = made.GetEtag()
		for range 2 { // the second time changes nothing
			done, err := p.transfers().AcceptOwnershipTransfer(asBob, accept)
			if err != nil || done.GetState() != identityv1.OwnershipTransfer_STATE_ACCEPTED || done.GetEndTime() == nil {
				t.Fatalf("accept: %v %v", done, err)
			}
		}
		_, err = p.transfers().DeclineOwnershipTransfer(asBob, &identityv1.DeclineOwnershipTransferRequest{Name: made.GetName()})
		wantError(t, err, errs.Precondition, "OWNERSHIP_TRANSFER_ENDED")
		if got := p.history(ctx, c); got != "bob TRANSFERRED, ada ASSIGNED -TRANSFERRED" {
			t.Errorf("history: %s", got)
		}
		if got := about(p.events(ctx, "guildhall.identity.ownership_transfer"), made.GetName()); strings.Join(got, " ") != "ownership_transfer.created ownership_transfer.accepted" {
			t.Errorf("events: %v", got)
		}
		_, err = p.propose(asBob, c, cy)
		wantError(t, err, errs.Precondition, "OWNERSHIP_COOL_DOWN")
	})
}

func TestTransfer_ends(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.policy(ctx, noWait())
		_, asAda := p.colleague(ctx, "ada")
		_, asBob := p.colleague(ctx, "bob")
		propose := func(id string) string {
			c := p.add(ctx, id, &identityv1.Customer{}).GetName()
			if err := p.assign(ctx, c, ada); err != nil {
				t.Fatal(err)
			}
			made, err := p.propose(asAda, c, bob)
			if err != nil {
				t.Fatal(err)
			}
			p.clock.advance(time.Millisecond)
			return made.GetName()
		}
		refused, err := p.transfers().DeclineOwnershipTransfer(asBob, &identityv1.DeclineOwnershipTransferRequest{Name: propose("c1"), Note: "too many"})
		if err != nil || refused.GetEndNote() != "too many" {
			t.Errorf("decline: %v %v", refused, err)
		}
		if _, err := p.transfers().CancelOwnershipTransfer(asAda, &identityv1.CancelOwnershipTransferRequest{Name: propose("c2")}); err != nil {
			t.Error(err)
		}
		propose("c3")
		if err := p.assign(ctx, org+"/customers/c3", bob); err != nil {
			t.Fatal(err)
		}
		propose("c4")
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/c4"}); err != nil {
			t.Fatal(err)
		}
		late := propose("c5")
		const before = "c4 CANCELLED, c3 CANCELLED, c2 CANCELLED, c1 DECLINED"
		for parent, filter := range map[string]string{org: "", ada: "", bob: `from_owner = "` + ada + `"`} {
			if got := p.inTransit(ctx, parent, filter); got != "c5 PENDING, "+before {
				t.Errorf("transfers of %s: %s", parent, got)
			}
		}
		for filter, want := range map[string]string{
			`state = "DECLINED"`: "c1 DECLINED", `customer = "` + org + `/customers/c2"`: "c2 CANCELLED",
			`to_owner = "` + ada + `"`: "", `to_owner = "organizations/other/staff/bob"`: "", `state = "PENDING" AND to_owner = "` + bob + `"`: "c5 PENDING",
		} {
			if got := p.inTransit(ctx, org, filter); got != want {
				t.Errorf("transfers with %s: %q", filter, got)
			}
		}
		if got := p.inTransit(ctx, org+"/staff/admin", ""); got != "" {
			t.Errorf("transfers of somebody else: %s", got)
		}
		_, err = p.transfers().ListOwnershipTransfers(ctx, &identityv1.ListOwnershipTransfersRequest{Parent: org, Filter: `proposer = "x"`})
		wantError(t, err, errs.Invalid, "FILTER_INVALID")
		_, err = p.transfers().ListOwnershipTransfers(ctx, &identityv1.ListOwnershipTransfersRequest{Parent: org + "/customers/c1"})
		wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")

		p.clock.advance(7 * 24 * time.Hour)
		tokens, err := login(p, bob, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.transfers().AcceptOwnershipTransfer(with(tokens), &identityv1.AcceptOwnershipTransferRequest{Name: late})
		wantError(t, err, errs.Precondition, "OWNERSHIP_TRANSFER_ENDED")
		p.close() // a restart sweeps at once
		after := p.host.start(config())
		tokens, err = login(after, admin, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		after.until(func() bool { return after.inTransit(with(tokens), org, "") == "c5 EXPIRED, "+before })
		// The feed may have let go of what is older than the transfer's time.
		if got := about(after.events(with(tokens)), late); !strings.HasSuffix(strings.Join(got, " "), "ownership_transfer.expired") {
			t.Errorf("events: %v", got)
		}
	})
}

// TestTransfer_ofAnotherOrganization is not there, nor are its customers.
func TestTransfer_ofAnotherOrganization(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	chief, _ := other(t, p, ctx)
	p.colleague(ctx, "ada")
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	made, err := p.propose(ctx, c, ada)
	if err != nil || made.GetFromOwner() != "" {
		t.Fatalf("a transfer of a customer that nobody looks after: %v %v", made, err)
	}
	_, err = p.transfers().GetOwnershipTransfer(chief, &identityv1.GetOwnershipTransferRequest{Name: made.GetName()})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	_, err = p.ownerships().GetOwnership(chief, &identityv1.GetOwnershipRequest{Name: c + "/ownership"})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	wantError(t, p.assign(chief, c, ""), errs.NotFound, "RESOURCE_NOT_FOUND")
	_, err = p.ownerships().ReassignCustomers(chief, &identityv1.ReassignCustomersRequest{Parent: "organizations/other", Owner: ada, Successors: []string{"organizations/other/staff/chief"}})
	wantError(t, err, errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
}
