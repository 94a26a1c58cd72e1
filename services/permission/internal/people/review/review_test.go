package review_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	. "guildhall.dev/services/permission/internal/people/peopletest"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/revision"
)

const (
	admin = Acme + "/staff/admin"
	rita  = Acme + "/staff/rita"
	rolf  = Acme + "/staff/rolf"
	sue   = Acme + "/staff/sue"
	sales = Acme + "/teams/sales"
	group = Acme + "/groups/g1"

	keep   = permissionv1.ReviewDecision_REVIEW_DECISION_KEEP
	revoke = permissionv1.ReviewDecision_REVIEW_DECISION_REVOKE
)

type office struct {
	*House
	*review.Reviews
	t *testing.T
}

func eachOffice(t *testing.T, test func(t *testing.T, o *office)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newOffice(t, engine)) })
	}
}

func newOffice(t *testing.T, engine string) *office {
	t.Helper()
	o := &office{House: New(t), t: t}
	o.Reviews = review.New(review.Config{Roles: o.Roles, Grants: o.Grants, Subjects: o.Subjects})
	o.Open(engine, o.Tables())
	o.Grant(admin, "roles/organization.admin", Acme)
	return o
}

// campaign is a review of the groups by rita and rolf.
func campaign() *permissionv1.AccessReview {
	return &permissionv1.AccessReview{
		DisplayName: "groups, first quarter", Reviewers: []string{rita, rolf},
		Scope:   &permissionv1.ReviewScope{Resource: Acme + "/groups"},
		DueTime: timestamppb.New(Start.Add(24 * time.Hour)), AutoCloseTime: timestamppb.New(Start.Add(48 * time.Hour)),
	}
}

func (o *office) tryCreate(in *permissionv1.AccessReview) (v *permissionv1.AccessReview, err error) {
	err = o.Do(func(tx *change.Tx) error {
		v, err = o.Create(tx, admin, Acme, "", in)
		return err
	})
	return v, err
}

func (o *office) start(in *permissionv1.AccessReview) *permissionv1.AccessReview {
	o.t.Helper()
	v, err := o.tryCreate(in)
	if err == nil {
		err = o.Do(func(tx *change.Tx) error {
			v, err = o.Start(tx, v.GetName(), "")
			return err
		})
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return v
}

func (o *office) items(name, of string) (items []*permissionv1.AccessReviewItem) {
	o.t.Helper()
	o.View(func(r kv.Reader) (err error) {
		items, _, err = o.ListItems(r, name, of, nil, 0)
		return err
	})
	return items
}

func (o *office) decide(it *permissionv1.AccessReviewItem, by string, d permissionv1.ReviewDecision) error {
	return o.Do(func(tx *change.Tx) error {
		_, err := o.Decide(tx, it.GetName(), "", authn.Caller{Name: by}, d, "looked at it")
		return err
	})
}

func (o *office) close(name string, byDefault bool) (v *permissionv1.AccessReview, err error) {
	err = o.Do(func(tx *change.Tx) error {
		v, err = o.Close(tx, name, "", admin, byDefault)
		return err
	})
	return v, err
}

func (o *office) sum(name string) (s *permissionv1.SummarizeAccessReviewResponse) {
	o.t.Helper()
	o.View(func(r kv.Reader) (err error) {
		s, err = o.Summarize(r, name, o.Now)
		return err
	})
	return s
}

// advance takes the review one step on.
func (o *office) advance(name string) (more bool) {
	o.t.Helper()
	if err := o.Do(func(tx *change.Tx) (err error) { more, err = o.Advance(tx, name); return err }); err != nil {
		o.t.Fatal(err)
	}
	return more
}

func TestReview_keepsAndRevokes(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		kept, gone := o.Grant(sue, "roles/viewer", group), o.Grant(sue, "roles/auditor", group)
		o.Grant(sue, "roles/viewer", Acme) // out of scope
		v := o.start(campaign())
		if v.GetState() != permissionv1.AccessReview_STATE_ACTIVE {
			t.Fatalf("started %v", v)
		}
		o.View(func(r kv.Reader) error {
			head, err := revision.Head(r, Acme)
			if v.GetRevision() != head.Number {
				t.Errorf("of revision %d, want %d", v.GetRevision(), head.Number)
			}
			return err
		})
		items := o.items(v.GetName(), "")
		if len(items) != 2 {
			t.Fatalf("items %v", items)
		}
		for _, it := range items {
			d := keep
			if it.GetGrant().GetName() == gone {
				d = revoke
			}
			reviewer := it.GetReviewer()
			other := rita
			if reviewer == rita {
				other = rolf
			}
			WantError(t, o.decide(it, other, d), errs.Denied, "NOT_THE_REVIEWER")
			if err := o.decide(it, reviewer, d); err != nil {
				t.Fatal(err)
			}
		}
		closed, err := o.close(v.GetName(), false)
		if err != nil || closed.GetState() != permissionv1.AccessReview_STATE_CLOSED || closed.GetCloser() != admin {
			t.Errorf("closed %v, %v", closed, err)
		}
		if got := o.Held(sue, group); !slices.Equal(got, []string{"roles/viewer"}) {
			t.Errorf("sue holds %v after %s was kept", got, kept)
		}
		if s := o.sum(v.GetName()); s.GetItems() != 2 || s.GetRevoked() != 1 || s.GetRevokedShare() != 0.5 {
			t.Errorf("sum %v", s)
		}
		WantError(t, o.decide(items[0], items[0].GetReviewer(), keep), errs.Precondition, "ILLEGAL_STATE")
	})
}

