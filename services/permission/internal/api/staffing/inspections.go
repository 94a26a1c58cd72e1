package staffing

import (
	"context"
	"crypto/rand"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/inspection"
	"guildhall.dev/services/permission/internal/subject"
)

// inspections implements permissionv1.InspectionServiceServer.
type inspections struct{ Config }

func (s inspections) CreateInspection(ctx context.Context, req *permissionv1.CreateInspectionRequest) (*permissionv1.Inspection, error) {
	seed := make([]byte, inspection.SeedSize)
	rand.Read(seed) // never fails
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Inspection, error) {
		return s.Inspections.Plan(tx, req.GetParent(), req.GetInspectionId(), authn.CallerOf(ctx).Name, seed, req.GetInspection())
	})
}

func (s inspections) GetInspection(ctx context.Context, req *permissionv1.GetInspectionRequest) (*permissionv1.Inspection, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Inspection, error) {
		return s.Inspections.Get(r, req.GetName())
	})
}

func (s inspections) ListInspections(ctx context.Context, req *permissionv1.ListInspectionsRequest) (*permissionv1.ListInspectionsResponse, error) {
	_, inspected, err := only(req.GetFilter(), "inspected")
	if err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListInspections", req.GetParent(), req.GetFilter()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Inspection, []byte, error) {
		return s.Inspections.List(r, req.GetParent(), inspected, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListInspectionsResponse{Inspections: found, NextPageToken: next}, nil
}

func (s inspections) DeleteInspection(ctx context.Context, req *permissionv1.DeleteInspectionRequest) (*permissionv1.Inspection, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Inspection, error) {
		return s.Inspections.Delete(tx, req.GetName(), req.GetEtag())
	})
}

// DrawInspection reads the population before the change: it may be large, and
// a transaction that has read so much would lose against live traffic.
func (s inspections) DrawInspection(ctx context.Context, req *permissionv1.DrawInspectionRequest) (*permissionv1.Inspection, error) {
	var v *permissionv1.Inspection
	lot, err := journal.Read(ctx, s.Journal, func(r kv.Reader) (lot *inspection.Lot, err error) {
		v, lot, err = s.Inspections.Begin(r, req.GetName())
		return lot, err
	})
	if err != nil {
		return nil, err
	}
	if lot != nil {
		if err := s.fill(ctx, lot, v, req.GetItems()); err != nil {
			return nil, err
		}
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Inspection, error) {
		return s.Inspections.Draw(tx, req.GetName(), req.GetEtag(), lot)
	})
}

// fill tells the lot of the population; of no more than shows that there is too
// much.
func (s inspections) fill(ctx context.Context, lot *inspection.Lot, v *permissionv1.Inspection, submitted []string) error {
	if v.GetPopulation() == permissionv1.Inspection_POPULATION_SUBMITTED {
		for _, item := range submitted {
			lot.Add(item)
		}
		return nil
	}
	if len(submitted) > 0 {
		return errs.InvalidField("items", "POPULATION_GIVEN", "the population of this inspection is read from the records; send no items")
	}
	switch v.GetPopulation() {
	case permissionv1.Inspection_POPULATION_AUDIT_ENTRIES:
		return s.entries(ctx, lot, v)
	case permissionv1.Inspection_POPULATION_DECISIONS:
		return s.decisions(ctx, lot, v)
	default:
		return s.grants(ctx, lot, v)
	}
}

func (s inspections) grants(ctx context.Context, lot *inspection.Lot, v *permissionv1.Inspection) error {
	from, until := v.GetPeriodStartTime().AsTime(), v.GetPeriodEndTime().AsTime()
	given, err := journal.Read(ctx, s.Journal, func(r kv.Reader) (names []string, err error) {
		for rec, err := range s.Grants.ScanGiven(r, resource.Parent(v.GetName()), "", nil) {
			if err != nil || len(names) > inspection.MaxPopulation {
				return names, err
			}
			made := rec.Value.GetCreateTime().AsTime()
			if rec.Value.GetCreator() == v.GetInspected() && !made.Before(from) && made.Before(until) {
				names = append(names, rec.Value.GetName())
			}
		}
		return names, nil
	})
	for _, name := range given {
		lot.Add(name)
	}
	return err
}

