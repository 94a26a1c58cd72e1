package decide_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

func newRules(t testing.TB, roles *role.Roles) *decide.Rules {
	t.Helper()
	programs, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	return decide.New(roles, programs)
}

// facts compiles a model.
func (m *model) facts(roles *role.Roles) *facts {
	return &facts{model: m, roles: roles, compiled: make(map[string]*decide.Subject), state: decide.NewState()}
}

type facts struct {
	model    *model
	roles    *role.Roles
	compiled map[string]*decide.Subject
	state    *decide.State
}

func (f *facts) State() *decide.State { return f.state }

func (f *facts) Subject(name string) (*decide.Subject, error) {
	if s, ok := f.compiled[name]; ok {
		return s, nil
	}
	m := f.model
	var holds []decide.Hold
	for i, g := range m.grants {
		h := decide.Hold{
			Resource: g.resource, Role: g.role, Expires: g.expires, Deny: g.deny, Condition: g.condition,
			Grant: fmt.Sprintf("%s/grants/g%d", m.organization, i),
		}
		_, _, toHolders := subject.ParseHolders(g.subject)
		if toHolders {
			h.Holders = g.subject
		}
		if g.subject == name || toHolders && name == subject.AllHolders(m.organization) {
			holds = append(holds, h)
		}
	}
	account, isCertificates := strings.CutSuffix(name, "#certificates")
	switch {
	case isCertificates:
		for course, expires := range m.certificates[account] {
			holds = append(holds, decide.Hold{Resource: course, Expires: expires})
		}
	case name == m.organization+"#certificationRequirements":
		for _, r := range m.required {
			holds = append(holds, decide.Hold{Resource: r.pattern, Role: r.role, Grant: r.course, Expires: r.from})
		}
	}
	s := decide.Compile(name, subject.Facts{
		Denied: m.denied[name], Teams: m.members[name], Segments: m.segments[name], Parent: m.parents[name], Ended: m.ended[name],
	}, holds)
	f.compiled[name] = s
	return s, nil
}

func (f *facts) Role(name string) (role.Set, error) {
	if name == role.Declared(f.model.organization) {
		return f.roles.Catalogue().Of(f.model.declared), nil
	}
	if set, ok := f.roles.BuiltIn(name); ok {
		return set, nil
	}
	return f.roles.Catalogue().Of(f.model.roles[name]), nil
}

func (f *facts) Properties(name string) (*structpb.Struct, error) {
	level, ok := f.model.levels[name]
	if !ok {
		return nil, nil
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"level": structpb.NewNumberValue(level)}}, nil
}

func (f *facts) Context() context.Context { return context.Background() }

func noFacts() subject.Facts { return subject.Facts{} }

func accounts() []string {
	return []string{acme + "/staff/s0", acme + "/staff/s1", acme + "/staff/s10", acme + "/customers/c0", acme + "/customers/c1", acme + "/serviceAccounts/x0"}
}

// teams has more than one chain of teams may.
func teams() []string {
	var names []string
	for i := range 18 {
		names = append(names, fmt.Sprintf("%s/teams/t%d", acme, i))
	}
	return names
}

func segments() []string { return []string{acme + "/segments/gold", acme + "/segments/new"} }

func permissions() []string {
	return []string{
		"identity.staff.get", "identity.customers.get", "identity.organizations.create", "groupchat.messages.create", "custom.orders.ship",
		"groupchat.groups.delete", "feedback.complaints.accept", "permission.auditEntries.list", "no.such.thing",
	}
}

func resources() []string {
	return []string{
		acme, authz.Installation, acme + "/groups/g0", acme + "/groups/g1", acme + "/groups/g10", acme + "/groups/g0/messages/1",
		acme + "/staff/s0", acme + "/staff/s1", acme + "/staff/s10", acme + "/customers/c0", acme + "/customers/c0/complaints/1",
	}
}

func roleNames() []string {
	return []string{
		"roles/auditor", "roles/viewer", "roles/group.member", "roles/group.owner", role.Admin, role.Operator, role.Staff,
		acme + "/roles/r0", acme + "/roles/r1", acme + "/roles/deleted",
	}
}

