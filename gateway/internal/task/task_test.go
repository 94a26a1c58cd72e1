package task

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

var start = time.Unix(1_800_000_000, 0)

// request is a change request of a kind after its moves.
func request(approval bool, moves ...permissionv1.PermissionChangeRequest_State) *permissionv1.PermissionChangeRequest {
	v := &permissionv1.PermissionChangeRequest{
		Name: "organizations/acme/staff/lin/permissionChangeRequests/r1", CreateTime: timestamppb.New(start),
		Change: &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{}},
	}
	if approval {
		v.Change = &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{}}
		v.ApprovedUntil = timestamppb.New(start.Add(time.Hour))
	}
	for i, state := range moves {
		v.State = state
		v.History = append(v.History, &permissionv1.ChangeRequestMove{To: state, Time: timestamppb.New(start.Add(time.Duration(i) * time.Minute))})
	}
	return v
}

func TestView_statusOfEachState(t *testing.T) {
	const (
		submitted = permissionv1.PermissionChangeRequest_STATE_SUBMITTED
		verified  = permissionv1.PermissionChangeRequest_STATE_IDENTITY_VERIFIED
		approved  = permissionv1.PermissionChangeRequest_STATE_APPROVED
	)
	for state, want := range map[permissionv1.PermissionChangeRequest_State][3]string{ // before approval; then access, approval after it
		submitted: {Pending, Pending, Approved},
		verified:  {Pending, Pending, Approved},
		approved:  {Pending, Pending, Approved},
		permissionv1.PermissionChangeRequest_STATE_APPLIED:      {Approved, Approved, Approved},
		permissionv1.PermissionChangeRequest_STATE_NOTIFIED:     {Approved, Approved, Approved},
		permissionv1.PermissionChangeRequest_STATE_ACKNOWLEDGED: {Approved, Approved, Approved},
		permissionv1.PermissionChangeRequest_STATE_REJECTED:     {Denied, Denied, Approved},
		permissionv1.PermissionChangeRequest_STATE_WITHDRAWN:    {Cancelled, Cancelled, Approved},
		permissionv1.PermissionChangeRequest_STATE_CANCELLED:    {Cancelled, Cancelled, Approved},
		permissionv1.PermissionChangeRequest_STATE_EXPIRED:      {Expired, Expired, Approved},
	} {
		w := View{Now: start, Lifetime: time.Hour}
		got := [3]string{
			w.StatusOf(request(false, submitted, verified, state)), w.StatusOf(request(false, submitted, verified, approved, state)),
			w.StatusOf(request(true, submitted, verified, approved, state)),
		}
		if state == approved {
			got[0] = got[1]
		}
		if got != want {
			t.Errorf("%s is %v, want %v", state, got, want)
		}
	}
	v := request(false, submitted)
	v.StageDeadline = timestamppb.New(start.Add(time.Second))
	for after, want := range map[time.Duration]string{0: Pending, time.Second: Expired} {
		if got := (View{Now: start.Add(after)}).StatusOf(v); got != want {
			t.Errorf("%v after it was filed it is %s, want %s", after, got, want)
		}
	}
}

func TestView_resultOfWhatIsApproved(t *testing.T) {
	w := View{Endpoint: "https://pdp.example/access/v1/requests/", Lifetime: 24 * time.Hour, Now: start}
	applied := []permissionv1.PermissionChangeRequest_State{
		permissionv1.PermissionChangeRequest_STATE_SUBMITTED, permissionv1.PermissionChangeRequest_STATE_APPROVED, permissionv1.PermissionChangeRequest_STATE_NOTIFIED,
	}
	withEnd := request(false, applied...)
	withEnd.Proposal = &permissionv1.WantedGrant{ExpireTime: timestamppb.New(start.Add(2 * time.Hour))}
	for name, test := range map[string]struct {
		v     *permissionv1.PermissionChangeRequest
		until time.Duration
	}{
		"an approval":            {request(true, applied[:2]...), time.Hour},
		"a grant with an end":    {withEnd, 2 * time.Hour},
		"a grant without an end": {request(false, applied...), 24 * time.Hour},
	} {
		h := w.Of(test.v)
		want := Result{Mode: "reevaluate", Approval: Approval{ID: h.Task.ID, ApprovedAt: stamp(start.Add(time.Minute)), ApprovedUntil: stamp(start.Add(test.until))}}
		if h.Result == nil || *h.Result != want || h.Task.Links != nil || h.Task.StatusEndpoint != w.Endpoint+h.Task.ID {
			t.Errorf("%s: %+v %+v, want %+v", name, h.Task, h.Result, want)
		}
	}
	if h := w.Of(request(false, applied[0])); h.Result != nil || h.Task.Links.Cancel != h.Task.StatusEndpoint+"/cancel" {
		t.Errorf("what is pending is %+v", h)
	}
	if v := request(false, applied[0]); w.Gone(v) || !(View{Lifetime: time.Hour, Now: start.Add(time.Hour)}).Gone(v) {
		t.Error("a handle is not good for exactly its lifetime")
	}
}

func TestName_isOfTheOrganizationAlone(t *testing.T) {
	name := "organizations/acme/staff/lin/permissionChangeRequests/01980000-0000-7000-8000-000000000000"
	if got, ok := Name("organizations/acme", ID(name)); !ok || got != name {
		t.Errorf("%s comes back as %s", name, got)
	}
	for _, text := range []string{
		"", "staff/lin", "staff/lin/r1/x", "staff/../r1", "staff/lin/", "staff//r1", "staff/LIN/r1",
		"permissionChangeRequests/lin/permissionChangeRequests/r1/x",
	} {
		if name, ok := Name("organizations/acme", encoding.EncodeToString([]byte(text))); ok {
			t.Errorf("%q is taken for %s", text, name)
		}
	}
	for _, id := range []string{"!", ID(name) + "\n", ID(name) + "="} {
		if name, ok := Name("organizations/acme", id); ok {
			t.Errorf("%q is taken for %s", id, name)
		}
	}
	if got := ID("organizations/acme/grants/g1"); got != "" {
		t.Errorf("a grant has the id %q", got)
	}
}
