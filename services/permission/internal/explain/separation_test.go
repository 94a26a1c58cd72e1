package explain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/explain"
)

// separate gives the organisation rules.
func (f *fixture) separate(rules ...*permissionv1.SeparationRule) {
	f.Loader.Separation = func(kv.Reader, string) ([]*permissionv1.SeparationRule, error) { return rules, nil }
}

// serviceOrAudit is a rule that who serves customers does not audit.
func serviceOrAudit() *permissionv1.SeparationRule {
	return &permissionv1.SeparationRule{Name: acme + "/separationRules/pair", Rule: &permissionv1.SeparationRule_ForbiddenPair{
		ForbiddenPair: &permissionv1.ForbiddenPair{
			First:  &permissionv1.SeparationSide{Roles: []string{"roles/customer.service"}},
			Second: &permissionv1.SeparationSide{Permissions: []string{listAudit}},
		},
	}}
}

// twoToRead is a rule that it takes two people to read a group.
func twoToRead() *permissionv1.SeparationRule {
	return &permissionv1.SeparationRule{Name: acme + "/separationRules/two", Resource: group, Rule: &permissionv1.SeparationRule_TwoPerson{
		TwoPerson: &permissionv1.TwoPerson{Permissions: []string{read}},
	}}
}

const listAudit = "groupchat.auditEntries.list"

func TestExplain_namesTheRuleThatRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.separate(serviceOrAudit(), twoToRead())
		first := f.grant(t, sue, "roles/customer.service", group)
		f.grant(t, sue, "roles/auditor", acme)
		for name, test := range map[string]struct {
			permission string
			want       decide.Answer
			chain      []string
		}{
			"a pair": {listAudit, decide.Answer{
				Grant: first, Denial: permissionv1.Denial_DENIAL_SEPARATED, Rule: acme + "/separationRules/pair",
			}, []string{"GRANT staff/sue > grants/g2", "ROLE grants/g2 > roles/auditor", "PERMISSION roles/auditor > " + listAudit}},
			"two people": {read, decide.Answer{
				Denial: permissionv1.Denial_DENIAL_APPROVAL_NEEDED, Rule: acme + "/separationRules/two",
			}, []string{"GRANT staff/sue > grants/g1", "ROLE grants/g1 > roles/customer.service", "PERMISSION roles/customer.service > " + read}},
		} {
			e := f.explain(t, decide.Question{Subject: sue, Permission: test.permission, Resource: group}, true)
			if d := cmp.Diff(test.want, e.Answer); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			if d := cmp.Diff(test.chain, short(e.Chain)); d != "" || len(e.Near)+len(e.Denials) != 0 {
				t.Errorf("%s: near %v, denials %v, chain %s", name, e.Near, e.Denials, d)
			}
		}
		// Where no rule has a part, none is named.
		e := f.explain(t, decide.Question{Subject: carl, Permission: read, Resource: group}, true)
		if e.Answer.Rule != "" || e.Answer.Denial != permissionv1.Denial_DENIAL_NO_GRANT || e.Chain != nil {
			t.Errorf("of carl: %+v", e)
		}
	})
}

// TestSimulate_rulesHoldAfterChangesToo: whatever is proposed, also a grant to
// holders, which is kept beside the rules.
func TestSimulate_rulesHoldAfterChangesToo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.separate(serviceOrAudit(), twoToRead())
		first := f.grant(t, sue, "roles/customer.service", group)
		f.grant(t, sue, "roles/auditor", acme)
		other := f.grant(t, carl, "roles/viewer", acme+"/groups/g2")
		simulate := func(p explain.Proposal) (separated, approval permissionv1.Denial) {
			t.Helper()
			err := f.store.View(t.Context(), func(r kv.Reader) error {
				_, after, err := f.Simulate(r, acme, p, []decide.Question{
					{Subject: sue, Permission: listAudit, Resource: group}, {Subject: sue, Permission: read, Resource: group},
				}, now)
				if err == nil {
					separated, approval = after[0].Denial, after[1].Denial
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return separated, approval
		}
		toHolders := &permissionv1.Grant{Subject: group + "#roles/customer.service", Role: "roles/viewer", Resource: acme}
		for name, p := range map[string]explain.Proposal{
			"nothing": {}, "a grant to holders": {Create: []*permissionv1.Grant{toHolders}}, "another's grant ends": {Delete: []string{other}},
		} {
			if s, a := simulate(p); s != permissionv1.Denial_DENIAL_SEPARATED || a != permissionv1.Denial_DENIAL_APPROVAL_NEEDED {
				t.Errorf("%s: %v, %v", name, s, a)
			}
		}
		if s, a := simulate(explain.Proposal{Delete: []string{first}}); s != 0 || a != permissionv1.Denial_DENIAL_NO_GRANT {
			t.Errorf("the first side ends: %v, %v", s, a)
		}
	})
}
