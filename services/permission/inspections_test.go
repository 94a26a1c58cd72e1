package permission_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/inspection"
)

func (c *crewClient) plan(t testing.TB, from permissionv1.Inspection_Population, inspected, inspector string, size int32) (*permissionv1.Inspection, error) {
	t.Helper()
	return c.CreateInspection(t.Context(), &permissionv1.CreateInspectionRequest{Parent: acme, Inspection: &permissionv1.Inspection{
		DisplayName: "Answers", Inspected: inspected, Inspector: inspector, Population: from, SampleSize: size, Criteria: "polite and right",
		PeriodStartTime: timestamppb.New(time.Now().Add(-day)), PeriodEndTime: timestamppb.New(time.Now().Add(day)),
	}})
}

func TestInspections_fromDrawToConformance(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		inspector := c.role(t, "inspector", "permission.inspections.record", "permission.findings.verify")
		c.grant(t, teacher, inspector.GetName(), acme)
		helper := c.role(t, "helper", "permission.findings.remedy", "permission.findings.verify")
		c.grant(t, sue, helper.GetName(), acme)
		v := must[*permissionv1.Inspection](t)(c.plan(t, permissionv1.Inspection_POPULATION_SUBMITTED, sue, teacher, 5))
		if v.GetSeed() != "" || v.GetSeedHash() == "" {
			t.Errorf("planned %v", v)
		}
		var population []string
		for i := range 40 {
			population = append(population, fmt.Sprintf("%s/messages/%d", group1, i))
		}
		v = must[*permissionv1.Inspection](t)(c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName(), Items: population}))
		// Anybody can repeat the draw.
		seed, err := hex.DecodeString(v.GetSeed())
		if sum := sha256.Sum256(seed); err != nil || hex.EncodeToString(sum[:]) != v.GetSeedHash() {
			t.Errorf("the seed %s is not that of %s", v.GetSeed(), v.GetSeedHash())
		}
		var sample []string
		for _, item := range v.GetSample() {
			sample = append(sample, item.GetItem())
		}
		if want := inspection.Sample(seed, population, 5); !slices.Equal(sample, want) || v.GetPopulationSize() != 40 {
			t.Errorf("drew %v, want %v", sample, want)
		}
		verdict := &permissionv1.RecordVerdictRequest{Name: v.GetName(), Item: sample[0], Conforming: true}
		_, err = c.RecordVerdict(t.Context(), verdict)
		wantError(t, err, errs.Denied, "INSPECTOR_ONLY")
		i := r.staffing(teacher)
		for _, item := range sample[:4] {
			must[*permissionv1.Inspection](t)(i.RecordVerdict(t.Context(), &permissionv1.RecordVerdictRequest{Name: v.GetName(), Item: item, Conforming: true}))
		}
		_, err = i.RecordVerdict(t.Context(), verdict)
		wantError(t, err, errs.Precondition, "ITEM_CHECKED")
		_, err = c.CloseInspection(t.Context(), &permissionv1.CloseInspectionRequest{Name: v.GetName()})
		wantError(t, err, errs.Precondition, "ITEMS_UNCHECKED")
		v = must[*permissionv1.Inspection](t)(i.RecordVerdict(t.Context(), &permissionv1.RecordVerdictRequest{Name: v.GetName(), Item: sample[4], Description: "wrong price"}))
		finding := v.GetSample()[4].GetFinding()
		must[*permissionv1.Inspection](t)(c.CloseInspection(t.Context(), &permissionv1.CloseInspectionRequest{Name: v.GetName()}))

		verify := &permissionv1.VerifyFindingRequest{Name: finding, Verification: "seen"}
		_, err = i.VerifyFinding(t.Context(), verify)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		must[*permissionv1.Finding](t)(r.staffing(sue).RemedyFinding(t.Context(), &permissionv1.RemedyFindingRequest{Name: finding, Remedy: "called the customer"}))
		_, err = r.staffing(sue).VerifyFinding(t.Context(), verify)
		wantError(t, err, errs.Denied, "VERIFIER_INVOLVED")
		must[*permissionv1.Finding](t)(i.VerifyFinding(t.Context(), verify))
		found := must[*permissionv1.ListFindingsResponse](t)(c.ListFindings(t.Context(), &permissionv1.ListFindingsRequest{Parent: acme + "/inspections/-"}))
		if len(found.GetFindings()) != 1 || found.GetFindings()[0].GetState() != permissionv1.Finding_STATE_VERIFIED {
			t.Errorf("findings %v", found)
		}
		sum := must[*permissionv1.SummarizeInspectionsResponse](t)(c.SummarizeInspections(t.Context(), &permissionv1.SummarizeInspectionsRequest{Parent: acme, Inspected: sue}))
		low, high := inspection.Wilson(4, 5)
		if sum.GetChecked() != 5 || sum.GetConformance() != 0.8 || sum.GetConformanceLow() != low || sum.GetConformanceHigh() != high || sum.GetFindingsVerified() != 1 {
			t.Errorf("summary %v", sum)
		}
	})
}