// page is how many records are read at once.
const page = 1000

func (s inspections) entries(ctx context.Context, lot *inspection.Lot, v *permissionv1.Inspection) error {
	q := audit.Query{
		Parent: resource.Parent(v.GetName()), Actor: v.GetInspected(), Limit: page,
		From: v.GetPeriodStartTime().AsTime(), Until: v.GetPeriodEndTime().AsTime(),
	}
	for {
		found, err := s.Journal.Audit.List(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range found.Entries {
			lot.Add(e.GetName())
		}
		if q.After = found.Next; q.After == nil || lot.Full() {
			return nil
		}
	}
}

// decisions reads the log page by page, each in a read of its own. What is
// logged meanwhile is newer than where it is, and not looked for.
func (s inspections) decisions(ctx context.Context, lot *inspection.Lot, v *permissionv1.Inspection) error {
	f, err := inspection.Selects(v)
	if err != nil {
		return err
	}
	for after := []byte(nil); ; {
		var next []byte
		found, err := journal.Read(ctx, s.Journal, func(r kv.Reader) (found []*permissionv1.Decision, err error) {
			found, next, err = s.Decisions.List(r, resource.Parent(v.GetName()), f, after, page)
			return found, err
		})
		if err != nil {
			return err
		}
		for _, d := range found {
			if inspection.Counts(v, d) {
				lot.AddDecision(d)
			}
		}
		if after = next; after == nil || lot.Full() {
			return nil
		}
	}
}

func (s inspections) RecordVerdict(ctx context.Context, req *permissionv1.RecordVerdictRequest) (*permissionv1.Inspection, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Inspection, error) {
		return s.Inspections.Record(tx, inspection.Verdict{
			Name: req.GetName(), Etag: req.GetEtag(), By: authn.CallerOf(ctx).Name, Item: req.GetItem(),
			Conforms: req.GetConforming(), Description: req.GetDescription(),
		})
	})
}

func (s inspections) CloseInspection(ctx context.Context, req *permissionv1.CloseInspectionRequest) (*permissionv1.Inspection, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Inspection, error) {
		return s.Inspections.Close(tx, req.GetName(), req.GetEtag())
	})
}

func (s inspections) SummarizeInspections(ctx context.Context, req *permissionv1.SummarizeInspectionsRequest) (*permissionv1.SummarizeInspectionsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.SummarizeInspectionsResponse, error) {
		return s.Inspections.Summarize(r, req.GetParent(), req.GetInspected())
	})
}

func (s inspections) GetFinding(ctx context.Context, req *permissionv1.GetFindingRequest) (*permissionv1.Finding, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Finding, error) {
		return s.Inspections.GetFinding(r, req.GetName())
	})
}

func (s inspections) ListFindings(ctx context.Context, req *permissionv1.ListFindingsRequest) (*permissionv1.ListFindingsResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListFindings", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Finding, []byte, error) {
		return s.Inspections.ListFindings(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListFindingsResponse{Findings: found, NextPageToken: next}, nil
}

func (s inspections) RemedyFinding(ctx context.Context, req *permissionv1.RemedyFindingRequest) (*permissionv1.Finding, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Finding, error) {
		return s.Inspections.Remedy(tx, inspection.Said{Name: req.GetName(), Etag: req.GetEtag(), By: authn.CallerOf(ctx).Name, Text: req.GetRemedy()})
	})
}

func (s inspections) VerifyFinding(ctx context.Context, req *permissionv1.VerifyFindingRequest) (*permissionv1.Finding, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Finding, error) {
		said := inspection.Said{Name: req.GetName(), Etag: req.GetEtag(), By: authn.CallerOf(ctx).Name, Text: req.GetVerification()}
		return s.Inspections.Verify(tx, said, req.GetReopen())
	})
}
