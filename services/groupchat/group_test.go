package groupchat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat"
)

func TestGroup_createdAndChanged(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		c := w.groups(t, clerk)
		name := w.group(t, "g1")
		w.say(t, name, clerk, "welcome")
		w.say(t, name, clerk, "how can we help?")
		v := must(c.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
		if v.GetOwner() != clerk || v.GetMemberCount() != 1 || v.GetLastSequence() != 2 || v.GetEtag() == "" || v.GetMemberVersion() == 0 {
			t.Fatalf("created: %v", v)
		}
		first := v.GetEtag()
		v = must(c.UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
			Group: &groupchatv1.Group{Name: name, Description: "about orders", Etag: first},
		}))(t)
		if v.GetDescription() != "about orders" || v.GetDisplayName() != "Orders of g1" || v.GetLastSequence() != 2 || v.GetEtag() == first {
			t.Errorf("updated without a mask: %v", v)
		}
		_, err := c.UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
			Group: &groupchatv1.Group{Name: name, Description: "x", Etag: first},
		})
		wantErr(t, err, errs.Conflict, "ETAG_MISMATCH")
		v = must(c.UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
			Group:      &groupchatv1.Group{Name: name, DisplayName: "ignored"},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		}))(t)
		if v.GetDescription() != "" || v.GetDisplayName() != "Orders of g1" {
			t.Errorf("a masked field that is not set is cleared: %v", v)
		}
		_, err = c.UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{
			Group: &groupchatv1.Group{Name: name, Owner: bo}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"owner"}},
		})
		wantErr(t, err, errs.Invalid, "UPDATE_MASK_INVALID", "update_mask")
	})
}

func TestGroup_messagesLeaveItsEtag(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1")
	c := w.groups(t, clerk)
	before := must(c.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
	w.say(t, name, clerk, "hello")
	after := must(c.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name}))(t)
	if before.GetEtag() != after.GetEtag() {
		t.Error("a message changed the etag of its group")
	}
}

func TestGroup_badInput(t *testing.T) {
	w := start(t, setting{})
	c := w.groups(t, clerk)
	w.group(t, "g1")
	for _, bad := range []struct {
		req    *groupchatv1.CreateGroupRequest
		kind   errs.Kind
		reason string
		field  string
	}{
		{&groupchatv1.CreateGroupRequest{Parent: acme, GroupId: "g1", Group: &groupchatv1.Group{DisplayName: "x"}}, errs.Exists, "GROUP_EXISTS", ""},
		{&groupchatv1.CreateGroupRequest{Parent: acme, GroupId: "G 1", Group: &groupchatv1.Group{DisplayName: "x"}}, errs.Invalid, "RESOURCE_NAME_INVALID", "group_id"},
		{&groupchatv1.CreateGroupRequest{Parent: acme, Group: &groupchatv1.Group{}}, errs.Invalid, "VALIDATION_FAILED", "group.display_name"},
		{&groupchatv1.CreateGroupRequest{Parent: acme}, errs.Invalid, "VALIDATION_FAILED", "group"},
	} {
		_, err := c.CreateGroup(t.Context(), bad.req)
		if bad.field == "" {
			wantErr(t, err, bad.kind, bad.reason)
		} else {
			wantErr(t, err, bad.kind, bad.reason, bad.field)
		}
	}
	if v := must(c.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{Parent: acme, Group: &groupchatv1.Group{DisplayName: "x"}}))(t); v.GetName() == acme+"/groups/" {
		t.Errorf("a group without a chosen id: %v", v)
	}
}

func TestGroup_requestIDReplaysAndRefusesReuse(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		c := w.groups(t, clerk)
		req := &groupchatv1.CreateGroupRequest{Parent: acme, Group: &groupchatv1.Group{DisplayName: "x"}, RequestId: "r1"}
		first := must(c.CreateGroup(t.Context(), req))(t)
		again := must(c.CreateGroup(t.Context(), req))(t)
		if first.GetName() != again.GetName() || first.GetEtag() != again.GetEtag() {
			t.Errorf("a retry made %s after %s", again.GetName(), first.GetName())
		}
		req.Group.DisplayName = "y"
		_, err := c.CreateGroup(t.Context(), req)
		wantErr(t, err, errs.Invalid, "REQUEST_ID_REUSED", "request_id")
	})
}

func TestGroup_deletedUndeletedPurged(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			clock := newClock()
			w := start(t, setting{
				Options: servetest.Options{Engine: engine, Clock: clock.Now},
				config:  func(c *groupchat.Config) { c.PurgeAfter = time.Hour },
			})
			name := w.group(t, "g1", mei)
			for range 3 {
				w.say(t, name, mei, "hello")
			}
			c := w.groups(t, clerk)
			_, err := c.UndeleteGroup(t.Context(), &groupchatv1.UndeleteGroupRequest{Name: name})
			wantErr(t, err, errs.Exists, "NOT_DELETED")
			_, err = c.DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: name, Etag: "stale"})
			wantErr(t, err, errs.Conflict, "ETAG_MISMATCH")
			v := must(c.DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: name}))(t)
			if v.GetPurgeTime().AsTime().Sub(v.GetDeleteTime().AsTime()) != time.Hour || v.GetLastSequence() != 3 {
				t.Errorf("deleted: %v", v)
			}
			again := must(c.DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: name}))(t)
			if again.GetEtag() != v.GetEtag() {
				t.Error("deleting a deleted group changed it")
			}
			wantDeleted(t, w, name)
			must(c.UndeleteGroup(t.Context(), &groupchatv1.UndeleteGroupRequest{Name: name}))(t)
			if m := w.say(t, name, mei, "still here"); m.GetSequence() != 4 {
				t.Errorf("the first message after the undelete: %v", m)
			}
			must(c.DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: name}))(t)
			clock.Add(time.Hour)
			_, err = c.UndeleteGroup(t.Context(), &groupchatv1.UndeleteGroupRequest{Name: name})
			wantErr(t, err, errs.NotFound, "GROUP_NOT_FOUND")
			w.Stop(t)
			clock.Add(2 * time.Minute)
			wantPurged(t, w.replica(t), name, clock) // which purges as it starts
		})
	}
}

