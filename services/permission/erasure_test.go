package permission_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// holding returns the tables that hold a text, looked at through the seal.
func (r *replica) holding(text string) []string {
	r.in.t.Helper()
	return servetest.Holding(r.in.t, r.store, r.tables, text)
}

// TestEraseSubject_leavesNothingSaidOfThePerson: what the account held and what was
// written about it is gone, and the receipt says so each time.
func TestEraseSubject_leavesNothingSaidOfThePerson(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		chief := r.as(admin)
		chief.grant(t, carl, "roles/viewer", acme+"/groups/g1")
		mine := r.people(carl)
		w := wish()
		w.Justification = "I am Carl Gauss"
		mine.file(t, carl, w)
		if len(r.holding("Carl Gauss")) == 0 {
			t.Fatal("the test looks at nothing")
		}
		says := permissionv1.NewPermissionSubjectServiceClient(r.asService("identity").conn)
		r.asService("identity").setState(t, carl, "ERASED", 2)
		ask := &subjectv1.EraseSubjectRequest{Subject: carl}
		first, err := says.EraseSubject(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int64{}
		for _, k := range first.GetReceipt().GetKinds() {
			counts[k.GetKind()] = k.GetCount()
		}
		if counts["grants"] != 1 || counts["change_requests"] != 1 || first.GetReceipt().GetDigest() == "" {
			t.Errorf("the receipt is %v", first.GetReceipt())
		}
		if again, err := says.EraseSubject(t.Context(), ask); err != nil || !proto.Equal(first, again) {
			t.Errorf("again: %v, %v; want the same receipt", again, err)
		}
		late, err := permissionv1.NewGrantServiceClient(r.asService("groupchat").conn).SetManagedGrant(t.Context(), &permissionv1.SetManagedGrantRequest{
			Subject: carl, Resource: acme + "/groups/secret", Role: "roles/group.member", Version: 7,
		})
		if err != nil || late.GetVersion() != 7 || len(r.holding("groups/secret")) > 0 {
			t.Errorf("a late word: %v, %v, kept in %v", late, err, r.holding("groups/secret"))
		}
		if where := r.holding("Carl Gauss"); len(where) > 0 {
			t.Errorf("the words are left in %v", where)
		}
		if r.asService("gateway").may(t, carl, "groupchat.groups.get", acme+"/groups/g1") {
			t.Error("an erased account may still do something")
		}
		_, err = says.EraseSubject(t.Context(), &subjectv1.EraseSubjectRequest{Subject: acme + "/teams/t1"})
		wantError(t, err, errs.Invalid, "SUBJECT_INVALID")
		_, err = permissionv1.NewPermissionSubjectServiceClient(chief.conn).EraseSubject(t.Context(), ask)
		if !errs.Is(err, errs.Denied) {
			t.Errorf("asked by the administrator: %v, want Denied", err)
		}
	})
}

// TestExportSubject_givesOutWhatTheAccountWasGivenAndAskedFor, to identity alone, and
// nothing once it is erased.
func TestExportSubject_givesOutWhatTheAccountWasGivenAndAskedFor(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		chief := r.as(admin)
		chief.grant(t, carl, "roles/viewer", acme+"/groups/g1")
		chief.grant(t, carl, "roles/viewer", acme+"/groups/g2")
		w := wish()
		w.Justification = "I am Carl Gauss"
		r.people(carl).file(t, carl, w)
		says := permissionv1.NewPermissionSubjectServiceClient(r.asService("identity").conn)
		ask := &subjectv1.ExportSubjectRequest{Subject: carl, PageSize: 2}
		var kinds, text []string
		for {
			resp, err := says.ExportSubject(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range resp.GetRecords() {
				kinds, text = append(kinds, rec.GetKind()), append(text, rec.GetJson())
			}
			if ask.PageToken = resp.GetNextPageToken(); ask.PageToken == "" {
				break
			}
		}
		if got := strings.Join(kinds, " "); got != "grants grants change_requests" || !strings.Contains(strings.Join(text, ""), "I am Carl Gauss") {
			t.Errorf("given out are %s: %s", got, text)
		}
		for reason, bad := range map[string]*subjectv1.ExportSubjectRequest{
			"SUBJECT_INVALID": {Subject: acme + "/teams/t1"}, "PAGE_TOKEN_INVALID": {Subject: carl, PageToken: "made up"},
		} {
			_, err := says.ExportSubject(t.Context(), bad)
			wantError(t, err, errs.Invalid, reason)
		}
		if _, err := permissionv1.NewPermissionSubjectServiceClient(chief.conn).ExportSubject(t.Context(), ask); !errs.Is(err, errs.Denied) {
			t.Errorf("asked by the administrator: %v, want Denied", err)
		}
		if _, err := says.EraseSubject(t.Context(), &subjectv1.EraseSubjectRequest{Subject: carl}); err != nil {
			t.Fatal(err)
		}
		if resp, err := says.ExportSubject(t.Context(), &subjectv1.ExportSubjectRequest{Subject: carl}); err != nil || len(resp.GetRecords()) != 0 {
			t.Errorf("after the erasure: %v, %v", resp, err)
		}
	})
}