func drawModel(t *rapid.T) *model {
	m := &model{
		organization: acme, members: map[string][]string{}, segments: map[string][]string{}, parents: map[string]string{},
		denied: map[string]bool{}, ended: map[string][]string{}, roles: map[string][]string{}, levels: map[string]float64{},
	}
	some := func(names []string, most int, label string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, most, rapid.ID[string]).Draw(t, label)
	}
	for i := range 2 {
		m.roles[fmt.Sprintf("%s/roles/r%d", acme, i)] = some(permissions(), 4, "permissions")
	}
	m.declared = some([]string{"custom.orders.ship", "custom.orders.cancel"}, 2, "declared")
	drawTeams(t, m)
	for _, account := range accounts() {
		m.members[account] = some(teams(), 3, "teams")
		m.segments[account] = some(segments(), 2, "segments")
		m.denied[account] = rapid.IntRange(0, 9).Draw(t, "denied") == 0
		m.ended[account] = some([]string{"one", "two"}, 2, "ended")
	}
	for _, name := range some(slices.Concat(accounts(), resources()), 4, "with properties") {
		m.levels[name] = float64(rapid.IntRange(1, 2).Draw(t, "level"))
	}
	drawCertificates(t, m)
	// Some models have so many grants that subjects need their index.
	for range rapid.SampledFrom([]int{0, 1, 5, 20, 200}).Draw(t, "grants") {
		m.grants = append(m.grants, drawFact(t))
	}
	return m
}

// drawCertificates draws what is required, and who has it; mostly nothing is.
func drawCertificates(t *rapid.T, m *model) {
	courses := []string{acme + "/courses/c0", acme + "/courses/c1"}
	m.certificates = map[string]map[string]int64{}
	for range rapid.SampledFrom([]int{0, 0, 1, 4}).Draw(t, "required") {
		m.required = append(m.required, requirement{
			role:    rapid.SampledFrom(roleNames()).Draw(t, "required of"),
			pattern: rapid.SampledFrom([]string{acme, acme + "/groups/g0", acme + "/groups/*", acme + "/*/s1"}).Draw(t, "pattern"),
			course:  rapid.SampledFrom(courses).Draw(t, "course"),
			from:    rapid.SampledFrom([]int64{1, second, second + 1}).Draw(t, "from"),
		})
	}
	for _, account := range accounts() {
		m.certificates[account] = rapid.MapOfN(rapid.SampledFrom(courses), rapid.SampledFrom([]int64{second, second + 1, second + 2000}), 0, 2).Draw(t, "certificates")
	}
}

// drawTeams draws which team is below which: one long chain, or at random,
// with circles.
func drawTeams(t *rapid.T, m *model) {
	for i, team := range teams() {
		switch rapid.IntRange(0, 2).Draw(t, "parent") {
		case 0:
			m.parents[team] = rapid.SampledFrom(teams()).Draw(t, "above")
		case 1:
			if i > 0 {
				m.parents[team] = teams()[i-1]
			}
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "chain") == 0 {
		clear(m.parents)
		for i, team := range teams()[1:] {
			m.parents[team] = teams()[i]
		}
	}
}

func drawFact(t *rapid.T) fact {
	holders := []string{}
	for _, on := range []string{acme, acme + "/groups/g0", acme + "/groups/g1"} {
		for _, name := range []string{"roles/group.member", "roles/viewer", acme + "/roles/r0"} {
			holders = append(holders, subject.Holders(on, name))
		}
	}
	subjects := slices.Concat(accounts(), accounts(), teams(), segments(), holders, []string{acme + "/allStaff", acme + "/allCustomers", acme + "/everyone"})
	f := fact{
		subject:  rapid.SampledFrom(subjects).Draw(t, "holder"),
		role:     rapid.SampledFrom(roleNames()).Draw(t, "role"),
		resource: rapid.SampledFrom(resources()).Draw(t, "on"),
		expires:  rapid.SampledFrom([]int64{0, 0, second - 1, second, second + 1}).Draw(t, "expires"),
		deny:     rapid.IntRange(0, 5).Draw(t, "deny") == 0,
	}
	if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
		f.condition = rapid.SampledFrom(slices.Sorted(maps.Keys(conditions()))).Draw(t, "condition")
	}
	return f
}

func drawQuestion(t *rapid.T) decide.Question {
	q := decide.Question{
		Subject:    rapid.SampledFrom(append(accounts(), "organizations/zeta/staff/s0", "services/groupchat", acme, teams()[0])).Draw(t, "subject"),
		Permission: rapid.SampledFrom(permissions()).Draw(t, "permission"),
		Resource:   rapid.SampledFrom(append(resources(), acme+"/groups/-", acme+"/groups/g0/messages/-", "organizations/zeta", "")).Draw(t, "resource"),
		Session:    rapid.SampledFrom([]string{"", "", "one", "three"}).Draw(t, "session"),
	}
	if rapid.Bool().Draw(t, "attributes") {
		q.Attributes = &permissionv1.Attributes{
			MessageType: rapid.SampledFrom([]string{"", "news", "complaint"}).Draw(t, "message type"),
			Subject:     drawLevel(t), Resource: drawLevel(t),
		}
	}
	return q
}

func drawLevel(t *rapid.T) *structpb.Struct {
	v := rapid.SampledFrom([]any{nil, 1.0, 2.0, "high"}).Draw(t, "sent level")
	if v == nil {
		return nil
	}
	value, err := structpb.NewValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"level": value}}
}
