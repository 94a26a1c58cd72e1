package request_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/request"
)

func TestLife_fromAWishToTheNoticeThatWasRead(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		in := wants("roles/viewer", group)
		in.GetGrant().ExpireTime = timestamppb.New(start.Add(48 * time.Hour))
		v := d.approved(in)
		if v.GetState() != permissionv1.PermissionChangeRequest_STATE_APPROVED || d.held(sue, group) != nil {
			t.Fatalf("approved %v; holds %v", v.GetState(), d.held(sue, group))
		}
		v, err := d.apply(v.GetName(), boss)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.held(sue, group); !slices.Equal(got, []string{"roles/viewer"}) {
			t.Errorf("holds %v", got)
		}
		n := d.acknowledge(v.GetNotice(), sue)
		for language, text := range map[string]string{"zh": n.GetBody().GetZhCn(), "en": n.GetBody().GetEn()} {
			for _, part := range []string{group, "noted", map[string]string{"zh": "2026年3月3日 20:00（北京时间）", "en": "2026-03-03 12:00 UTC"}[language]} {
				if !strings.Contains(text, part) {
					t.Errorf("%s: the notice lacks %q:\n%s", language, part, text)
				}
			}
		}
		var path []string
		for _, m := range d.get(v.GetName()).GetHistory() {
			path = append(path, request.Word(m.GetTo()))
		}
		if want := "SUBMITTED IDENTITY_VERIFIED APPROVED APPLIED NOTIFIED ACKNOWLEDGED"; strings.Join(path, " ") != want {
			t.Errorf("went by %v", path)
		}
	})
}

func (d *desk) acknowledge(name, by string) (n *permissionv1.Notice) {
	d.t.Helper()
	d.must(func(tx *change.Tx) (err error) {
		if n, _, err = d.notices.Acknowledge(tx, name, "", by); err != nil {
			return err
		}
		return d.Acknowledge(tx, n, by)
	})
	return n
}

func TestCreate_refusesWhatCanNeverBe(t *testing.T) {
	d := newDesk(t, "bolt")
	mine := d.grant(tom, "roles/viewer", group)
	revoke := func(name string) *message {
		return &message{Change: &permissionv1.PermissionChangeRequest_Revoke{Revoke: name}}
	}
	past := wants("roles/viewer", acme)
	past.GetGrant().ExpireTime = timestamppb.New(start)
	foreign := wants("roles/viewer", acme)
	foreign.Subject = "organizations/zeta/staff/z"
	for _, test := range []struct {
		name          string
		in            *message
		kind          errs.Kind
		reason, field string
	}{
		{"nothing", &message{}, errs.Invalid, "CHANGE_REQUIRED", "permission_change_request.grant"},
		{"a foreign resource", wants("roles/viewer", "organizations/zeta"), errs.Invalid, "RESOURCE_FOREIGN", "permission_change_request.grant.resource"},
		{"a foreign subject", foreign, errs.Invalid, "SUBJECT_INVALID", "permission_change_request.subject"},
		{"no such role", wants("roles/king", acme), errs.NotFound, "ROLE_NOT_FOUND", "permission_change_request.grant.role"},
		{"a role of a service", wants("roles/group.owner", group), errs.Invalid, "ROLE_MANAGED", "permission_change_request.grant.role"},
		{"an end in the past", past, errs.Invalid, "EXPIRE_TIME_PAST", "permission_change_request.grant.expire_time"},
		{"the end of no grant", revoke(acme + "/grants/none"), errs.NotFound, "GRANT_NOT_FOUND", ""},
		{"the end of another's grant, not saying whose", revoke(mine), errs.NotFound, "GRANT_NOT_FOUND", ""},
		{"an unknown permission", &message{Change: &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{
			Permission: "no.such.thing", Resource: acme,
		}}}, errs.Invalid, "PERMISSION_UNKNOWN", "permission_change_request.access.permission"},
		{"an approval for a team", &message{Subject: sales, Change: &permissionv1.PermissionChangeRequest_Approval{Approval: &permissionv1.WantedApproval{
			Permission: "identity.customers.delete", Resource: carl,
		}}}, errs.Invalid, "SUBJECT_INVALID", "permission_change_request.subject"},
	} {
		_, err := d.tryFile(sue, sue, test.in)
		if !errs.Is(err, test.kind) || errs.ReasonOf(err) != test.reason {
			t.Errorf("%s: got %v, want %s", test.name, err, test.reason)
		}
		if test.field != "" && (len(errs.From(err).Violations) != 1 || errs.From(err).Violations[0].Field != test.field) {
			t.Errorf("%s: at fault are %v, want %s", test.name, errs.From(err).Violations, test.field)
		}
	}
	whose := revoke(mine)
	whose.Subject = tom
	if v := d.file(sue, sue, whose); v.GetSubject() != tom {
		t.Errorf("filed %v", v)
	}
}

