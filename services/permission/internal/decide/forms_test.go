package decide_test

import (
	"fmt"
	"testing"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// long: a table of who grants reach, and what takes them away.
func TestAnswer_reachesAndDenies(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	team := func(i int) string { return fmt.Sprintf("%s/teams/t%d", acme, i) }
	const (
		tom, una, bot = acme + "/staff/tom", acme + "/staff/una", acme + "/serviceAccounts/bot"
		gold          = acme + "/segments/gold"
		read          = "identity.customers.get" // of viewers, and not of group.admin
		none          = permissionv1.Denial_DENIAL_NO_GRANT
		denied        = permissionv1.Denial_DENIAL_DENIED_BY_GRANT
		unmet         = permissionv1.Denial_DENIAL_CONDITION_NOT_MET
	)
	viewer := func(subject string) fact { return fact{subject: subject, role: "roles/viewer", resource: group} }
	denying := func(f fact) fact { f.deny = true; return f }
	under := func(f fact, condition string) fact { f.condition = condition; return f }
	admins := subject.Holders(group, "roles/group.admin")
	admin := fact{subject: sue, role: "roles/group.admin", resource: group}
	for _, c := range []struct {
		name    string
		subject string
		grants  []fact
		want    permissionv1.Denial // unspecified is yes
	}{
		{"a team", sue, []fact{viewer(team(15))}, 0},
		{"the team above", sue, []fact{viewer(team(14))}, 0},
		{"sixteen teams", sue, []fact{viewer(team(0))}, 0},
		{"a team below", una, []fact{viewer(team(15))}, none},
		{"the seventeenth team", tom, []fact{viewer(team(0))}, none},
		{"a long chain counts for none above", tom, []fact{viewer(team(15))}, none},
		{"and its first team counts", tom, []fact{viewer(team(16))}, 0},
		{"a long chain denies", tom, []fact{viewer(tom), denying(viewer(team(1)))}, denied},
		{"a team above two teams, by the shorter way", acme + "/staff/two", []fact{viewer(team(3))}, 0},
		{"a circle", acme + "/staff/odd", []fact{viewer(acme + "/teams/odd2")}, none},
		{"a circle denies", acme + "/staff/odd", []fact{viewer(acme + "/staff/odd"), denying(viewer(acme + "/teams/odd2"))}, denied},
		{"a segment", carl, []fact{viewer(gold)}, 0},
		{"another's segment", acme + "/customers/cleo", []fact{viewer(gold)}, none},
		{"everyone, a service account too", bot, []fact{viewer(acme + "/everyone")}, 0},
		{"holders", sue, []fact{viewer(admins), admin}, 0},
		{"holders of another role", sue, []fact{viewer(subject.Holders(group, "roles/group.owner")), admin}, none},
		{"holders on the resource above", sue, []fact{viewer(subject.Holders(acme, "roles/group.admin")), admin}, none},
		{"holders by a team", sue, []fact{viewer(admins), {subject: team(15), role: "roles/group.admin", resource: group}}, 0},
		{"who is denied the role is no holder", sue, []fact{viewer(admins), denying(admin)}, none},
		{"what has ended makes no holder", sue, []fact{viewer(admins), {subject: sue, role: "roles/group.admin", resource: group, expires: 1}}, none},
		{"holders of holders", sue, []fact{
			{subject: admins, role: "roles/group.admin", resource: acme + "/groups/g2"}, {subject: sue, role: "roles/group.admin", resource: group},
			{subject: subject.Holders(acme+"/groups/g2", "roles/group.admin"), role: role.Admin, resource: acme},
		}, none},
		{"holders, denied", sue, []fact{viewer(sue), denying(viewer(admins)), admin}, denied},
		{"a holder perhaps, denied", sue, []fact{viewer(sue), denying(viewer(admins)), under(admin, `request.message_type == "news"`)}, denied},
		{"a holder perhaps, allowed", sue, []fact{{subject: admins, role: "roles/viewer", resource: group}, under(fact{subject: sue, role: "roles/group.admin", resource: group}, `request.message_type == "news"`)}, none},
		{"denied above", sue, []fact{viewer(sue), {subject: sue, role: "roles/viewer", resource: acme, deny: true}}, denied},
		{"denied below", sue, []fact{viewer(sue), {subject: sue, role: "roles/viewer", resource: group + "/messages/1", deny: true}}, 0},
		{"denied another permission", sue, []fact{viewer(sue), {subject: sue, role: role.Customer, resource: acme, deny: true}}, 0},
		{"denied until it ends", sue, []fact{viewer(sue), {subject: sue, role: "roles/viewer", resource: acme, deny: true, expires: 100}}, 0},
		{"denied under a condition that is not known", sue, []fact{viewer(sue), denying(under(viewer(sue), `request.message_type == "news"`))}, denied},
		{"denied under a condition that does not hold", sue, []fact{viewer(sue), denying(under(viewer(sue), "false"))}, 0},
		{"allowed by another, without a condition", sue, []fact{under(viewer(sue), "false"), viewer(team(15))}, 0},
		{"allowed under a condition", sue, []fact{under(viewer(sue), "false")}, unmet},
	} {
		m := &model{
			organization: acme, grants: c.grants, parents: map[string]string{acme + "/teams/odd1": acme + "/teams/odd2", acme + "/teams/odd2": acme + "/teams/odd1"},
			members: map[string][]string{
				sue: {team(15)}, tom: {team(16)}, una: {team(14)}, acme + "/staff/odd": {acme + "/teams/odd1"}, acme + "/staff/two": {team(16), team(8)},
			},
			segments: map[string][]string{carl: {gold}},
		}
		for i := range subject.MaxDepth {
			m.parents[team(i+1)] = team(i)
		}
		got, err := rules.Answer(m.facts(roles), acme, decide.Question{Subject: c.subject, Permission: read, Resource: group}, time.Unix(100, 0))
		if err != nil || got.Denial != c.want || got.Allowed != (c.want == 0) {
			t.Errorf("%s: got %+v, %v, want %s", c.name, got, err, c.want)
		}
	}
}

// TestAnswer_sessionAndSuspension: what an account may do at all comes before
// what it holds.
func TestAnswer_sessionAndSuspension(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	m := &model{
		organization: acme, grants: []fact{{subject: sue, role: "roles/viewer", resource: acme}, {subject: carl, role: "roles/viewer", resource: acme}},
		ended: map[string][]string{sue: {"old", "lost"}, carl: {"old"}}, denied: map[string]bool{carl: true},
	}
	for _, c := range []struct {
		subject, session string
		want             permissionv1.Denial
	}{
		{sue, "", 0}, {sue, "new", 0}, {sue, "lost", permissionv1.Denial_DENIAL_SESSION_ENDED},
		{carl, "", permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED}, {carl, "old", permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED},
	} {
		q := decide.Question{Subject: c.subject, Permission: "groupchat.groups.get", Resource: group, Session: c.session}
		if got, err := rules.Answer(m.facts(roles), acme, q, time.Unix(100, 0)); err != nil || got.Denial != c.want {
			t.Errorf("%s in %q: got %+v, %v, want %s", c.subject, c.session, got, err, c.want)
		}
	}
}
