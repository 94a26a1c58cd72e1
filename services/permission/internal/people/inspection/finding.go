package inspection

import (
	"strings"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

const (
	open     = permissionv1.Finding_STATE_OPEN
	remedied = permissionv1.Finding_STATE_REMEDIED
	verified = permissionv1.Finding_STATE_VERIFIED
)

// mostRead is how many inspections Summarize reads.
const mostRead = 1000

// GetFinding returns a finding. Reasons: FINDING_NOT_FOUND.
func (s *Inspections) GetFinding(r kv.Reader, name string) (*permissionv1.Finding, error) {
	return s.findings.Get(r, name)
}

// ListFindings returns a page of the findings of an inspection by name, or of
// all of the organisation with "-" for its last segment.
func (s *Inspections) ListFindings(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.Finding, []byte, error) {
	q := shelf.Below(parent)
	if home, all := strings.CutSuffix(parent, "/inspections/-"); all {
		q = kv.Query{Index: byHome, Prefix: kv.Key{kv.String(home)}}
	}
	return s.findings.List(r, shelf.Page(q, after, limit))
}

// Said is what somebody says of a finding.
type Said struct {
	Name, Etag, By, Text string
}

// Remedy says what was done about a finding. Reasons: FINDING_NOT_FOUND,
// ETAG_MISMATCH, ILLEGAL_STATE.
func (s *Inspections) Remedy(tx *change.Tx, in Said) (*permissionv1.Finding, error) {
	return s.findings.Move(tx, in.Name, in.Etag, "remedied", func(f *permissionv1.Finding) error {
		if f.GetState() != open {
			return illegal("a finding", f.GetState().String())
		}
		f.State, f.Remedy, f.Remedier = remedied, in.Text, in.By
		return nil
	})
}

// Verify confirms that the remedy of a finding holds, or opens it again.
// Reasons: FINDING_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE, VERIFIER_INVOLVED.
func (s *Inspections) Verify(tx *change.Tx, in Said, reopen bool) (*permissionv1.Finding, error) {
	past, to := "verified", verified
	if reopen {
		past, to = "reopened", open
	}
	return s.findings.Move(tx, in.Name, in.Etag, past, func(f *permissionv1.Finding) error {
		if f.GetState() != remedied {
			return illegal("a finding", f.GetState().String())
		}
		of, err := s.inspections.Get(tx, resource.Parent(in.Name))
		if err != nil {
			return err
		}
		if in.By == workOf(of, f.GetItem()) || in.By == f.GetRemedier() {
			return errs.New(errs.Denied, "VERIFIER_INVOLVED", "neither whose work it is, nor who remedied it, verifies the remedy")
		}
		f.State, f.Verifier, f.Verification = to, in.By, in.Text
		return nil
	})
}

// workOf returns whose work an item of the sample is.
func workOf(v *permissionv1.Inspection, item string) string {
	for _, s := range v.GetSample() {
		if s.GetItem() == item && s.GetDecision() != nil {
			return s.GetDecision().GetSubject()
		}
	}
	return v.GetInspected()
}

// Summarize sums up the inspections of an organisation, or of one account.
func (s *Inspections) Summarize(r kv.Reader, organization, inspected string) (*permissionv1.SummarizeInspectionsResponse, error) {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(organization)}, Reverse: true}
	if inspected != "" {
		q.Index, q.Prefix = byInspected, q.Prefix.With(kv.String(inspected))
	}
	sum, read := &permissionv1.SummarizeInspectionsResponse{}, 0
	for rec, err := range s.inspections.Scan(r, q) {
		if err != nil {
			return nil, err
		}
		if sum.Truncated = read == mostRead; sum.Truncated {
			break
		}
		read++
		if rec.Value.GetState() == planned {
			continue
		}
		sum.Inspections++
		for _, item := range rec.Value.GetSample() {
			switch item.GetVerdict() {
			case conforming:
				sum.Checked++
				sum.Conforming++
			case nonconforming:
				sum.Checked++
			}
		}
		if err := s.addFindings(r, rec.Value.GetName(), sum); err != nil {
			return nil, err
		}
	}
	if sum.Checked > 0 {
		rate := float64(sum.Conforming) / float64(sum.Checked)
		low, high := Wilson(int(sum.Conforming), int(sum.Checked))
		sum.Conformance, sum.ConformanceLow, sum.ConformanceHigh = &rate, &low, &high
	}
	return sum, nil
}

func (s *Inspections) addFindings(r kv.Reader, inspection string, sum *permissionv1.SummarizeInspectionsResponse) error {
	for rec, err := range s.findings.Scan(r, shelf.Below(inspection)) {
		if err != nil {
			return err
		}
		switch rec.Value.GetState() {
		case open:
			sum.FindingsOpen++
		case remedied:
			sum.FindingsRemedied++
		case verified:
			sum.FindingsVerified++
		}
	}
	return nil
}
