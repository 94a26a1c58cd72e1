// Package inspection holds checks of somebody's work by random samples, what
// they found, and what became of it.
//
//	PLANNED --draw--> DRAWN --(recordVerdict, item by item)--> close --> CLOSED
//	   |
//	   +--delete--> gone
//
// and of a finding:
//
//	OPEN --remedy--> REMEDIED --verify--> VERIFIED
//	  ^                  |
//	  +-----reopen-------+
//
// The inspector is not the inspected, and who verifies a remedy is neither the
// inspected nor who remedied.
//
// Nobody can choose what is looked at: the seed is made when the inspection is
// planned, and its hash shown at once; the population is fixed when the sample
// is drawn, and then the seed shown too. See Lot.
//
// The decision log forgets what it holds, and a verdict should not hang in the
// air: so a sampled decision is kept with the sample.
package inspection

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/subject"
)

// Forms of names.
const (
	Name    = resource.Pattern("organizations/{organization}/inspections/{inspection}")
	Finding = resource.Pattern("organizations/{organization}/inspections/{inspection}/findings/{finding}")
)

const (
	planned = permissionv1.Inspection_STATE_PLANNED
	drawn   = permissionv1.Inspection_STATE_DRAWN
	closed  = permissionv1.Inspection_STATE_CLOSED

	unchecked     = permissionv1.SampledItem_VERDICT_UNSPECIFIED
	conforming    = permissionv1.SampledItem_VERDICT_CONFORMING
	nonconforming = permissionv1.SampledItem_VERDICT_NONCONFORMING
)

// Indexes.
const (
	byTime      = "time"      // organisation, create time
	byInspected = "inspected" // organisation, inspected, create time
	byHome      = "home"      // organisation, of findings
)

// Inspections are the inspections of all organisations. It is safe for
// concurrent use.
//
//	inspections       organisation, id -> Inspection
//	inspection_seeds  name -> InspectionSeed, until the draw
//	findings          inspection, id -> Finding
type Inspections struct {
	inspections *shelf.Shelf[*permissionv1.Inspection]
	findings    *shelf.Shelf[*permissionv1.Finding]
	seeds       *kv.Table[*storev1.InspectionSeed]
}

