package decide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// TestCompile_losesNothing compiles grants of all forms, few and many, and
// reads them back.
func TestCompile_losesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, 1000} {
		var holds []decide.Hold
		for i := range n {
			h := decide.Hold{Resource: fmt.Sprintf("%s/groups/g%d", acme, i/2), Role: "roles/viewer", Grant: fmt.Sprintf("%s/grants/g%04d", acme, i)}
			switch i % 7 {
			case 0:
				h.Resource, h.Expires = acme, second
			case 1:
				h.Resource, h.Deny = authz.Installation, true
			case 2:
				h.Condition, h.Role = "true", acme+"/roles/clerk"
			case 3:
				h.Holders = subject.Holders(acme, role.Admin)
			case 4:
				h.Holders, h.Condition = subject.Holders(group, acme+"/roles/clerk"), "false"
			case 5:
				h.Resource, h.Grant = "organizations/zeta/groups/g1", "organizations/zeta/grants/z1" // must do no harm
			}
			holds = append(holds, h)
		}
		want := slices.Clone(holds)
		slices.SortStableFunc(want, func(a, b decide.Hold) int {
			return strings.Compare(a.Resource+"\x00"+a.Role+"\x00"+a.Grant, b.Resource+"\x00"+b.Role+"\x00"+b.Grant)
		})
		facts := subject.Facts{Denied: true, Teams: []string{sales}, Segments: []string{acme + "/segments/gold"}, Ended: []string{"s1"}, Parent: "p"}
		s := decide.Compile(sue, facts, holds)
		if got := s.Holds(); !slices.Equal(got, want) {
			t.Errorf("%d holds: got %v, want %v", n, got, want)
		}
		got := s.Facts()
		if s.Name() != sue || !got.Denied || got.Parent != "p" || !slices.Equal(got.Teams, facts.Teams) ||
			!slices.Equal(got.Segments, facts.Segments) || !slices.Equal(got.Ended, facts.Ended) {
			t.Errorf("facts %+v of %s", got, s.Name())
		}
	}
}

// TestAnswer_allocatesNextToNothing counts what a check in memory leaves to the
// collector: the name of the grant of a yes, and nothing of a no.
func TestAnswer_allocatesNextToNothing(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	m := &model{
		organization: acme, members: map[string][]string{sue: {sales, acme + "/teams/east"}}, parents: map[string]string{acme + "/teams/east": sales},
		grants: []fact{
			{subject: sue, role: "roles/group.member", resource: group},
			{subject: sales, role: "roles/viewer", resource: acme},
			{subject: subject.Holders(group, "roles/group.member"), role: "roles/auditor", resource: acme},
			{subject: acme + "/everyone", role: role.Admin, resource: acme + "/groups/g2", deny: true},
		},
	}
	facts := m.facts(roles)
	for permission, want := range map[string]float64{
		"groupchat.messages.create": 1, "permission.auditEntries.list": 1, "groupchat.groups.delete": 0,
	} {
		q := decide.Question{Subject: sue, Permission: permission, Resource: group + "/messages/-"}
		answer := func() {
			a, err := rules.Answer(facts, acme, q, time.Unix(0, 0))
			if err != nil || a.Allowed != (want > 0) {
				t.Fatal(a, err)
			}
		}
		// The least of many runs: under the race detector a pool loses a part of
		// what it is given back.
		got := testing.AllocsPerRun(1, answer)
		for range 100 {
			got = min(got, testing.AllocsPerRun(1, answer))
		}
		if got > want {
			t.Errorf("%s: %v allocations, want %v", permission, got, want)
		}
	}
}
