package access_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
)

const readGroups = "groupchat.groups.get"

// separate gives the organisation one rule, on a resource, with one exemption.
func (w *world) separate(on, exempt string, r *permissionv1.SeparationRule) {
	r.Name, r.Resource = w.on("ORG/separationRules/r"), w.on(on)
	r.Exemptions = []*permissionv1.SeparationExemption{{Subject: w.on(exempt), ExpireTime: timestamppb.New(now.Add(time.Hour))}}
	w.Loader.Separation = func(kv.Reader, string) ([]*permissionv1.SeparationRule, error) {
		return []*permissionv1.SeparationRule{r}, nil
	}
}

func twoPeople() *permissionv1.SeparationRule {
	return &permissionv1.SeparationRule{Rule: &permissionv1.SeparationRule_TwoPerson{
		TwoPerson: &permissionv1.TwoPerson{Permissions: []string{readGroups}},
	}}
}

// auditOrRead is a rule that who audits reads no groups.
func auditOrRead() *permissionv1.SeparationRule {
	return &permissionv1.SeparationRule{Rule: &permissionv1.SeparationRule_ForbiddenPair{ForbiddenPair: &permissionv1.ForbiddenPair{
		First:  &permissionv1.SeparationSide{Roles: []string{"roles/auditor"}},
		Second: &permissionv1.SeparationSide{Permissions: []string{readGroups}},
	}}}
}

func TestResources_saysWhatARuleMayRefuse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.make(t, fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g1"},
			fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g2"},
			fact{subject: "ORG/staff/sue", role: "roles/auditor", resource: "ORG/groups/g1/topics/x"})
		for name, test := range map[string]struct {
			on, exempt string
			rule       *permissionv1.SeparationRule
			listed     []string
			covers     []bool
			more       bool
		}{
			"two people, everywhere":        {"", "ORG/staff/tom", twoPeople(), nil, nil, false},
			"two people, on a part":         {"ORG/groups/g2/topics/y", "ORG/staff/tom", twoPeople(), []string{"ORG/groups/g1", "ORG/groups/g2"}, []bool{true, false}, false},
			"two people, not of sue":        {"", "ORG/staff/sue", twoPeople(), []string{"ORG/groups/g1", "ORG/groups/g2"}, []bool{true, true}, false},
			"a pair, of which a part is in": {"", "ORG/staff/tom", auditOrRead(), []string{"ORG/groups/g2"}, []bool{true}, true},
			"a pair, not of sue":            {"", "ORG/staff/sue", auditOrRead(), []string{"ORG/groups/g1", "ORG/groups/g2"}, []bool{true, true}, false},
			"a pair, on a part":             {"ORG/groups/g1/topics", "ORG/staff/tom", auditOrRead(), []string{"ORG/groups/g1", "ORG/groups/g2"}, []bool{false, true}, false},
		} {
			w.separate(test.on, test.exempt, test.rule)
			w.view(t, func(s *access.State, _ func(a, p, r string) bool) error {
				found, more := resources(t, s, access.ResourceQuery{Subject: w.on("ORG/staff/sue"), Permission: readGroups})
				var listed []string
				var covers []bool
				for i, r := range found {
					listed, covers = append(listed, r.GetName()), append(covers, r.GetCoversAllBelow())
					if i < len(test.listed) {
						test.listed[i] = w.on(test.listed[i])
					}
				}
				if !slices.Equal(listed, test.listed) || !slices.Equal(covers, test.covers) || more != test.more {
					t.Errorf("%s: found %v, covering all below %v, more %t", name, listed, covers, more)
				}
				return nil
			})
		}
	})
}

func TestSubjects_saysWhomARuleMayRefuse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.make(t, fact{subject: "ORG/allStaff", role: "roles/viewer", resource: "ORG"},
			fact{subject: "ORG/staff/tom", role: "roles/auditor", resource: "ORG/groups/g1/topics/x"},
			fact{subject: "ORG/customers/carl", role: "roles/viewer", resource: "ORG/groups/g1"})
		for name, test := range map[string]struct {
			on          string
			rule        *permissionv1.SeparationRule
			listed      []string
			conditional bool
		}{
			"two people":           {"", twoPeople(), []string{"ORG/staff/sue"}, false},
			"two people elsewhere": {"ORG/groups/g2", twoPeople(), []string{"ORG/allStaff", "ORG/customers/carl"}, false},
			"a pair":               {"", auditOrRead(), []string{"ORG/allStaff", "ORG/customers/carl", "ORG/staff/sue"}, true},
			"a pair elsewhere":     {"ORG/groups/g2", auditOrRead(), []string{"ORG/allStaff", "ORG/customers/carl"}, false},
		} {
			w.separate(test.on, "ORG/staff/sue", test.rule)
			w.view(t, func(s *access.State, _ func(a, p, r string) bool) error {
				var listed []string
				conditional := false
				for _, one := range subjects(t, s, access.SubjectQuery{Permission: readGroups, Resource: w.on("ORG/groups/g1")}) {
					listed, conditional = append(listed, one.GetName()), conditional || one.GetConditional()
				}
				want := make([]string, 0, len(test.listed))
				for _, one := range test.listed {
					want = append(want, w.on(one))
				}
				if !slices.Equal(listed, want) || conditional != test.conditional {
					t.Errorf("%s: found %v, depending on the account %t", name, listed, conditional)
				}
				return nil
			})
		}
	})
}