func TestApprove_fourEyes(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		d.setPolicy(&permissionv1.ApprovalPolicy{SeparateVerifier: true, ApprovalsNeeded: 2})
		d.must(func(tx *change.Tx) error { tx.Unchanged(); return d.subjects.AddMember(tx, tx.Time, sales, boss) })
		in := wants("roles/viewer", group)
		in.Subject = sales
		v := d.file(admin, sue, in)
		for _, who := range []string{sue, admin, boss} {
			_, err := d.verify(v.GetName(), who)
			wantError(t, err, errs.Denied, "SELF_VERIFICATION")
		}
		d.grant(tom, "roles/organization.admin", acme)
		if _, err := d.verify(v.GetName(), tom); err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{sue, admin, boss, tom} { // requester, who filed it, in the team, verifier
			_, err := d.approve(v.GetName(), who)
			wantError(t, err, errs.Denied, "SELF_APPROVAL")
		}
		third, fourth := acme+"/staff/third", acme+"/staff/fourth"
		d.grant(third, "roles/organization.admin", acme)
		if v, err := d.approve(v.GetName(), third); err != nil || v.GetState() != permissionv1.PermissionChangeRequest_STATE_IDENTITY_VERIFIED {
			t.Errorf("after one of two approvals: %v, %v", v, err)
		}
		_, err := d.approve(v.GetName(), third)
		wantError(t, err, errs.Precondition, "ALREADY_APPROVED")
		_, err = d.approve(v.GetName(), fourth)
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		d.grant(fourth, "roles/organization.admin", acme)
		if v, err := d.approve(v.GetName(), fourth); err != nil || v.GetState() != permissionv1.PermissionChangeRequest_STATE_APPROVED {
			t.Errorf("after both: %v, %v", v, err)
		}
	})
}

func TestApprove_policyNamesWhoMay(t *testing.T) {
	d := newDesk(t, "bolt")
	d.must(func(tx *change.Tx) error { tx.Unchanged(); return d.subjects.AddMember(tx, tx.Time, sales, boss) })
	d.setPolicy(&permissionv1.ApprovalPolicy{Role: "roles/auditor", Approvers: []string{sales}, ApplyOnApproval: true, IdentityBySession: true})
	v := d.file(sue, sue, wants("roles/auditor", acme))
	if v.GetIdentity().GetMethod() != permissionv1.IdentityProof_METHOD_SESSION {
		t.Errorf("filed in a session: %v", v)
	}
	if other := d.file(tom, sue, wants("roles/auditor", acme)); other.GetState() != permissionv1.PermissionChangeRequest_STATE_SUBMITTED {
		t.Errorf("filed by somebody else: %v", other.GetState())
	}
	_, err := d.approve(v.GetName(), admin)
	wantError(t, err, errs.Denied, "NOT_AN_APPROVER")
	for who, want := range map[string]int{admin: 0, boss: 1, sue: 0} {
		d.view(func(r kv.Reader) error {
			found, _, err := d.Inbox(r, acme, who, nil, 10)
			if len(found) != want {
				t.Errorf("the inbox of %s has %d, want %d", who, len(found), want)
			}
			return err
		})
	}
	if v, err = d.approve(v.GetName(), boss); err != nil || v.GetState() != permissionv1.PermissionChangeRequest_STATE_NOTIFIED {
		t.Errorf("approved: %v, %v", v, err)
	}
	if got := d.held(sue, acme); !slices.Equal(got, []string{"roles/auditor"}) {
		t.Errorf("holds %v", got)
	}
}

func TestApply_asksEverythingAgain(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		extra := d.grant(tom, "roles/organization.admin", acme)
		v := d.file(sue, sue, wants("roles/viewer", group))
		for _, err := range []error{errOf(d.verify(v.GetName(), admin)), errOf(d.approve(v.GetName(), tom))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		d.revoke(extra)
		_, err := d.apply(v.GetName(), admin)
		wantError(t, err, errs.Precondition, "APPROVAL_LAPSED")

		w := d.approved(wants("roles/viewer", acme))
		d.setPolicy(&permissionv1.ApprovalPolicy{ApprovalsNeeded: 2})
		_, err = d.apply(w.GetName(), admin)
		wantError(t, err, errs.Precondition, "APPROVAL_LAPSED")
		if d.held(sue, group) != nil || d.held(sue, acme) != nil {
			t.Error("a grant was made")
		}
	})
}

func TestApply_allOrNothingAndOnce(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		v := d.approved(wants("roles/viewer", group))
		d.house.Store.Broken = true
		if _, err := d.apply(v.GetName(), boss); err == nil {
			t.Fatal("the commit did not fail")
		}
		d.house.Store.Broken = false
		d.view(func(r kv.Reader) error {
			left, _, err := d.notices.List(r, sue, nil, nil, 10)
			if len(left) > 0 || d.held(sue, group) != nil || d.get(v.GetName()).GetState() != permissionv1.PermissionChangeRequest_STATE_APPROVED {
				t.Errorf("the crash left %v, %v", left, d.held(sue, group))
			}
			return err
		})
		first, err := d.apply(v.GetName(), boss)
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.apply(v.GetName(), admin)
		if err != nil || again.GetEtag() != first.GetEtag() || len(d.held(sue, group)) != 1 {
			t.Errorf("again: %v, %v; holds %v", again, err, d.held(sue, group))
		}
	})
}