func TestReview_nobodyReviewsTheirOwn(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.Join(sales, rita)
		o.Join(sales, rolf)
		mine := o.Grant(rita, "roles/viewer", group)
		o.Grant(sales, "roles/viewer", group)
		v := o.start(campaign())
		for _, it := range o.items(v.GetName(), "") {
			want := rolf
			if it.GetGrant().GetName() != mine {
				want = "" // both are in the team
			}
			if it.GetReviewer() != want {
				t.Errorf("%s is for %q, want %q", it.GetGrant().GetSubject(), it.GetReviewer(), want)
			}
		}
		open := o.items(v.GetName(), "UNASSIGNED")
		if len(open) != 1 {
			t.Fatalf("unassigned %v", open)
		}
		reassign := func(to string) error {
			return o.Do(func(tx *change.Tx) error { _, err := o.Reassign(tx, open[0].GetName(), "", to); return err })
		}
		WantError(t, reassign(rita), errs.Denied, "SELF_REVIEW")
		WantError(t, reassign("organizations/zeta/staff/z"), errs.Invalid, "REVIEWER_INVALID")
		if err := reassign(sue); err != nil {
			t.Fatal(err)
		}
		o.Join(sales, sue) // since then it is her own
		WantError(t, o.decide(open[0], sue, keep), errs.Denied, "SELF_REVIEW")
		_, err := o.close(v.GetName(), false)
		WantError(t, err, errs.Precondition, "UNDECIDED_ITEMS")
	})
}

func TestReview_roleHoldersReview(t *testing.T) {
	o := newOffice(t, "bolt")
	o.Grant(rolf, "roles/customer.service", group)
	o.Grant(rita, "roles/customer.service", Acme)
	o.Grant(sue, "roles/viewer", group)
	o.Grant(sue, "roles/viewer", Acme+"/groups/g2")
	in := campaign()
	in.Reviewers, in.ReviewerRoles = nil, []string{"roles/customer.service"}
	in.Scope.Subjects = []string{sue}
	v := o.start(in)
	for _, it := range o.items(v.GetName(), "") {
		fit := []string{rita}
		if it.GetGrant().GetResource() == group {
			fit = []string{rita, rolf}
		}
		if !slices.Contains(fit, it.GetReviewer()) {
			t.Errorf("%s is for %s, want one of %v", it.GetGrant().GetResource(), it.GetReviewer(), fit)
		}
	}
}

func TestReview_whatChangedOrIsProtectedIsReported(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		ended, changed := o.Grant(sue, "roles/viewer", group), o.Grant(sue, "roles/auditor", group)
		in := campaign()
		in.Scope = &permissionv1.ReviewScope{}
		v := o.start(in)
		o.Revoke(ended)
		o.Must(func(tx *change.Tx) error { // the same name again, and not the same grant
			g, _, err := o.Grants.Delete(tx, tx.Time, changed, "")
			if err != nil {
				return err
			}
			g.Reason = "anew"
			_, _, err = o.Grants.Create(tx, tx.Time, g)
			return err
		})
		for _, it := range o.items(v.GetName(), "") {
			if err := o.decide(it, it.GetReviewer(), revoke); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := o.close(v.GetName(), false); err != nil || v.GetState() != permissionv1.AccessReview_STATE_CLOSED {
			t.Fatalf("closed %v, %v", v, err)
		}
		want := map[string]string{"roles/viewer": "SKIPPED GRANT_NOT_FOUND", "roles/auditor": "SKIPPED GRANT_CHANGED", "roles/organization.admin": "FAILED LAST_ADMINISTRATOR"}
		for _, it := range o.items(v.GetName(), "") {
			got := review.OutcomeWord(it.GetOutcome()) + " " + it.GetOutcomeReason()
			if got != want[it.GetGrant().GetRole()] {
				t.Errorf("%s: %s, want %s", it.GetGrant().GetRole(), got, want[it.GetGrant().GetRole()])
			}
		}
		if o.Held(admin, Acme) == nil || o.Held(sue, group) == nil {
			t.Error("the administrator, or the new grant, is gone")
		}
	})
}

