package groupchat_test

import (
	"testing"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

func TestGrants_pendingWhilePermissionIsAwayThenMadeByARetry(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1")
		w.permission.away(true)
		req := &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: mei}, RequestId: "r1"}
		_, err := w.groups(t, clerk).CreateMember(t.Context(), req)
		wantErr(t, err, errs.Unavailable, "GRANT_PENDING")
		if got := len(w.members(t, name)); got != 2 {
			t.Fatalf("%d members, want the new one to be there", got)
		}
		w.permission.away(false)
		m := must(w.groups(t, clerk).CreateMember(t.Context(), req))(t)
		if m.GetAccount() != mei || len(w.members(t, name)) != 2 {
			t.Errorf("the retry: %v", m)
		}
		w.say(t, name, mei, "hello")
	})
}

func TestGrants_pendingOnesAreMadeInTheBackground(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		w.permission.away(true)
		wantErr(t, w.remove(t, clerk, name, mei), errs.Unavailable, "GRANT_PENDING")
		if w.permission.role(mei, name) == "" {
			t.Fatal("permission heard of it while it was away")
		}
		w.permission.away(false)
		eventually(t, "the grant ends", func() bool { return w.permission.role(mei, name) == "" })
	})
}

func TestGrants_surviveARestart(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1")
	w.permission.away(true)
	_, err := w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: mei}})
	wantErr(t, err, errs.Unavailable, "GRANT_PENDING")
	w.Stop(t)
	w.permission.away(false)
	again := w.replica(t)
	eventually(t, "the grant is made", func() bool { return again.permission.role(mei, name) == "roles/group.member" })
}

func TestGrants_aRefusedOneDoesNotHoldUpOthers(t *testing.T) {
	w := start(t, setting{})
	name, other := w.group(t, "g1"), w.group(t, "g2")
	w.permission.refuse(func(r *permissionv1.SetManagedGrantRequest) error {
		if r.GetSubject() == mei {
			return errs.InvalidField("subject", "SUBJECT_INVALID", "not this one")
		}
		return errs.New(errs.Unavailable, "STORE_UNAVAILABLE", "away")
	})
	for group, account := range map[string]string{name: mei, other: li} {
		_, err := w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: group, Member: &groupchatv1.Member{Account: account}})
		wantErr(t, err, errs.Unavailable, "GRANT_PENDING")
	}
	w.permission.refuse(func(r *permissionv1.SetManagedGrantRequest) error {
		if r.GetSubject() == mei {
			return errs.InvalidField("subject", "SUBJECT_INVALID", "not this one")
		}
		return nil
	})
	eventually(t, "the other grant is made", func() bool { return w.permission.role(li, other) == "roles/group.member" })
}

// TestGrants_theLastOfQuickChangesWins has a change replace the intent of the
// one before while permission is away.
func TestGrants_theLastOfQuickChangesWins(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1")
	w.permission.away(true)
	_, err := w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: mei}})
	wantErr(t, err, errs.Unavailable, "GRANT_PENDING")
	wantErr(t, w.setRole(t, clerk, name, mei, admin), errs.Unavailable, "GRANT_PENDING")
	wantErr(t, w.remove(t, clerk, name, mei), errs.Unavailable, "GRANT_PENDING")
	_, err = w.groups(t, clerk).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: mei}})
	wantErr(t, err, errs.Unavailable, "GRANT_PENDING")
	w.permission.away(false)
	eventually(t, "the grant is made", func() bool { return w.permission.role(mei, name) == "roles/group.member" })
}

// TestGrants_versionsFallenBehindAreRaised has permission remember a version
// from the future, as of a purged group whose replica's clock was fast.
func TestGrants_versionsFallenBehindAreRaised(t *testing.T) {
	w := start(t, setting{})
	name := acme + "/groups/g1"
	const future = int64(1) << 60
	w.permission.grants[[2]string{clerk, name}] = &permissionv1.SetManagedGrantRequest{Subject: clerk, Resource: name, Version: future}
	w.group(t, "g1")
	if got := w.permission.role(clerk, name); got != "roles/group.owner" {
		t.Fatalf("the owner has %q", got)
	}
	g := must(w.groups(t, clerk).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
	if g.GetMemberVersion() <= future {
		t.Errorf("member_version is %d, want above the one in force", g.GetMemberVersion())
	}
	w.add(t, name, mei, 0)
	w.say(t, name, mei, "hello")
}

// TestGrants_aRemovedMemberIsNobodySpecialMeanwhile: to permission it still is
// a member, to the group it is none; it must not pass for the enterprise.
func TestGrants_aRemovedMemberIsNobodySpecialMeanwhile(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei, li)
	w.add(t, name, bo, admin)
	said := w.say(t, name, li, "hello")
	w.permission.away(true)
	for _, account := range []string{mei, bo} {
		wantErr(t, w.remove(t, clerk, name, account), errs.Unavailable, "GRANT_PENDING")
	}
	_, err := w.messages(t, mei).RecallMessage(t.Context(), &groupchatv1.RecallMessageRequest{Name: said.GetName()})
	wantErr(t, err, errs.Denied, "NOT_SENDER")
	wantErr(t, w.remove(t, mei, name, li), errs.Denied, "ADMIN_REQUIRED")
	wantErr(t, w.remove(t, bo, name, li), errs.Denied, "ADMIN_REQUIRED")
	wantErr(t, w.setRole(t, bo, name, li, admin), errs.Denied, "ADMIN_REQUIRED")
	_, err = w.groups(t, bo).CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: bo}})
	wantErr(t, err, errs.Denied, "ADMIN_REQUIRED")
	_, err = w.messages(t, mei).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{Parent: name, Message: &groupchatv1.Message{Text: "x"}})
	wantErr(t, err, errs.Denied, "NOT_A_MEMBER")
	stream := must(w.messages(t, mei).StreamMessages(t.Context(), &groupchatv1.StreamMessagesRequest{Parent: name}))(t)
	_, err = stream.Recv()
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
}
