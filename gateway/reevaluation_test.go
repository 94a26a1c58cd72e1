package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/gateway/internal/task"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Changes of a change request, for tests.
func inState(state permissionv1.PermissionChangeRequest_State) func(*permissionv1.PermissionChangeRequest) {
	return func(v *permissionv1.PermissionChangeRequest) { v.State = state }
}

func wasApproved(v *permissionv1.PermissionChangeRequest) {
	v.History = append(v.History, &permissionv1.ChangeRequestMove{
		To: permissionv1.PermissionChangeRequest_STATE_APPROVED, Time: timestamppb.New(time.Unix(1_799_999_000, 0)),
	})
}

func isApproval(v *permissionv1.PermissionChangeRequest) {
	v.Change = &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{
		Permission: "groupchat.groups.get", Resource: "organizations/acme/groups/g1",
	}}
	v.ApprovedUntil = timestamppb.New(time.Unix(1_800_003_600, 0))
}

// TestReevaluation_saysWhatToDoNext asks again whether kim may read g1, with an
// approval that is of kim's change request after the changes.
func TestReevaluation_saysWhatToDoNext(t *testing.T) {
	type changes = []func(*permissionv1.PermissionChangeRequest)
	const (
		none    = permissionv1.Denial_DENIAL_NO_GRANT
		needed  = permissionv1.Denial_DENIAL_APPROVAL_NEEDED
		away    = permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
		unknown = permissionv1.Denial_DENIAL_PERMISSION_UNKNOWN
		given   = permissionv1.PermissionChangeRequest_STATE_APPROVED
		applied = permissionv1.PermissionChangeRequest_STATE_NOTIFIED
		expired = permissionv1.PermissionChangeRequest_STATE_EXPIRED
	)
	elsewhere := func(v *permissionv1.PermissionChangeRequest) {
		v.GetAccess().Resource = "organizations/acme/groups/g2"
	}
	another := func(v *permissionv1.PermissionChangeRequest) { v.Subject = "organizations/acme/staff/lin" }
	ended := func(v *permissionv1.PermissionChangeRequest) {
		v.Proposal = &permissionv1.WantedGrant{ExpireTime: timestamppb.New(time.Unix(1_799_999_999, 0))}
	}
	over := func(v *permissionv1.PermissionChangeRequest) {
		v.ApprovedUntil = timestamppb.New(time.Unix(1_800_000_000, 0))
	}
	ask := func(reason string) string {
		return `{"access_request":true,"next_action":"request","reason":"` + reason + `"}`
	}
	stop := func(reason string) string { return `{"next_action":"none","reason":"` + reason + `"}` }
	wait := `{"next_action":"retry","reason":"grant_pending","retry_after":5}`
	for _, test := range []struct {
		name   string
		denial permissionv1.Denial
		v      changes
		want   string
	}{
		{"nobody has approved it", none, changes{}, stop("approval_unverifiable")},
		{"it was turned down", none, changes{inState(permissionv1.PermissionChangeRequest_STATE_REJECTED)}, stop("approval_unverifiable")},
		{"it is another's", none, changes{another, wasApproved, inState(applied)}, stop("approval_unverifiable")},
		{"it is for something else", none, changes{elsewhere, wasApproved, inState(applied)}, ask("out_of_scope")},
		{"it is for something else, and not known", unknown, changes{elsewhere, wasApproved, inState(applied)}, stop("out_of_scope")},
		{"the grant is to come", none, changes{wasApproved, inState(given)}, wait},
		{"the grant is gone", none, changes{wasApproved, inState(applied)}, ask("approval_expired")},
		{"the grant has ended", none, changes{wasApproved, inState(applied), ended}, ask("approval_expired")},
		{"nobody made the grant in time", none, changes{wasApproved, inState(expired)}, ask("approval_expired")},
		{"the account is suspended", away, changes{wasApproved, inState(applied)}, stop("policy_denied")},
		{"the grant is there, and a second person is wanted", needed, changes{wasApproved, inState(applied)}, ask("DENIAL_APPROVAL_NEEDED")},
		{"an approval that is over", needed, changes{isApproval, wasApproved, inState(given), over}, ask("approval_expired")},
		{"an approval that was swept", needed, changes{isApproval, wasApproved, inState(expired), over}, ask("approval_expired")},
		{"an approval that was used", needed, changes{isApproval, wasApproved, inState(permissionv1.PermissionChangeRequest_STATE_APPLIED)}, ask("approval_expired")},
		{"an approval that was taken back", needed, changes{isApproval, wasApproved, inState(permissionv1.PermissionChangeRequest_STATE_CANCELLED)}, ask("approval_expired")},
		{"an approval since the check", needed, changes{isApproval, wasApproved, inState(given)}, wait},
		{"an approval without a grant", none, changes{isApproval, wasApproved, inState(given)}, ask("DENIAL_NO_GRANT")},
	} {
		p := newPoint(t)
		v := kimsRequest(func(v *permissionv1.PermissionChangeRequest) { v.CreateTime = timestamppb.New(p.now) })
		for _, change := range test.v {
			change(v)
		}
		p.denial = test.denial
		p.taskDesk(v)
		w := p.post(evaluationPath, again(kim, filedName))
		wantStatus(t, w, 200)
		if got := contextOf(t, w.Body.Bytes()); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if q := p.asked[0]; q.GetApproval() != filedName {
			t.Errorf("%s: the check was asked with the approval %q", test.name, q.GetApproval())
		}
	}
}

