package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/explain"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"

	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	acme  = "organizations/acme"
	sue   = acme + "/staff/sue"
	carl  = acme + "/customers/carl"
	sales = acme + "/teams/sales"
	emea  = acme + "/teams/emea"
	group = acme + "/groups/g1"
	read  = "groupchat.groups.get"
)

var (
	begin = time.Unix(1_800_000_000, 0)
	now   = begin.Add(time.Hour)
)

type fixture struct {
	*explain.Explainer
	subjects *subject.Subjects
	roles    *role.Roles
	store    kv.Store
	made     int
}

func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, open(t, engine)) })
	}
}

func open(t testing.TB, engine string) *fixture {
	t.Helper()
	conditions, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	roles, subjects, properties := role.New(role.NewCatalogue(authz.Catalogue())), subject.New(), property.New()
	grants := grant.New(roles, subjects, conditions)
	qualifications := qualification.New(roles, grants, subjects)
	return &fixture{
		Explainer: &explain.Explainer{
			Rules: decide.New(roles, conditions), Conditions: conditions,
			Loader: &decide.Loader{Grants: grants, Subjects: subjects, Roles: roles, Properties: properties, Qualifications: qualifications},
		},
		subjects: subjects, roles: roles,
		store: testkit.Store(t, engine, "permission", append(kv.RawTables(roles, subjects, properties, grants, qualifications), revision.Tables()...)),
	}
}