// wantDeleted wants a deleted group to be left alone.
func wantDeleted(t *testing.T, w *world, name string) {
	t.Helper()
	c := w.groups(t, clerk)
	_, err := w.messages(t, mei).CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{Parent: name, Message: &groupchatv1.Message{Text: "x"}})
	wantErr(t, err, errs.Precondition, "GROUP_DELETED")
	_, err = c.UpdateGroup(t.Context(), &groupchatv1.UpdateGroupRequest{Group: &groupchatv1.Group{Name: name, DisplayName: "x"}})
	wantErr(t, err, errs.Precondition, "GROUP_DELETED")
	_, err = c.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: name, Member: &groupchatv1.Member{Account: li}})
	wantErr(t, err, errs.Precondition, "GROUP_DELETED")
	_, err = c.UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{Member: &groupchatv1.Member{Name: memberName(name, mei), Nickname: "x"}})
	wantErr(t, err, errs.Precondition, "GROUP_DELETED")
	if got := listGroups(t, c, false, 10); len(got) != 0 {
		t.Errorf("a deleted group is listed: %v", got)
	}
	if got := listGroups(t, c, true, 10); !slices.Equal(got, []string{name}) {
		t.Errorf("with show_deleted: %v", got)
	}
}

// wantPurged wants all of a group to be gone, its name to be free, and a group
// of the same name to begin anew.
func wantPurged(t *testing.T, w *world, name string, clock *clock) {
	t.Helper()
	eventually(t, "the members' grants end", func() bool { return w.permission.role(mei, name) == "" && w.permission.role(clerk, name) == "" })
	clock.Add(time.Second)
	_, err := w.groups(t, boss).GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: name})
	wantErr(t, err, errs.NotFound, "GROUP_NOT_FOUND")
	_, err = w.messages(t, boss).GetMessage(t.Context(), &groupchatv1.GetMessageRequest{Name: name + "/messages/1"})
	wantErr(t, err, errs.NotFound, "MESSAGE_NOT_FOUND")
	if again := w.group(t, "g1"); again != name {
		t.Fatalf("the name is not free: %s", again)
	}
	if m := w.say(t, name, clerk, "anew"); m.GetSequence() != 1 {
		t.Errorf("the first message of the new group: %v", m)
	}
}

func TestListGroups_ownGroupsForMembersAndAllForTheEnterprise(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		var all []string
		for i := range 5 {
			name := w.group(t, fmt.Sprintf("g%d", i))
			all = append(all, name)
			if i%2 == 1 {
				w.add(t, name, mei, 0)
			}
		}
		if got := listGroups(t, w.groups(t, mei), false, 1); !slices.Equal(got, []string{all[1], all[3]}) {
			t.Errorf("mei's: %v", got)
		}
		if got := listGroups(t, w.groups(t, boss), false, 2); !slices.Equal(got, all) {
			t.Errorf("the enterprise's: %v", got)
		}
		if got := listGroups(t, w.groups(t, li), false, 2); len(got) != 0 {
			t.Errorf("li's: %v", got)
		}
		must(w.groups(t, clerk).DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: all[1]}))(t)
		if got := listGroups(t, w.groups(t, mei), false, 1); !slices.Equal(got, all[3:4]) {
			t.Errorf("mei's after a delete: %v", got)
		}
		if got := listGroups(t, w.groups(t, boss), true, 2); !slices.Equal(got, all) {
			t.Errorf("all with the deleted: %v", got)
		}
		p := must(w.groups(t, boss).ListGroups(t.Context(), &groupchatv1.ListGroupsRequest{Parent: acme, PageSize: 1}))(t)
		_, err := w.groups(t, clerk).ListGroups(t.Context(), &groupchatv1.ListGroupsRequest{Parent: acme, PageSize: 1, PageToken: p.GetNextPageToken()})
		wantErr(t, err, errs.Invalid, "PAGE_TOKEN_MISMATCH", "page_token")
	})
}

func listGroups(t *testing.T, c groupchatv1.GroupServiceClient, deleted bool, size int32) (names []string) {
	t.Helper()
	for token := ""; ; {
		p := must(c.ListGroups(t.Context(), &groupchatv1.ListGroupsRequest{Parent: acme, ShowDeleted: deleted, PageSize: size, PageToken: token}))(t)
		for _, g := range p.GetGroups() {
			names = append(names, g.GetName())
		}
		if token = p.GetNextPageToken(); token == "" {
			return names
		}
	}
}
