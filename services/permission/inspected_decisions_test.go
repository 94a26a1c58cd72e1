package permission_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission"
	"guildhall.dev/services/permission/internal/people/inspection"
)

// eachLogging runs a test against a replica that logs every decision.
func eachLogging(t *testing.T, test func(t *testing.T, r *replica)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			in.config = permission.Config{DecisionLog: 1}
			r := in.start()
			in.seed(r)
			test(t, r)
		})
	}
}

// logged returns the decisions of a filter, once there are so many.
func (r *replica) logged(t testing.TB, filter string, n int) (found []*permissionv1.Decision) {
	t.Helper()
	log := permissionv1.NewDecisionServiceClient(r.connect(admin))
	r.in.await(func() bool {
		resp, err := log.ListDecisions(t.Context(), &permissionv1.ListDecisionsRequest{Parent: acme, Filter: filter, PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		found = resp.GetDecisions()
		return len(found) >= n
	})
	return found
}

// planDecisions plans the inspection of a day of the decision log.
func (c *crewClient) planDecisions(t testing.TB, v *permissionv1.Inspection) (*permissionv1.Inspection, error) {
	t.Helper()
	v.DisplayName, v.Criteria, v.Population = "Who read what", "for a case at hand", permissionv1.Inspection_POPULATION_DECISIONS
	if v.PeriodStartTime == nil {
		v.PeriodStartTime, v.PeriodEndTime = timestamppb.New(time.Now().Add(-day)), timestamppb.New(time.Now().Add(day))
	}
	return c.CreateInspection(t.Context(), &permissionv1.CreateInspectionRequest{Parent: acme, Inspection: v})
}

const reads = "groupchat.messages.get"

// TestInspections_drawFromTheDecisionLog: sue and tom read, in two groups, and
// so does the teacher, who inspects.
func TestInspections_drawFromTheDecisionLog(t *testing.T) {
	eachLogging(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		role := c.role(t, "reader", reads, "groupchat.groups.get")
		for _, account := range []string{sue, tom, teacher} {
			c.grant(t, account, role.GetName(), group1)
			for i := range 12 {
				gateway.wantMay(t, true, account, reads, fmt.Sprintf("%s/messages/%d", group1, i))
				gateway.wantMay(t, false, account, reads, fmt.Sprintf("%s/groups/g11/messages/%d", acme, i))
			}
			gateway.wantMay(t, true, account, "groupchat.groups.get", group1)
		}
		about := `permission = "` + reads + `" AND scope = "` + group1 + `" AND allowed = true`
		all := r.logged(t, about, 36)
		v := must[*permissionv1.Inspection](t)(c.planDecisions(t, &permissionv1.Inspection{Inspector: teacher, Filter: about, SampleSize: 5}))
		v = must[*permissionv1.Inspection](t)(c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName()}))

		// Anybody who has the log can repeat the draw.
		var population []string
		for _, d := range all {
			if d.GetSubject() != teacher {
				population = append(population, d.GetName())
			}
		}
		slices.Sort(population)
		sum := sha256.Sum256([]byte(strings.Join(population, "\n") + "\n"))
		if len(all) != 36 || v.GetPopulationSize() != 24 || v.GetPopulationHash() != hex.EncodeToString(sum[:]) {
			t.Errorf("of %d decisions %d are drawn from", len(all), v.GetPopulationSize())
		}
		seed := must[[]byte](t)(hex.DecodeString(v.GetSeed()))
		var sample []string
		for _, item := range v.GetSample() {
			sample = append(sample, item.GetItem())
			if d := item.GetDecision(); d.GetName() != item.GetItem() || d.GetSubject() == teacher || d.GetPermission() != reads || !d.GetAllowed() {
				t.Errorf("drew %v", item)
			}
		}
		if want := inspection.Sample(seed, population, 5); !slices.Equal(sample, want) {
			t.Errorf("drew %v, want %v", sample, want)
		}
		t.Run("findings", func(t *testing.T) { r.judge(t, v) })
	})
}

