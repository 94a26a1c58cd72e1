package decide_test

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
)

// model is an organisation as a list of facts.
type model struct {
	organization string
	grants       []fact
	members      map[string][]string // account -> teams
	segments     map[string][]string // account -> segments
	parents      map[string]string   // team -> team
	denied       map[string]bool     // accounts
	ended        map[string][]string // account -> ids of sessions
	roles        map[string][]string // custom role -> permissions
	declared     []string            // custom permissions
	levels       map[string]float64  // name -> its stored property "level"
	required     []requirement
	certificates map[string]map[string]int64 // account -> course -> second of its end
}

// requirement is a role that needs a certificate.
type requirement struct {
	role, pattern, course string
	from                  int64
}

// fact is one grant.
type fact struct {
	subject, role, resource string
	expires                 int64
	deny                    bool
	condition               string // a key of conditions
}

// outcome is what the reference thinks of a condition.
type outcome int

const (
	unknown outcome = iota
	yes
	never
)

func outcomeOf(b bool) outcome {
	if b {
		return yes
	}
	return never
}

// conditions are the expressions that models have, and what they mean.
func conditions() map[string]func(m *model, q decide.Question, now time.Time) outcome {
	level := func(m *model, name string, sent map[string]any) outcome {
		if v, ok := sent["level"]; ok {
			n, isNumber := v.(float64)
			if !isNumber {
				return unknown
			}
			return outcomeOf(n >= 2)
		}
		if v, ok := m.levels[name]; ok {
			return outcomeOf(v >= 2)
		}
		return unknown
	}
	return map[string]func(m *model, q decide.Question, now time.Time) outcome{
		"":      func(*model, decide.Question, time.Time) outcome { return yes },
		"true":  func(*model, decide.Question, time.Time) outcome { return yes },
		"false": func(*model, decide.Question, time.Time) outcome { return never },
		`request.message_type == "news"`: func(_ *model, q decide.Question, _ time.Time) outcome {
			if q.Attributes.GetMessageType() == "" {
				return unknown
			}
			return outcomeOf(q.Attributes.GetMessageType() == "news")
		},
		`subject.properties.level >= 2`: func(m *model, q decide.Question, _ time.Time) outcome {
			return level(m, q.Subject, q.Attributes.GetSubject().AsMap())
		},
		`resource.properties.level >= 2`: func(m *model, q decide.Question, _ time.Time) outcome {
			return level(m, meant(q.Resource), q.Attributes.GetResource().AsMap())
		},
		`request.time >= timestamp("2027-01-15T08:00:00Z")`: func(_ *model, _ decide.Question, now time.Time) outcome {
			return outcomeOf(now.Unix() >= second)
		},
	}
}

// answer is the reference: it reads the rules of package decide word by word
// over the lists, and knows no compiled form. It is slow and plain. The answer
// is yes when the denial is unspecified.
func (m *model) answer(roles *role.Roles, q decide.Question, now time.Time) permissionv1.Denial {
	parts := strings.Split(q.Subject, "/")
	if len(parts) != 4 || !strings.HasPrefix(q.Subject, m.organization+"/") || !slices.Contains([]string{"staff", "customers", "serviceAccounts"}, parts[2]) {
		return permissionv1.Denial_DENIAL_SUBJECT_UNKNOWN
	}
	if !slices.Contains(m.declared, q.Permission) && !slices.ContainsFunc(roles.Catalogue().Permissions(), func(p authz.Permission) bool { return p.Name == q.Permission }) {
		return permissionv1.Denial_DENIAL_PERMISSION_UNKNOWN
	}
	resource := meant(q.Resource)
	if resource != "installation" && !covers(m.organization, resource) {
		return permissionv1.Denial_DENIAL_RESOURCE_FOREIGN
	}
	if m.denied[q.Subject] {
		return permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
	}
	if q.Session != "" && slices.Contains(m.ended[q.Subject], q.Session) {
		return permissionv1.Denial_DENIAL_SESSION_ENDED
	}
	allowed, missed, unqualified := false, false, false
	for _, g := range m.grants {
		if !covers(g.resource, resource) || !m.contains(roles, g.role, q.Permission) || g.over(now) || !m.reaches(g, q, now) {
			continue
		}
		switch holds := conditions()[g.condition](m, q, now); {
		case g.deny && holds != never:
			return permissionv1.Denial_DENIAL_DENIED_BY_GRANT
		case g.deny:
		case holds == yes && m.qualified(q.Subject, g.role, resource, now):
			allowed = true
		case holds == yes:
			unqualified = true
		default:
			missed = true
		}
	}
	if covers(q.Subject, resource) && m.contains(roles, role.Self, q.Permission) {
		allowed = true
	}
	switch {
	case allowed:
		return permissionv1.Denial_DENIAL_UNSPECIFIED
	case unqualified:
		return permissionv1.Denial_DENIAL_UNQUALIFIED
	case missed:
		return permissionv1.Denial_DENIAL_CONDITION_NOT_MET
	default:
		return permissionv1.Denial_DENIAL_NO_GRANT
	}
}

