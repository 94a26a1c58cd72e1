package permission_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// cora is another account of carl.
const cora = acme + "/customers/cora"

// subjects is what identity asks of the data of customers.
func (r *replica) subjects() permissionv1.PermissionSubjectServiceClient {
	return permissionv1.NewPermissionSubjectServiceClient(r.asService("identity").conn)
}

// move has identity move carl to cora, or bring him back, and returns the counts of
// the receipt, by kind.
func (r *replica) move(t testing.TB, undo bool) map[string]int64 {
	t.Helper()
	resp, err := r.subjects().MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{
		Merge: acme + "/mergeRecords/m1", From: carl, To: cora, Undo: undo, KeepUntil: timestamppb.New(time.Now().Add(time.Hour)),
	})
	if err != nil || resp.GetReceipt().GetCompleteTime() == nil {
		t.Fatalf("MoveSubject: %v, %v", resp, err)
	}
	counts := map[string]int64{}
	for _, k := range resp.GetReceipt().GetKinds() {
		counts[k.GetKind()] = k.GetCount()
	}
	return counts
}

// kept is all that the service gives out of an account.
func (r *replica) kept(t testing.TB, account string) (all []string) {
	t.Helper()
	resp, err := r.subjects().ExportSubject(t.Context(), &subjectv1.ExportSubjectRequest{Subject: account, PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range resp.GetRecords() {
		all = append(all, rec.GetKind()+" "+rec.GetJson())
	}
	return all
}

// kinds are the kinds of what is kept of an account.
func (r *replica) kinds(t testing.TB, account string) string {
	t.Helper()
	var kinds []string
	for _, line := range r.kept(t, account) {
		kinds = append(kinds, line[:strings.IndexByte(line, ' ')])
	}
	return strings.Join(kinds, " ")
}

// record has carl ask for a role and be given it, and for another one that he takes
// back, and for one that is open; he is told of an appointment, as cora is, and is
// trained.
func (r *replica) record(t testing.TB) (given, open *permissionv1.PermissionChangeRequest) {
	t.Helper()
	desk := r.people(admin)
	given = r.people(carl).file(t, carl, wish())
	for _, err := range []error{desk.verify(t, given.GetName()), desk.approve(t, given.GetName())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	must[*permissionv1.PermissionChangeRequest](t)(desk.ApplyPermissionChangeRequest(t.Context(), &permissionv1.ApplyPermissionChangeRequestRequest{Name: given.GetName()}))
	other := wish()
	other.GetGrant().Resource = acme + "/groups/g2"
	back := r.people(carl).file(t, carl, other)
	must[*permissionv1.PermissionChangeRequest](t)(r.people(carl).WithdrawPermissionChangeRequest(t.Context(), &permissionv1.WithdrawPermissionChangeRequestRequest{Name: back.GetName()}))
	open = r.people(carl).file(t, carl, other)
	crew := r.staffing(admin)
	crew.pass(t, crew.enrol(t, carl, crew.course(t, "messages")))
	crew.care(t)
	crew.notify(t, crew.appoint(t, "roles/customer.service", group1, time.Now().Add(100*day)), carl, cora)
	return given, open
}

// TestMoveSubject_movesWhatIsOverAndNoRights: what he was told and asked for is the
// other account's; what he holds, and what waits, stays; and all comes back.
func TestMoveSubject_movesWhatIsOverAndNoRights(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		given, open := r.record(t)
		before := append(r.kept(t, carl), r.kept(t, cora)...)
		counts := r.move(t, false)
		if counts["change_requests"] != 2 || counts["notices"] < 1 || counts["appointment_notices"] != 1 || counts["training_records"] != 1 || len(counts) != 4 {
			t.Errorf("moved are %v", counts)
		}
		if got := r.kinds(t, carl); got != "grants change_requests" {
			t.Errorf("left are %s", got)
		}
		if got := r.kinds(t, cora); got != "change_requests change_requests notices appointment_notices appointment_notices training_records" {
			t.Errorf("the other account has %s", got)
		}
		if r.asService("gateway").may(t, cora, "groupchat.groups.get", acme+"/groups/g1") {
			t.Error("a merge has given the other account a right")
		}
		name := strings.Replace(given.GetName(), carl, cora, 1)
		v := must[*permissionv1.PermissionChangeRequest](t)(r.people(admin).GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: name}))
		if v.GetSubject() != cora || v.GetCreator() != cora || !strings.HasPrefix(v.GetNotice(), cora+"/notices/") || v.GetAppliedGrant() == "" {
			t.Errorf("the request is %v", v)
		}
		must[*permissionv1.Notice](t)(r.people(admin).GetNotice(t.Context(), &permissionv1.GetNoticeRequest{Name: v.GetNotice()}))
		must[*permissionv1.PermissionChangeRequest](t)(r.people(admin).GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: open.GetName()}))
		if back := r.move(t, true); back["change_requests"] != 2 || back["training_records"] != 1 {
			t.Errorf("brought back are %v", back)
		}
		if after := append(r.kept(t, carl), r.kept(t, cora)...); !slices.Equal(before, after) {
			t.Errorf("there is\n%s\nthere was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	})
}

// TestMoved_nothingNewUnderTheName: neither requests nor training, until it is undone;
// and what was moved is erased with the survivor.
func TestMoved_nothingNewUnderTheName(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		r.record(t)
		r.move(t, false)
		_, err := r.people(admin).CreatePermissionChangeRequest(t.Context(), &permissionv1.CreatePermissionChangeRequestRequest{
			Parent: carl, PermissionChangeRequest: wish(),
		})
		wantError(t, err, errs.Precondition, "CUSTOMER_MERGED")
		_, err = r.staffing(admin).CreateTrainingRecord(t.Context(), &permissionv1.CreateTrainingRecordRequest{
			Parent: carl, TrainingRecord: &permissionv1.TrainingRecord{Course: acme + "/courses/messages"},
		})
		wantError(t, err, errs.Precondition, "CUSTOMER_MERGED")
		for _, account := range []string{cora, carl} {
			if _, err := r.subjects().EraseSubject(t.Context(), &subjectv1.EraseSubjectRequest{Subject: account}); err != nil {
				t.Fatal(err)
			}
			if left := r.kept(t, account); len(left) > 0 {
				t.Errorf("of %s there is %v", account, left)
			}
		}
		if slices.Contains(r.holding(acme), "move_lines") {
			t.Error("the ledger is left")
		}
		_, err = r.subjects().MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{Merge: acme + "/mergeRecords/m1", From: carl, To: cora, Undo: true})
		wantError(t, err, errs.Precondition, "MERGE_FINAL")
		_, err = permissionv1.NewPermissionSubjectServiceClient(r.as(admin).conn).MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{
			Merge: acme + "/mergeRecords/m1", From: carl, To: cora,
		})
		if !errs.Is(err, errs.Denied) {
			t.Errorf("asked by the administrator: %v, want Denied", err)
		}
	})
}