// judge finds fault with the first decision of a sample. Whose it was does not
// verify what became of it.
func (r *replica) judge(t *testing.T, v *permissionv1.Inspection) {
	c := r.staffing(admin)
	role := c.role(t, "checks", "permission.inspections.record", "permission.findings.remedy", "permission.findings.verify")
	for _, account := range []string{sue, tom, teacher} {
		c.grant(t, account, role.GetName(), acme)
	}
	i := r.staffing(teacher)
	for n, item := range v.GetSample() {
		req := &permissionv1.RecordVerdictRequest{Name: v.GetName(), Item: item.GetItem(), Conforming: n > 0, Description: "no case"}
		v = must[*permissionv1.Inspection](t)(i.RecordVerdict(t.Context(), req))
	}
	whose, other := v.GetSample()[0].GetDecision().GetSubject(), tom
	if whose == tom {
		other = sue
	}
	finding := v.GetSample()[0].GetFinding()
	must[*permissionv1.Finding](t)(c.RemedyFinding(t.Context(), &permissionv1.RemedyFindingRequest{Name: finding, Remedy: "the right is taken back"}))
	verify := &permissionv1.VerifyFindingRequest{Name: finding, Verification: "seen"}
	_, err := r.staffing(whose).VerifyFinding(t.Context(), verify)
	wantError(t, err, errs.Denied, "VERIFIER_INVOLVED") // whose decision it is
	must[*permissionv1.Finding](t)(r.staffing(other).VerifyFinding(t.Context(), verify))
	sum := must[*permissionv1.SummarizeInspectionsResponse](t)(c.SummarizeInspections(t.Context(), &permissionv1.SummarizeInspectionsRequest{Parent: acme}))
	low, high := inspection.Wilson(4, 5)
	if sum.GetConformance() != 0.8 || sum.GetConformanceLow() != low || sum.GetConformanceHigh() != high {
		t.Errorf("summary %v", sum)
	}
}

func TestInspections_drawOneAccountsDecisionsOfAPeriod(t *testing.T) {
	eachLogging(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		for i := range 7 {
			gateway.may(t, sue, reads, fmt.Sprintf("%s/messages/%d", group1, i))
			gateway.may(t, tom, reads, fmt.Sprintf("%s/messages/%d", group1, i))
		}
		ofSue := r.logged(t, `subject = "`+sue+`" AND permission = "`+reads+`"`, 7) // newest first
		for name, test := range map[string]struct {
			filter      string
			from, until time.Time
			want        int32
		}{
			"all of it":      {"", ofSue[6].GetTime().AsTime(), ofSue[0].GetTime().AsTime().Add(1), 7},
			"end is outside": {"", ofSue[4].GetTime().AsTime(), ofSue[2].GetTime().AsTime(), 2},
			"one resource":   {`resource = "` + ofSue[3].GetResource() + `"`, ofSue[6].GetTime().AsTime(), time.Now().Add(day), 1},
		} {
			v := must[*permissionv1.Inspection](t)(c.planDecisions(t, &permissionv1.Inspection{
				Inspected: sue, Inspector: teacher, Filter: test.filter, SampleSize: 200,
				PeriodStartTime: timestamppb.New(test.from), PeriodEndTime: timestamppb.New(test.until),
			}))
			v = must[*permissionv1.Inspection](t)(c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName()}))
			if v.GetPopulationSize() != test.want || len(v.GetSample()) != int(test.want) {
				t.Errorf("%s: drew %d of %d, want %d", name, len(v.GetSample()), v.GetPopulationSize(), test.want)
			}
		}
		v := must[*permissionv1.Inspection](t)(c.planDecisions(t, &permissionv1.Inspection{
			Inspected: sue, Inspector: teacher, Filter: `permission = "groupchat.groups.delete"`, SampleSize: 2,
		}))
		_, err := c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName()})
		wantError(t, err, errs.Precondition, "POPULATION_EMPTY")
	})
}

func TestInspections_ofDecisionsRefuse(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		for _, filter := range []string{`subject = "` + sue + `"`, `time > "2026-01-01T00:00:00Z"`, `permission > "a"`, "everything"} {
			_, err := c.planDecisions(t, &permissionv1.Inspection{Inspector: teacher, Filter: filter, SampleSize: 5})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
		_, err := c.planDecisions(t, &permissionv1.Inspection{Inspected: teacher, Inspector: teacher, SampleSize: 5})
		wantError(t, err, errs.Invalid, "INSPECTOR_IS_INSPECTED")
		_, err = c.planDecisions(t, &permissionv1.Inspection{SampleSize: 5, Inspector: "organizations/zeta/staff/admin"})
		wantField(t, err, errs.Invalid, "SUBJECT_INVALID", "inspection.inspector")
		// Everybody's work is that of decisions alone, and so is a filter.
		_, err = c.plan(t, permissionv1.Inspection_POPULATION_GRANTS, "", teacher, 5)
		wantField(t, err, errs.Invalid, "SUBJECT_INVALID", "inspection.inspected")
		_, err = c.CreateInspection(t.Context(), &permissionv1.CreateInspectionRequest{Parent: acme, Inspection: &permissionv1.Inspection{
			DisplayName: "Grants", Inspected: sue, Inspector: teacher, Population: permissionv1.Inspection_POPULATION_GRANTS, SampleSize: 5,
			Criteria: "needed", Filter: `allowed = true`,
			PeriodStartTime: timestamppb.New(time.Now().Add(-day)), PeriodEndTime: timestamppb.New(time.Now()),
		}})
		wantField(t, err, errs.Invalid, "FILTER_INVALID", "inspection.filter")
	})
}
