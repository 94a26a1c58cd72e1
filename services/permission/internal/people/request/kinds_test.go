package request_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/request"
)

func TestAccess_theApproverChoosesTheGrant(t *testing.T) {
	d := newDesk(t, "bolt")
	d.setPolicy(&permissionv1.ApprovalPolicy{ApprovalsNeeded: 2})
	v := d.file(sue, sue, &message{Change: &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{
		Permission: "groupchat.groups.get", Resource: group,
	}}})
	if _, err := d.verify(v.GetName(), tom); err != nil {
		t.Fatal(err)
	}
	give := func(by, role, on string) (*message, error) {
		return d.step(v.GetName(), by, func(tx *change.Tx, m request.Move) (*message, error) {
			return d.Approve(tx, m, &permissionv1.WantedGrant{Role: role, Resource: on})
		})
	}
	_, err := d.approve(v.GetName(), admin)
	wantError(t, err, errs.Invalid, "GRANT_REQUIRED")
	_, err = give(admin, "roles/staff", group)
	wantError(t, err, errs.Invalid, "GRANT_INSUFFICIENT")
	_, err = give(admin, "roles/viewer", acme+"/groups/g")
	wantError(t, err, errs.Invalid, "GRANT_INSUFFICIENT")
	if _, err := give(admin, "roles/viewer", group); err != nil {
		t.Fatal(err)
	}
	_, err = give(boss, "roles/viewer", acme)
	wantError(t, err, errs.Invalid, "PROPOSAL_DIFFERS")
	if _, err := d.approve(v.GetName(), boss); err != nil {
		t.Fatal(err)
	}
	if _, err := d.apply(v.GetName(), boss); err != nil || len(d.held(sue, group)) != 1 {
		t.Errorf("applied: %v; holds %v", err, d.held(sue, group))
	}
}

func TestApproval_countsForItsTimeOrOnce(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		ask := func(once bool) *message {
			return d.approved(&message{Change: &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{
				Permission: "identity.customers.delete", Resource: carl, Duration: durationpb.New(10 * time.Minute), SingleUse: once,
			}}})
		}
		v, once := ask(false), ask(true)
		if want := start.Add(10 * time.Minute); !v.GetApprovedUntil().AsTime().Equal(want) || v.GetNotice() == "" {
			t.Errorf("approved %v", v)
		}
		_, err := d.apply(v.GetName(), sue)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		if used, err := d.apply(once.GetName(), sue); err != nil || used.GetState() != permissionv1.PermissionChangeRequest_STATE_APPLIED {
			t.Errorf("used: %v, %v", used, err)
		}
		_, err = d.apply(once.GetName(), sue)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		d.house.Now = start.Add(10 * time.Minute)
		d.sweep(1)
		if got := d.get(v.GetName()).GetState(); got != permissionv1.PermissionChangeRequest_STATE_EXPIRED {
			t.Errorf("after its time: %v", got)
		}
	})
}

// sweep expires what is due, and checks how many that are.
func (d *desk) sweep(want int) {
	d.t.Helper()
	var due []string
	d.view(func(r kv.Reader) (err error) {
		due, _, err = d.Job().Due(r, d.house.Now, nil, 10)
		return err
	})
	if len(due) != want {
		d.t.Errorf("due are %v, want %d", due, want)
	}
	for _, name := range due {
		for range 2 { // replicas sweep at once
			d.must(func(tx *change.Tx) error { return d.Expire(tx, name) })
		}
	}
}

func TestDeadlines_endEachStage(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		d.setPolicy(&permissionv1.ApprovalPolicy{
			VerifyWithin: durationpb.New(time.Hour), ApproveWithin: durationpb.New(2 * time.Hour), ApplyWithin: durationpb.New(3 * time.Hour),
		})
		waits := d.file(sue, sue, wants("roles/viewer", group))
		known := d.file(sue, sue, wants("roles/viewer", group))
		if _, err := d.verify(known.GetName(), tom); err != nil {
			t.Fatal(err)
		}
		ready := d.approved(wants("roles/viewer", group))
		for i, v := range []*message{waits, known, ready} {
			d.house.Now = start.Add(time.Duration(i+1)*time.Hour - time.Second)
			d.sweep(0)
			d.house.Now = start.Add(time.Duration(i+1) * time.Hour)
			// Its time is over, whether or not it was swept.
			_, err := d.apply(v.GetName(), boss)
			wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
			if errs.From(err).Metadata["state"] != "EXPIRED" {
				t.Errorf("refused with %v", errs.From(err).Metadata)
			}
			d.sweep(1)
		}
		if d.held(sue, group) != nil {
			t.Error("an expired request made a grant")
		}
	})
}