func TestReview_closesByItselfAndReminds(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.Grant(sue, "roles/viewer", group)
		v := o.start(campaign())
		due := func() int {
			var names []string
			o.View(func(r kv.Reader) (err error) { names, _, err = o.Job().Due(r, o.Now, nil, 10); return err })
			return len(names)
		}
		o.Now = Start.Add(24*time.Hour - time.Second)
		if due() != 0 || o.sum(v.GetName()).GetOverdue() != 0 {
			t.Errorf("before its time: %d due, %v", due(), o.sum(v.GetName()))
		}
		o.Now = Start.Add(24 * time.Hour)
		o.advance(v.GetName())
		told := o.Events("guildhall.permission.access_review.reminder_due.v1")
		data := &permissionv1.AccessReviewReminder{}
		if len(told) != 1 || told[0].GetData().UnmarshalTo(data) != nil || data.GetOpenItems() != 1 || !data.GetOverdue() {
			t.Errorf("reminded by %v", told)
		}
		if o.advance(v.GetName()); due() != 0 || o.sum(v.GetName()).GetOverdue() != 1 {
			t.Errorf("reminded, and still %d due", due())
		}
		it := o.items(v.GetName(), "")[0]
		o.Now = Start.Add(48 * time.Hour)
		WantError(t, o.decide(it, it.GetReviewer(), keep), errs.Precondition, "ILLEGAL_STATE") // the sweep is late
		o.Store.Broken = true
		if err := o.Do(func(tx *change.Tx) error { _, err := o.Advance(tx, v.GetName()); return err }); err == nil || o.Held(sue, group) == nil {
			t.Errorf("a crash: %v; sue holds %v", err, o.Held(sue, group))
		}
		o.Store.Broken = false
		o.advance(v.GetName())
		it = o.items(v.GetName(), "")[0]
		if o.Held(sue, group) != nil || it.GetDecision() != revoke || it.GetDecider() != "services/permission" {
			t.Errorf("after its time: %v; sue holds %v", it, o.Held(sue, group))
		}
		if o.advance(v.GetName()) || due() != 0 { // replicas sweep at once
			t.Error("a closed review goes on")
		}
	})
}

func TestCreate_refuses(t *testing.T) {
	o := newOffice(t, "bolt")
	for _, test := range []struct {
		change func(v *permissionv1.AccessReview)
		kind   errs.Kind
		reason string
	}{
		{func(v *permissionv1.AccessReview) { v.Reviewers = nil }, errs.Invalid, "REVIEWER_REQUIRED"},
		{func(v *permissionv1.AccessReview) { v.Reviewers = []string{sales} }, errs.Invalid, "REVIEWER_INVALID"},
		{func(v *permissionv1.AccessReview) { v.Scope.Resource = "organizations/zeta" }, errs.Invalid, "RESOURCE_FOREIGN"},
		{func(v *permissionv1.AccessReview) { v.Scope.Roles = []string{"roles/king"} }, errs.NotFound, "ROLE_NOT_FOUND"},
		{func(v *permissionv1.AccessReview) { v.DueTime = timestamppb.New(Start) }, errs.Invalid, "DUE_TIME_INVALID"},
		{func(v *permissionv1.AccessReview) { v.AutoCloseTime = timestamppb.New(Start.Add(time.Hour)) }, errs.Invalid, "DUE_TIME_INVALID"},
	} {
		v := campaign()
		test.change(v)
		_, err := o.tryCreate(v)
		WantError(t, err, test.kind, test.reason)
	}
	v := o.start(campaign())
	if err := o.Do(func(tx *change.Tx) error { _, err := o.Start(tx, v.GetName(), ""); return err }); errs.ReasonOf(err) != "ILLEGAL_STATE" {
		t.Errorf("started twice: %v", err)
	}
	if err := o.Do(func(tx *change.Tx) error { _, err := o.Cancel(tx, v.GetName(), "", admin); return err }); err != nil {
		t.Error(err)
	}
}

func TestEvidence_isWholeAndHarmless(t *testing.T) {
	o := newOffice(t, "bolt")
	o.Must(func(tx *change.Tx) error {
		_, _, err := o.Grants.Create(tx, tx.Time, &permissionv1.Grant{
			Name: Acme + "/grants/g", Subject: sue, Role: "roles/viewer", Resource: group, Reason: "=HYPERLINK(\"http://evil\"),\n上线",
		})
		return err
	})
	v := o.start(campaign())
	it := o.items(v.GetName(), "")[0]
	o.Must(func(tx *change.Tx) error {
		_, err := o.Decide(tx, it.GetName(), "", authn.Caller{Name: it.GetReviewer()}, keep, " ＋1+cmd|' /C calc'!A0")
		return err
	})
	all := func(yield func(*permissionv1.AccessReviewItem, error) bool) {
		for _, it := range o.items(v.GetName(), "") {
			yield(it, nil)
		}
	}
	var b bytes.Buffer
	if err := review.WriteCSV(&b, v, all); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(lines) != 2 || len(lines[0]) != len(lines[1]) {
		t.Fatalf("CSV %v, %v", lines, err)
	}
	for i, cell := range lines[1] {
		if trimmed := strings.TrimSpace(cell); trimmed != "" && strings.ContainsRune("=+-@＋", []rune(trimmed)[0]) {
			t.Errorf("column %s: %q", lines[0][i], cell)
		}
	}
	b.Reset()
	if err := review.WriteJSON(&b, v, all); err != nil {
		t.Fatal(err)
	}
	var doc struct{ Items []map[string]any }
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil || len(doc.Items) != 1 || doc.Items[0]["decision"] != "REVIEW_DECISION_KEEP" {
		t.Errorf("JSON %v, %v", doc, err)
	}
}