func errOf(_ *message, err error) error { return err }

func TestRevoke_keepsTheRulesOfRevocations(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		name := d.grant(sue, "roles/viewer", group)
		v := d.approved(&message{Change: &permissionv1.PermissionChangeRequest_Revoke{Revoke: name}})
		if v, err := d.apply(v.GetName(), boss); err != nil || v.GetAppliedGrant() != name || d.held(sue, group) != nil {
			t.Errorf("revoked %v, %v; holds %v", v, err, d.held(sue, group))
		}

		// An administrator for a day keeps no post.
		third := acme + "/staff/third"
		d.must(func(tx *change.Tx) error {
			tx.Unchanged()
			_, _, err := d.house.Grants.Create(tx, tx.Time, &permissionv1.Grant{
				Name: acme + "/grants/third", Subject: third, Role: "roles/organization.admin", Resource: acme,
				ExpireTime: timestamppb.New(start.Add(24 * time.Hour)),
			})
			return err
		})
		for i, whose := range []string{admin, boss} {
			in := &message{Subject: whose, Change: &permissionv1.PermissionChangeRequest_Revoke{Revoke: d.grantOf(whose)}}
			v := d.file(sue, sue, in)
			for _, err := range []error{errOf(d.verify(v.GetName(), tom)), errOf(d.approve(v.GetName(), third))} {
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := d.apply(v.GetName(), third)
			if i == 0 && err != nil {
				t.Errorf("while there is another administrator: %v", err)
			}
			if i == 1 {
				wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
			}
		}
	})
}

// grantOf returns the one grant of a subject.
func (d *desk) grantOf(subject string) (name string) {
	d.t.Helper()
	d.view(func(r kv.Reader) error {
		for g, err := range d.house.Grants.Of(r, subject) {
			if err != nil {
				return err
			}
			name = g.GetName()
		}
		return nil
	})
	return name
}

func TestEnds_tellWhoAsked(t *testing.T) {
	d := newDesk(t, "bolt")
	v := d.file(sue, sue, wants("roles/viewer", group))
	_, err := d.step(v.GetName(), boss, d.Withdraw)
	wantError(t, err, errs.Denied, "REQUESTER_ONLY")
	v, err = d.step(v.GetName(), boss, d.Reject)
	if err != nil || v.GetState() != permissionv1.PermissionChangeRequest_STATE_REJECTED {
		t.Fatalf("rejected: %v, %v", v, err)
	}
	if n := d.acknowledge(v.GetNotice(), sue); !strings.Contains(n.GetBody().GetZhCn(), "原因：noted") {
		t.Errorf("told %v", n)
	}
	if got := d.get(v.GetName()).GetState(); got != permissionv1.PermissionChangeRequest_STATE_REJECTED {
		t.Errorf("a notice that was read moved it to %v", got)
	}
	for _, move := range []func(*change.Tx, request.Move) (*message, error){d.Withdraw, d.Cancel, d.Reject, d.Apply} {
		_, err := d.step(v.GetName(), sue, move)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
	}
	w := d.file(tom, sue, wants("roles/viewer", group))
	for _, by := range []string{tom, sue} { // either may; the second finds it gone
		_, err = d.step(w.GetName(), by, d.Withdraw)
		if by == sue {
			wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestSummary_timesOfStagesAndShareOfRejections(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		for i := range 4 {
			d.house.Now = start.Add(time.Duration(i) * 24 * time.Hour)
			filed := d.house.Now
			v := d.file(sue, sue, wants("roles/viewer", group))
			d.house.Now = filed.Add(time.Duration(i+1) * time.Minute)
			if _, err := d.verify(v.GetName(), tom); err != nil {
				t.Fatal(err)
			}
			move := func(tx *change.Tx, m request.Move) (*message, error) { return d.Approve(tx, m, nil) }
			if i == 0 {
				move = d.Reject
			}
			if _, err := d.step(v.GetName(), admin, move); err != nil {
				t.Fatal(err)
			}
		}
		d.view(func(r kv.Reader) error {
			all, err := d.Summarize(r, acme, start, start.Add(100*24*time.Hour))
			if err != nil {
				return err
			}
			if all.GetTotal() != 4 || all.GetRejectionShare() != 0.25 || len(all.GetStates()) != 2 {
				t.Errorf("summary %v", all)
			}
			first := all.GetStages()[0]
			if first.GetCount() != 4 || first.GetMedian().AsDuration() != 2*time.Minute || first.GetP90().AsDuration() != 4*time.Minute || first.GetMean().AsDuration() != 150*time.Second {
				t.Errorf("times to verify %v", first)
			}
			some, err := d.Summarize(r, acme, start.Add(24*time.Hour), start.Add(48*time.Hour))
			if some.GetTotal() != 1 || some.GetRejectionShare() != 0 {
				t.Errorf("of one day: %v", some)
			}
			return err
		})
	})
}