// again asks whether somebody may read g1, with an approval.
func again(who, name string) string {
	return `{` + who + `,` + reading + `,` + g1 + `,"context":{"approval":{"id":"` + task.ID(name) + `","approved_until":"2099-01-01T00:00:00Z"}}}`
}

func TestReevaluation_aYesSaysUntilWhen(t *testing.T) {
	p := newPoint(t)
	name := "organizations/acme/staff/lin/permissionChangeRequests/r1"
	v := kimsRequest(isApproval)
	v.Name, v.Subject, v.State, v.CreateTime = name, "organizations/acme/staff/lin", permissionv1.PermissionChangeRequest_STATE_APPROVED, timestamppb.New(p.now)
	wasApproved(v)
	p.taskDesk(v)
	w := p.post(evaluationPath, again(lin, name))
	want := `{"decision":true,"context":{"approval":{"id":"` + task.ID(name) + `","approved_until":"2027-01-15T09:00:00Z"}}}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("answered %d %s, want %s", w.Code, w.Body, want)
	}
	v.Subject = kimName
	if w := p.post(evaluationPath, again(lin, name)); w.Body.String() != `{"decision":true}` {
		t.Errorf("with an approval of somebody else's: %s", w.Body)
	}
}

func TestReevaluation_whatIsNoApproval(t *testing.T) {
	p := newPoint(t)
	p.desk = func(_, _ proto.Message) error { return errs.New(errs.Denied, "PERMISSION_DENIED", "x") }
	stop := `{"next_action":"none","reason":"approval_unverifiable"}`
	for approval, want := range map[string]string{
		`{"id":"nonsense"}`:                   stop,
		`{"id":"` + task.ID(filedName) + `"}`: stop, // which the caller may not read
		`"a word of the caller's own"`:        `{"access_request":true,"reason":"DENIAL_NO_GRANT"}`,
		`{"granted":true}`:                    `{"access_request":true,"reason":"DENIAL_NO_GRANT"}`,
	} {
		w := p.post(evaluationPath, `{`+kim+`,`+reading+`,`+g1+`,"context":{"approval":`+approval+`}}`)
		wantStatus(t, w, 200)
		if got := contextOf(t, w.Body.Bytes()); got != want {
			t.Errorf("%s: %s, want %s", approval, got, want)
		}
	}
	p.desk = func(_, _ proto.Message) error { return errs.New(errs.Unavailable, "UNAVAILABLE", "x") }
	wantProblem(t, p.post(evaluationPath, again(kim, filedName)), 503, "UNAVAILABLE")
}

func TestReevaluation_ofABatchReadsEachApprovalOnce(t *testing.T) {
	p := newPoint(t)
	reads := 0
	v := kimsRequest(func(v *permissionv1.PermissionChangeRequest) { v.CreateTime = timestamppb.New(p.now) })
	p.desk = func(_, reply proto.Message) error {
		reads++
		return fill(reply, v)
	}
	element := func(request int) string {
		return fmt.Sprintf(`{"context":{"approval":{"id":%q}}}`, task.ID(fmt.Sprintf("%s/permissionChangeRequests/r%d", kimName, request)))
	}
	w := p.post(evaluationsPath, `{`+kim+`,`+reading+`,`+g1+`,"evaluations":[`+strings.Repeat(element(1)+",", 50)+element(2)+`]}`)
	if w.Code != 200 || reads != 2 || strings.Count(w.Body.String(), "approval_unverifiable") != 51 {
		t.Errorf("answered %d after %d reads: %s", w.Code, reads, w.Body)
	}
	var many []string
	for i := range 21 {
		many = append(many, element(i))
	}
	got := wantProblem(t, p.post(evaluationsPath, `{`+kim+`,`+reading+`,`+g1+`,"evaluations":[`+strings.Join(many, ",")+`]}`), 400, "REPEATED_MAX_ITEMS")
	if got.Violations[0].Field != "evaluations" {
		t.Errorf("faults are %+v", got.Violations)
	}
}
