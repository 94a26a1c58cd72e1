package duty

import (
	"time"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Summarize counts the lines of Propose. It reads at most MostRead assignments
// and as many grants, and says when there are more.
func (d *Duties) Summarize(r kv.Reader, now time.Time, organization string) (*permissionv1.SummarizeDutiesResponse, error) {
	sum := &permissionv1.SummarizeDutiesResponse{}
	for rec, err := range d.assignments.Scan(r, assigned(organization, "")) {
		if err != nil {
			return nil, err
		}
		if sum.Truncated = sum.DutyAssignments == MostRead; sum.Truncated {
			break
		}
		sum.DutyAssignments++
		proposals, err := d.Compare(r, now, rec.Value)
		if err != nil {
			return nil, err
		}
		for _, p := range proposals {
			sum.CalledFor++
			if p.GetState() == missing {
				sum.Missing++
			}
		}
	}
	return sum, d.summarizeGrants(r, now, organization, sum)
}

func (d *Duties) summarizeGrants(r kv.Reader, now time.Time, organization string, sum *permissionv1.SummarizeDutiesResponse) error {
	read := 0
	for rec, err := range d.grants.ScanGiven(r, organization, "", nil) {
		if err != nil {
			return err
		}
		if read++; read > MostRead {
			sum.Truncated = true
			return nil
		}
		if !concerns(rec.Value) || !gives(rec.Value, now) {
			continue
		}
		sum.Grants++
		out, err := d.isOutside(r, now, rec.Value)
		if err != nil {
			return err
		}
		if out {
			sum.OutsideDuty++
		}
	}
	return nil
}