// qualified reports whether the account has all certificates that the role
// needs on the resource.
func (m *model) qualified(account, role, resource string, now time.Time) bool {
	for _, r := range m.required {
		concerns := true
		want, have := strings.Split(r.pattern, "/"), strings.Split(resource, "/")
		for i := range min(len(want), len(have)) {
			concerns = concerns && (want[i] == "*" || want[i] == have[i])
		}
		if r.role == role && concerns && now.Unix() >= r.from && now.Unix() >= m.certificates[account][r.course] {
			return false
		}
	}
	return true
}

// meant is the resource that a question about a name is about.
func meant(name string) string {
	if strings.HasSuffix(name, "/-") {
		segments := strings.Split(name, "/")
		return strings.Join(segments[:len(segments)-2], "/")
	}
	return name
}

func (g fact) over(now time.Time) bool {
	return g.expires != 0 && !now.Before(time.Unix(g.expires, 0))
}

// reaches reports whether the grant is one to the subject of the question.
func (m *model) reaches(g fact, q decide.Question, now time.Time) bool {
	on, held, toHolders := strings.Cut(g.subject, "#")
	if !toHolders {
		return m.names(g.subject, q.Subject, g.deny)
	}
	for _, base := range m.grants {
		if base.deny || base.resource != on || base.role != held || base.over(now) || strings.Contains(base.subject, "#") {
			continue
		}
		holds := conditions()[base.condition](m, q, now)
		if !g.deny && !m.qualified(q.Subject, held, on, now) {
			continue
		}
		if (holds == yes || holds == unknown && g.deny) && m.names(base.subject, q.Subject, g.deny) {
			return true
		}
	}
	return false
}

// names reports whether a grant to the name is one to the account.
func (m *model) names(name, account string, deny bool) bool {
	kind := strings.Split(account, "/")[2]
	if name == account || name == m.organization+"/everyone" ||
		kind == "staff" && name == m.organization+"/allStaff" || kind == "customers" && name == m.organization+"/allCustomers" ||
		slices.Contains(m.segments[account], name) {
		return true
	}
	for _, team := range m.members[account] {
		if name == team {
			return true
		}
		chain, sound := m.chain(team)
		if (sound || deny) && slices.Contains(chain, name) {
			return true
		}
	}
	return false
}

// chain returns a team and the teams above it, up to 16 and none twice, and
// whether it ends at a team that is below none.
func (m *model) chain(team string) (chain []string, sound bool) {
	for team != "" {
		if slices.Contains(chain, team) || len(chain) == 16 {
			return chain, false
		}
		chain = append(chain, team)
		team = m.parents[team]
	}
	return chain, true
}

// covers reports whether a grant on upper counts on name.
func covers(upper, name string) bool { return name == upper || strings.HasPrefix(name, upper+"/") }

func (m *model) contains(roles *role.Roles, name, permission string) bool {
	if !role.IsBuiltIn(name) {
		return slices.Contains(m.roles[name], permission)
	}
	if name == role.Admin && strings.HasPrefix(permission, "custom.") {
		return true // whatever is declared
	}
	r, err := roles.Get(nil, name)
	return err == nil && slices.Contains(r.GetPermissions(), permission)
}