func TestInspections_drawFromTheRecords(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		var given []string
		for _, account := range []string{sue, tom} {
			given = append(given, c.grant(t, account, "roles/viewer", acme).GetName())
		}
		v := must[*permissionv1.Inspection](t)(c.plan(t, permissionv1.Inspection_POPULATION_GRANTS, admin, teacher, 200))
		_, err := c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName(), Items: []string{"chosen"}})
		wantError(t, err, errs.Invalid, "POPULATION_GIVEN")
		v = must[*permissionv1.Inspection](t)(c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName()}))
		for _, name := range given {
			if !slices.ContainsFunc(v.GetSample(), func(i *permissionv1.SampledItem) bool { return i.GetItem() == name }) {
				t.Errorf("%s is not in %v", name, v.GetSample())
			}
		}
		v = must[*permissionv1.Inspection](t)(c.plan(t, permissionv1.Inspection_POPULATION_AUDIT_ENTRIES, admin, teacher, 2))
		v = must[*permissionv1.Inspection](t)(c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName()}))
		if len(v.GetSample()) != 2 || v.GetPopulationSize() < 4 {
			t.Errorf("drew %v", v)
		}
		v = must[*permissionv1.Inspection](t)(c.plan(t, permissionv1.Inspection_POPULATION_GRANTS, tom, teacher, 5))
		_, err = c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName()})
		wantError(t, err, errs.Precondition, "POPULATION_EMPTY")
		must[*permissionv1.Inspection](t)(c.DeleteInspection(t.Context(), &permissionv1.DeleteInspectionRequest{Name: v.GetName(), Etag: v.GetEtag()}))
	})
}

func TestInspections_refuse(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		submitted := permissionv1.Inspection_POPULATION_SUBMITTED
		_, err := c.plan(t, submitted, sue, sue, 5)
		wantError(t, err, errs.Invalid, "INSPECTOR_IS_INSPECTED")
		_, err = c.plan(t, submitted, "organizations/zeta/staff/z", sue, 5)
		wantError(t, err, errs.Invalid, "SUBJECT_INVALID")
		_, err = c.plan(t, 0, sue, tom, 5)
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
		v := must[*permissionv1.Inspection](t)(c.plan(t, submitted, sue, tom, 5))
		must[*permissionv1.Inspection](t)(c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName(), Items: []string{"a", "b"}}))
		_, err = c.DrawInspection(t.Context(), &permissionv1.DrawInspectionRequest{Name: v.GetName(), Items: []string{"c"}})
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE") // no second draw
		_, err = c.DeleteInspection(t.Context(), &permissionv1.DeleteInspectionRequest{Name: v.GetName()})
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		_, err = r.staffing(stranger).GetInspection(t.Context(), &permissionv1.GetInspectionRequest{Name: v.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}