func (f *fixture) update(t testing.TB, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := f.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// grant makes a grant and returns its name; more changes it first.
func (f *fixture) grant(t testing.TB, to, roleName, on string, more ...func(*permissionv1.Grant)) string {
	t.Helper()
	f.made++
	g := &permissionv1.Grant{Name: fmt.Sprintf("%s/grants/g%d", acme, f.made), Subject: to, Role: roleName, Resource: on}
	for _, m := range more {
		m(g)
	}
	f.update(t, func(tx kv.Tx) error { _, _, err := f.Loader.Grants.Create(tx, begin, g); return err })
	return g.GetName()
}

func denying(g *permissionv1.Grant) { g.Effect = permissionv1.Effect_EFFECT_DENY }

func ending(g *permissionv1.Grant) { g.ExpireTime = timestamppb.New(begin.Add(time.Minute)) }

func when(expression string) func(*permissionv1.Grant) {
	return func(g *permissionv1.Grant) { g.Condition = &permissionv1.Condition{Expression: expression} }
}

func (f *fixture) explain(t testing.TB, q decide.Question, others bool) (e *explain.Explanation) {
	t.Helper()
	err := f.store.View(t.Context(), func(r kv.Reader) (err error) {
		e, err = f.Explain(r, acme, q, now, others)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// short writes a chain as "MEMBER staff/sue > teams/sales".
func short(steps []*permissionv1.ExplainStep) (lines []string) {
	for _, s := range steps {
		kind := strings.TrimPrefix(s.GetKind().String(), "KIND_")
		lines = append(lines, strings.ReplaceAll(kind+" "+s.GetFrom()+" > "+s.GetTo(), acme+"/", ""))
	}
	return lines
}

func gaps(grants []*permissionv1.ExplainedGrant) (lines []string) {
	for _, g := range grants {
		lines = append(lines, strings.TrimPrefix(g.GetGap().String(), "GAP_")+" "+g.GetGrant()[len(acme+"/grants/"):])
	}
	return lines
}

func (f *fixture) wantChain(t *testing.T, q decide.Question, want ...string) {
	t.Helper()
	e := f.explain(t, q, true)
	if !e.Answer.Allowed {
		t.Fatalf("%v is refused: %v", q, e.Answer)
	}
	if d := cmp.Diff(want, short(e.Chain)); d != "" {
		t.Error(d)
	}
}

func TestExplain_namesEveryLink(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.update(t, func(tx kv.Tx) error {
			if _, _, err := f.roles.Create(tx, begin, sue, &permissionv1.Role{
				Name: acme + "/roles/low", DisplayName: "Low", Permissions: []string{read},
			}); err != nil {
				return err
			}
			if _, _, err := f.roles.Create(tx, begin, sue, &permissionv1.Role{
				Name: acme + "/roles/high", DisplayName: "High", IncludedRoles: []string{acme + "/roles/low"},
			}); err != nil {
				return err
			}
			if err := f.subjects.SetParent(tx, begin, sales, emea); err != nil {
				return err
			}
			if err := f.subjects.AddMember(tx, begin, acme+"/segments/gold", carl); err != nil {
				return err
			}
			return f.subjects.AddMember(tx, begin, sales, sue)
		})
		f.grant(t, emea, acme+"/roles/high", group)
		asked := decide.Question{Subject: sue, Permission: read, Resource: group + "/topics/x"}
		f.wantChain(t, asked, "MEMBER staff/sue > teams/sales", "BELOW teams/sales > teams/emea", "GRANT teams/emea > grants/g1",
			"ROLE grants/g1 > roles/high", "INCLUDES roles/high > roles/low", "PERMISSION roles/low > "+read)
		f.grant(t, acme+"/segments/gold", "roles/viewer", acme+"/groups/g2")
		f.wantChain(t, decide.Question{Subject: carl, Permission: read, Resource: acme + "/groups/g2"},
			"SEGMENT customers/carl > segments/gold", "GRANT segments/gold > grants/g2", "ROLE grants/g2 > roles/viewer", "PERMISSION roles/viewer > "+read)
		f.grant(t, acme+"/groups/g2#roles/viewer", "roles/auditor", acme+"/groups/g3")
		f.wantChain(t, decide.Question{Subject: carl, Permission: "permission.grants.list", Resource: acme + "/groups/g3"},
			"SEGMENT customers/carl > segments/gold", "GRANT segments/gold > grants/g2", "HOLDER grants/g2 > groups/g2#roles/viewer",
			"GRANT groups/g2#roles/viewer > grants/g3", "ROLE grants/g3 > roles/auditor", "PERMISSION roles/auditor > permission.grants.list")
		f.grant(t, acme+"/everyone", "roles/viewer", acme+"/groups/g4")
		f.wantChain(t, decide.Question{Subject: sue, Permission: read, Resource: acme + "/groups/g4"},
			"CLASS staff/sue > everyone", "GRANT everyone > grants/g4", "ROLE grants/g4 > roles/viewer", "PERMISSION roles/viewer > "+read)
		f.wantChain(t, decide.Question{Subject: carl, Permission: "identity.customers.get", Resource: carl},
			"SELF customers/carl > roles/self", "PERMISSION roles/self > identity.customers.get")
	})
}

func TestExplain_namesWhatDenies(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.grant(t, sue, "roles/viewer", acme)
		f.grant(t, acme+"/allStaff", "roles/viewer", acme, denying, when(`request.address == "192.0.2.1"`)) // cannot be known
		f.grant(t, sue, "roles/viewer", group, denying)
		f.grant(t, sue, "roles/viewer", acme+"/groups/g2", denying)
		f.grant(t, sue, "roles/viewer", group, denying, when(`request.message_type == "offer"`))
		e := f.explain(t, decide.Question{
			Subject: sue, Permission: read, Resource: group, Attributes: &permissionv1.Attributes{MessageType: "news"},
		}, false)
		if e.Answer.Denial != permissionv1.Denial_DENIAL_DENIED_BY_GRANT {
			t.Errorf("answered %v", e.Answer)
		}
		if d := cmp.Diff([]string{"UNSPECIFIED g3", "UNSPECIFIED g2"}, gaps(e.Denials)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"request.address"}, e.Denials[1].GetAbsent()); d != "" {
			t.Error(d)
		}
	})
}