// New returns the inspections that the store holds.
func New() *Inspections {
	type inspection = *permissionv1.Inspection
	type finding = *permissionv1.Finding
	return &Inspections{
		inspections: shelf.New(shelf.Config[inspection]{
			Noun: "inspection", Table: "inspections", Names: []resource.Pattern{Name},
			Indexes: []kv.Index[inspection]{{
				Name: byTime, Keys: func(v inspection) []kv.Key {
					return []kv.Key{{kv.String(resource.Parent(v.GetName())), kv.Time(v.GetCreateTime().AsTime())}}
				},
			}, {
				Name: byInspected, Keys: func(v inspection) []kv.Key {
					return []kv.Key{{kv.String(resource.Parent(v.GetName())), kv.String(v.GetInspected()), kv.Time(v.GetCreateTime().AsTime())}}
				},
			}},
			Data: func(v inspection) proto.Message {
				return &permissionv1.InspectionChanged{Inspected: v.GetInspected(), State: strings.TrimPrefix(v.GetState().String(), "STATE_")}
			},
		}),
		findings: shelf.New(shelf.Config[finding]{
			Noun: "finding", Table: "findings", Names: []resource.Pattern{Finding},
			Indexes: []kv.Index[finding]{{
				Name: byHome, Keys: func(v finding) []kv.Key {
					return []kv.Key{{kv.String(resource.Parent(resource.Parent(v.GetName())))}}
				},
			}},
			Data: func(v finding) proto.Message {
				return &permissionv1.FindingChanged{State: strings.TrimPrefix(v.GetState().String(), "STATE_")}
			},
		}),
		seeds: kv.NewTable(kv.TableConfig[*storev1.InspectionSeed]{
			Name: "inspection_seeds", Key: func(s *storev1.InspectionSeed) kv.Key { return kv.Key{kv.String(s.GetInspection())} },
		}),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Inspections) Tables() []string {
	return append(append(s.inspections.Tables(), s.findings.Tables()...), s.seeds.Tables()...)
}

// Plan stores a new inspection with the seed of its draw, which is random and
// known to nobody. Reasons: INSPECTION_EXISTS, SUBJECT_INVALID,
// INSPECTOR_IS_INSPECTED, INSPECTION_PERIOD_INVALID, FILTER_INVALID.
func (s *Inspections) Plan(tx *change.Tx, parent, id, creator string, seed []byte, in *permissionv1.Inspection) (*permissionv1.Inspection, error) {
	return s.inspections.Create(tx, parent, id, in, func(v *permissionv1.Inspection) error {
		if err := checkPlan(parent, v); err != nil {
			return err
		}
		v.State, v.Creator, v.SeedHash = planned, creator, hashOf(seed)
		_, err := s.seeds.Put(tx, &storev1.InspectionSeed{Inspection: v.GetName(), Seed: seed}, "")
		return err
	})
}

func checkPlan(parent string, v *permissionv1.Inspection) error {
	decisions := v.GetPopulation() == permissionv1.Inspection_POPULATION_DECISIONS
	for _, f := range [][2]string{{"inspection.inspected", v.GetInspected()}, {"inspection.inspector", v.GetInspector()}} {
		if everybody := f[1] == "" && f[0] == "inspection.inspected" && decisions; everybody {
			continue
		}
		if !subject.IsAccount(f[1]) || subject.OrganizationOf(f[1]) != parent {
			return errs.InvalidField(f[0], "SUBJECT_INVALID", "name an account of this organisation")
		}
	}
	if v.GetInspector() == v.GetInspected() {
		return errs.InvalidField("inspection.inspector", "INSPECTOR_IS_INSPECTED", "nobody inspects their own work; name somebody else")
	}
	if !v.GetPeriodStartTime().AsTime().Before(v.GetPeriodEndTime().AsTime()) {
		return errs.InvalidField("inspection.period_end_time", "INSPECTION_PERIOD_INVALID", "send an end behind the start")
	}
	if !decisions && v.GetFilter() != "" {
		return errs.InvalidField("inspection.filter", "FILTER_INVALID", "only a population of decisions can be narrowed by a filter")
	}
	_, err := decision.ParseAbout(v.GetFilter())
	return err
}

// Selects returns what the population of an inspection of decisions is in the
// log, for all but the rule that nobody's own work is drawn from; see Counts.
func Selects(v *permissionv1.Inspection) (decision.Filter, error) {
	f, err := decision.ParseAbout(v.GetFilter())
	f.Subject, f.From, f.Until = v.GetInspected(), v.GetPeriodStartTime().AsTime(), v.GetPeriodEndTime().AsTime()
	return f, err
}

// Counts reports whether a decision belongs to the population: nobody inspects
// their own work.
func Counts(v *permissionv1.Inspection, d *permissionv1.Decision) bool {
	return d.GetSubject() != v.GetInspector()
}

// Get returns an inspection. Reasons: INSPECTION_NOT_FOUND.
func (s *Inspections) Get(r kv.Reader, name string) (*permissionv1.Inspection, error) {
	return s.inspections.Get(r, name)
}

// List returns a page of an organisation's inspections by name, or of those of
// one account, newest first.
func (s *Inspections) List(r kv.Reader, parent, inspected string, after []byte, limit int) ([]*permissionv1.Inspection, []byte, error) {
	q := shelf.Below(parent)
	if inspected != "" {
		q.Index, q.Prefix, q.Reverse = byInspected, q.Prefix.With(kv.String(inspected)), true
	}
	return s.inspections.List(r, shelf.Page(q, after, limit))
}

// Delete deletes an inspection that is only planned. Reasons:
// INSPECTION_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE.
func (s *Inspections) Delete(tx *change.Tx, name, etag string) (*permissionv1.Inspection, error) {
	return s.inspections.Delete(tx, name, etag, func(v *permissionv1.Inspection) error {
		if v.GetState() != planned {
			return illegal("an inspection", v.GetState().String())
		}
		_, err := s.seeds.Delete(tx, kv.Key{kv.String(name)}, "")
		return err
	})
}

// Verdict is what an inspector says of a sampled item.
type Verdict struct {
	Name, Etag  string
	By          string
	Item        string
	Conforms    bool
	Description string
}

// Record records a verdict; an item that does not conform becomes a finding.
// Reasons: INSPECTION_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE, INSPECTOR_ONLY,
// ITEM_NOT_SAMPLED, ITEM_CHECKED.
func (s *Inspections) Record(tx *change.Tx, in Verdict) (*permissionv1.Inspection, error) {
	return s.inspections.Move(tx, in.Name, in.Etag, "checked", func(v *permissionv1.Inspection) error {
		if in.By != v.GetInspector() {
			return errs.New(errs.Denied, "INSPECTOR_ONLY", "only the inspector says whether an item conforms")
		}
		if v.GetState() != drawn {
			return illegal("an inspection", v.GetState().String())
		}
		i := slices.IndexFunc(v.GetSample(), func(x *permissionv1.SampledItem) bool { return x.GetItem() == in.Item })
		if i < 0 {
			return errs.InvalidField("item", "ITEM_NOT_SAMPLED", "name an item of the sample")
		}
		if v.Sample[i].GetVerdict() != unchecked {
			return errs.New(errs.Precondition, "ITEM_CHECKED", "the item is checked already")
		}
		if in.Conforms {
			v.Sample[i].Verdict = conforming
			return nil
		}
		if in.Description == "" {
			return errs.InvalidField("description", "REQUIRED", "say what does not conform")
		}
		f, err := s.findings.Create(tx, in.Name, "", &permissionv1.Finding{}, func(f *permissionv1.Finding) error {
			f.Item, f.Description, f.State = in.Item, in.Description, permissionv1.Finding_STATE_OPEN
			return nil
		})
		v.Sample[i].Verdict, v.Sample[i].Finding = nonconforming, f.GetName()
		return err
	})
}

// Close closes an inspection. Reasons: INSPECTION_NOT_FOUND, ETAG_MISMATCH,
// ILLEGAL_STATE, ITEMS_UNCHECKED.
func (s *Inspections) Close(tx *change.Tx, name, etag string) (*permissionv1.Inspection, error) {
	return s.inspections.Move(tx, name, etag, "closed", func(v *permissionv1.Inspection) error {
		if v.GetState() != drawn {
			return illegal("an inspection", v.GetState().String())
		}
		// What is left out may be what would have been found.
		if slices.ContainsFunc(v.GetSample(), func(x *permissionv1.SampledItem) bool { return x.GetVerdict() == unchecked }) {
			return errs.New(errs.Precondition, "ITEMS_UNCHECKED", "items of the sample are not checked yet; all of them count")
		}
		v.State = closed
		return nil
	})
}

// Begin returns an inspection and, while nothing is drawn, a lot that is to be
// told of the population; nil when it is too late. Reasons:
// INSPECTION_NOT_FOUND.
func (s *Inspections) Begin(r kv.Reader, name string) (*permissionv1.Inspection, *Lot, error) {
	v, err := s.inspections.Get(r, name)
	if err != nil || v.GetState() != planned {
		return v, nil, err
	}
	seed, found, err := s.seeds.Find(r, kv.Key{kv.String(name)})
	if err != nil || !found {
		return v, nil, err
	}
	l := newLot(seed.Value.GetSeed(), int(v.GetSampleSize()))
	l.of = v
	return v, l, nil
}

// Draw keeps the sample that the lot has drawn; nil is what Begin returns.
// Reasons: INSPECTION_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE,
// POPULATION_EMPTY, POPULATION_LIMIT.
func (s *Inspections) Draw(tx *change.Tx, name, etag string, lot *Lot) (*permissionv1.Inspection, error) {
	if etag == "" && lot != nil {
		etag = lot.of.GetEtag() // another of the same name has another seed
	}
	return s.inspections.Move(tx, name, etag, "drawn", func(v *permissionv1.Inspection) error {
		if v.GetState() != planned || lot == nil {
			return illegal("an inspection", v.GetState().String())
		}
		size, hash := lot.population()
		switch {
		case size == 0:
			return errs.New(errs.Precondition, "POPULATION_EMPTY", "there is nothing to draw from in the period")
		case lot.Full():
			return errs.New(errs.Exhausted, "POPULATION_LIMIT", "a sample is drawn from at most 100,000 items; take a shorter period, or a filter that leaves less")
		}
		seed, err := s.seeds.Delete(tx, kv.Key{kv.String(name)}, "")
		if err != nil {
			return err
		}
		v.State, v.DrawTime, v.Seed = drawn, timestamppb.New(tx.Time), hex(seed.Value.GetSeed())
		v.PopulationSize, v.PopulationHash, v.Sample = int32(size), hash, lot.drawn()
		return nil
	})
}

func illegal(what, state string) error {
	state = strings.TrimPrefix(state, "STATE_")
	return errs.New(errs.Precondition, "ILLEGAL_STATE", what+" in state "+state+" cannot be moved so", errs.Meta("state", state))
}
