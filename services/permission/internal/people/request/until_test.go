package request_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/request"
)

func accessUntil(at time.Time) *message {
	return &message{Change: &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{
		Permission: "groupchat.groups.get", Resource: group, Until: timestamppb.New(at),
	}}}
}

func approvalUntil(at time.Time, within *durationpb.Duration) *message {
	return &message{Change: &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{
		Permission: "identity.customers.delete", Resource: carl, Duration: within, Until: timestamppb.New(at),
	}}}
}

func TestUntil_theGrantEndsByThen(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		until := start.Add(2 * time.Hour)
		v := d.file(sue, sue, accessUntil(until))
		if _, err := d.verify(v.GetName(), tom); err != nil {
			t.Fatal(err)
		}
		give := func(end *timestamppb.Timestamp) error {
			_, err := d.step(v.GetName(), admin, func(tx *change.Tx, m request.Move) (*message, error) {
				return d.Approve(tx, m, &permissionv1.WantedGrant{Role: "roles/viewer", Resource: group, ExpireTime: end})
			})
			return err
		}
		wantError(t, give(nil), errs.Invalid, "GRANT_OUTLASTS_REQUEST")
		wantError(t, give(timestamppb.New(until.Add(time.Second))), errs.Invalid, "GRANT_OUTLASTS_REQUEST")
		if err := give(timestamppb.New(until)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUntil_anApprovalCountsNoLonger(t *testing.T) {
	d := newDesk(t, "bolt")
	for _, test := range []struct {
		name   string
		until  time.Duration
		within *durationpb.Duration
		want   time.Duration
	}{
		{"up to then", 5 * time.Hour, nil, 5 * time.Hour},
		{"its duration is shorter", 5 * time.Hour, durationpb.New(time.Hour), time.Hour},
		{"its duration is longer", time.Hour, durationpb.New(5 * time.Hour), time.Hour},
		{"at most 30 days", 1000 * time.Hour, nil, 720 * time.Hour},
	} {
		v := d.approved(approvalUntil(start.Add(test.until), test.within))
		if want := start.Add(test.want); !v.GetApprovedUntil().AsTime().Equal(want) {
			t.Errorf("%s: counts until %v, want %v", test.name, v.GetApprovedUntil().AsTime(), want)
		}
	}
}

func TestUntil_whatIsWantedNoLongerExpires(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		for _, in := range []*message{accessUntil(start), approvalUntil(start.Add(-time.Second), nil)} {
			_, err := d.tryFile(sue, sue, in)
			wantError(t, err, errs.Invalid, "EXPIRE_TIME_PAST")
		}
		_, err := d.tryFile(sue, sue, &message{Change: &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{
			Permission: "groupchat.groups.get", Resource: group, Until: &timestamppb.Timestamp{Seconds: 1 << 60},
		}}})
		wantError(t, err, errs.Invalid, "TIMESTAMP_INVALID")
		v := d.file(sue, sue, accessUntil(start.Add(time.Hour)))
		if _, err := d.verify(v.GetName(), tom); err != nil {
			t.Fatal(err)
		}
		d.house.Now = start.Add(time.Hour)
		_, err = d.approve(v.GetName(), admin)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		d.sweep(1)
		if got := d.get(v.GetName()).GetState(); got != permissionv1.PermissionChangeRequest_STATE_EXPIRED {
			t.Errorf("after its time: %v", got)
		}
	})
}
