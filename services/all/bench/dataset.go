package bench

import (
	"fmt"
	"math/rand/v2"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Dataset is an organisation in which accounts are in teams, teams hold roles
// on groups, and roles have permissions: two hops from the resource to the
// account. Everything follows from the number of accounts, so that it need not
// be kept.
//
// With 10,000 accounts there are 1,000 teams, 100 roles of 20 permissions, and
// five memberships an account: 1,000,000 pairs of an account and a permission
// that hold, of which a run asks about 100,000, and as many that do not.
type Dataset struct {
	users, teams, roles int
	permissions         []string
	// accounts and messages are what is asked about: who asks has names at hand,
	// and the load shares the machine with the server.
	accounts, messages []string
}

const (
	memberships = 5
	perRole     = 20

	home          = "organizations/bench"
	administrator = home + "/staff/admin"
)

// NewDataset returns the data set of so many accounts, at least 100.
func NewDataset(users int) Dataset {
	d := Dataset{users: users, teams: max(users/10, memberships), roles: max(users/100, 1), permissions: askable()}
	for i := range d.users {
		d.accounts = append(d.accounts, d.user(i))
	}
	for i := range d.teams {
		d.messages = append(d.messages, d.group(i)+"/messages/-")
	}
	return d
}

// askable are permissions that no account holds otherwise, as all staff do those
// of roles/staff.
func askable() []string {
	return []string{
		"groupchat.groups.get", "groupchat.groups.update", "groupchat.groups.delete", "groupchat.groups.undelete",
		"groupchat.members.get", "groupchat.members.list", "groupchat.members.create", "groupchat.members.update",
		"groupchat.members.delete", "groupchat.messages.create", "groupchat.messages.get", "groupchat.messages.list",
		"groupchat.messages.stream", "groupchat.messages.recall", "identity.customers.get", "identity.customers.list",
		"feedback.complaints.get", "feedback.complaints.list", "feedback.surveys.get", "feedback.surveys.list",
	}
}

func (d Dataset) String() string {
	return fmt.Sprintf("%d accounts in %d teams (%d memberships each), %d roles of %d permissions, two hops",
		d.users, d.teams, memberships, d.roles, len(d.permissions))
}

func (d Dataset) user(i int) string  { return fmt.Sprintf("%s/staff/u%d", home, i) }
func (d Dataset) team(i int) string  { return fmt.Sprintf("%s/teams/t%d", home, i) }
func (d Dataset) group(i int) string { return fmt.Sprintf("%s/groups/g%d", home, i) }
func (d Dataset) role(i int) string  { return fmt.Sprintf("%s/roles/r%d", home, i) }

// teamOf returns the k-th team of an account. The teams of one account are
// distinct: consecutive ones.
func (d Dataset) teamOf(user, k int) int { return (user*memberships + k) % d.teams }

// question returns a random question and its answer: may the account do that
// to a message of the group which one of its teams, or none of them, has a role
// on?
func (d Dataset) question(r *rand.Rand) (q *permissionv1.CheckQuery, allowed bool) {
	user, k := r.IntN(d.users), r.IntN(memberships)
	group := d.teamOf(user, k)
	allowed = r.IntN(2) == 0
	if !allowed {
		group = (d.teamOf(user, memberships-1) + 1 + r.IntN(d.teams-memberships+1)) % d.teams
		allowed = d.in(user, group)
	}
	return &permissionv1.CheckQuery{
		Subject: d.accounts[user], Permission: d.permissions[r.IntN(len(d.permissions))], Resource: d.messages[group],
	}, allowed
}

// in reports whether the account is in the team.
func (d Dataset) in(user, team int) bool {
	for k := range memberships {
		if d.teamOf(user, k) == team {
			return true
		}
	}
	return false
}