func TestExplain_ordersWhatIsNear(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.grant(t, sales, "roles/viewer", acme)
		f.grant(t, carl, "roles/viewer", group)
		f.grant(t, sue, "roles/auditor", acme)
		f.grant(t, sue, "roles/viewer", acme+"/groups/g2")
		f.grant(t, sue, "roles/viewer", group+"/topics/x")
		f.grant(t, sue, "roles/viewer", acme, ending)
		f.grant(t, acme+"/allStaff", "roles/viewer", group, when(`request.address == "192.0.2.1"`))
		f.grant(t, sales, "roles/auditor", group) // lacks two things
		q := decide.Question{Subject: sue, Permission: read, Resource: group}
		e := f.explain(t, q, true)
		want := []string{"CONDITION g7", "EXPIRED g6", "RESOURCE g5", "RESOURCE g4", "ROLE g3", "SUBJECT g2", "SUBJECT g1"}
		if d := cmp.Diff(want, gaps(e.Near)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"request.address"}, e.Near[0].GetAbsent()); d != "" {
			t.Error(d)
		}
		if got := e.Near[1].GetExpireTime().GetSeconds(); got != begin.Add(time.Minute).Unix() {
			t.Errorf("ended at %d", got)
		}
		if e.Chain != nil || e.Denials != nil || e.Truncated {
			t.Errorf("a no has %v, %v, %t", e.Chain, e.Denials, e.Truncated)
		}
		// Who asks about themselves alone is told nothing of others.
		if d := cmp.Diff(want[:5], gaps(f.explain(t, q, false).Near)); d != "" {
			t.Error(d)
		}
	})
}

func TestExplain_isBounded(t *testing.T) {
	f := open(t, "bolt")
	for i := range 30 {
		f.grant(t, sue, "roles/viewer", fmt.Sprintf("%s/groups/x%d", acme, i))
	}
	e := f.explain(t, decide.Question{Subject: sue, Permission: read, Resource: group}, true)
	if len(e.Near) != 20 || !e.Truncated {
		t.Errorf("%d near, truncated %t", len(e.Near), e.Truncated)
	}
}

func TestSimulate_answersBeforeAndAfter(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		clerk := acme + "/roles/clerk"
		f.update(t, func(tx kv.Tx) error {
			_, _, err := f.roles.Create(tx, begin, sue, &permissionv1.Role{Name: clerk, DisplayName: "Clerk", Permissions: []string{"identity.teams.get"}})
			return err
		})
		old := f.grant(t, sue, "roles/viewer", group)
		f.grant(t, sue, clerk, acme+"/groups/g2")
		questions := []decide.Question{
			{Subject: sue, Permission: read, Resource: group},
			{Subject: carl, Permission: read, Resource: group},
			{Subject: sue, Permission: read, Resource: acme + "/groups/g2"},
			{Subject: sue, Permission: "identity.teams.get", Resource: acme + "/groups/g2"},
		}
		p := explain.Proposal{
			Create: []*permissionv1.Grant{{Subject: acme + "/everyone", Role: "roles/viewer", Resource: group}, {Subject: sue, Role: "roles/viewer", Resource: group, Effect: permissionv1.Effect_EFFECT_DENY}},
			Delete: []string{old}, Roles: []*permissionv1.Role{{Name: clerk, Permissions: []string{read}}},
		}
		var before, after []decide.Answer
		err := f.store.View(t.Context(), func(r kv.Reader) (err error) {
			before, after, err = f.Simulate(r, acme, p, questions, now)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := [][2]bool{{true, false}, {false, true}, {false, true}, {true, false}}
		for i := range want {
			if got := [2]bool{before[i].Allowed, after[i].Allowed}; got != want[i] {
				t.Errorf("question %d: %v, want %v", i, got, want[i])
			}
		}
		if after[1].Grant != "create_grants[0]" || after[0].Grant != "create_grants[1]" || after[2].Grant != acme+"/grants/g2" {
			t.Errorf("after %v", after)
		}
	})
}

func TestSimulate_refusesWhatCannotBe(t *testing.T) {
	f := open(t, "bolt")
	for field, p := range map[string]explain.Proposal{
		"create_grants[0].subject": {Create: []*permissionv1.Grant{{Subject: "nobody", Role: "roles/viewer", Resource: acme}}},
		"create_grants[0].role":    {Create: []*permissionv1.Grant{{Subject: sue, Role: "roles/none", Resource: acme}}},
		"delete_grants[0]":         {Delete: []string{acme + "/grants/none"}},
		"roles[0]":                 {Roles: []*permissionv1.Role{{Name: acme + "/roles/none"}}},
	} {
		err := f.store.View(t.Context(), func(r kv.Reader) error {
			_, _, err := f.Simulate(r, acme, p, nil, now)
			return err
		})
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != field {
			t.Errorf("%v with %v, want the field %s", err, v, field)
		}
	}
}
