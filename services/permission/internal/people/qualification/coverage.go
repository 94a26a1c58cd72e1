package qualification

import (
	"iter"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/subject"
)

type line = shelf.Line[*permissionv1.CoverageLine]

// Coverage says what to report on.
type Coverage struct {
	// Requirement is the name of one.
	Requirement string
	// Now is when, and a certificate that ends before Soon is EXPIRING.
	Now, Soon time.Time
	// GapsOnly leaves out whose certificate is VALID.
	GapsOnly bool
}

// Report returns a page of who holds the role of a requirement and how it
// stands with the certificate. Reasons: CERTIFICATION_REQUIREMENT_NOT_FOUND.
//
// It reads the records of each account on the page.
func (q *Qualifications) Report(r kv.Reader, c Coverage, after []byte, limit int) ([]*permissionv1.CoverageLine, []byte, error) {
	v, err := q.requirements.Get(r, c.Requirement)
	if err != nil {
		return nil, nil, err
	}
	organization := resource.Parent(v.GetName())
	return shelf.Expand(after, limit, func(after []byte) iter.Seq2[kv.Record[*permissionv1.Grant], error] {
		return q.grants.ScanRole(r, organization, v.GetRole(), after)
	}, func(g *permissionv1.Grant, behind string) iter.Seq2[line, error] {
		return q.holders(r, c, v, g, behind)
	})
}

// holders yields a line for each account that holds the role by the grant.
func (q *Qualifications) holders(r kv.Reader, c Coverage, v *permissionv1.CertificationRequirement, g *permissionv1.Grant, behind string) iter.Seq2[line, error] {
	ended := g.GetExpireTime() != nil && c.Now.Unix() >= g.GetExpireTime().GetSeconds()
	return func(yield func(line, error) bool) {
		if ended || grant.Denies(g) || !Applies(v.GetResource(), g.GetResource()) {
			return
		}
		accounts, err := q.accounts(r, g)
		if err != nil {
			yield(line{}, err)
			return
		}
		for _, account := range accounts {
			if account <= behind {
				continue
			}
			shown, err := q.line(r, c, v, g, account)
			if err != nil {
				yield(line{}, err)
				return
			}
			covered := shown.GetState() == permissionv1.CoverageLine_STATE_VALID
			if !yield(line{Key: account, Value: shown, Skip: c.GapsOnly && covered}, nil) {
				return
			}
		}
	}
}

// accounts returns the accounts that a grant reaches, in the order of their
// names; the subject itself when they are not known here.
func (q *Qualifications) accounts(r kv.Reader, g *permissionv1.Grant) (names []string, err error) {
	if !isSet(g.GetSubject()) {
		return []string{g.GetSubject()}, nil
	}
	for name, err := range q.subjects.Members(r, g.GetSubject()) {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// isSet reports whether the name is that of a set of accounts that are known
// here.
func isSet(name string) bool { return subject.IsTeam(name) || subject.IsSegment(name) }

func (q *Qualifications) line(r kv.Reader, c Coverage, v *permissionv1.CertificationRequirement, g *permissionv1.Grant, account string) (*permissionv1.CoverageLine, error) {
	out := &permissionv1.CoverageLine{Account: account, Grant: g.GetName(), Resource: g.GetResource()}
	if isSet(g.GetSubject()) {
		out.Team = g.GetSubject()
	}
	if !subject.IsAccount(account) {
		out.State = permissionv1.CoverageLine_STATE_NOT_LISTED
		return out, nil
	}
	best, err := q.best(r, account, v.GetCourse())
	if err != nil {
		return nil, err
	}
	out.TrainingRecord, out.ExpireTime = best.GetName(), best.GetExpireTime()
	switch ends := best.GetExpireTime().AsTime(); {
	case best == nil:
		out.State = permissionv1.CoverageLine_STATE_MISSING
	case !c.Now.Before(ends):
		out.State = permissionv1.CoverageLine_STATE_EXPIRED
	case ends.Before(c.Soon):
		out.State = permissionv1.CoverageLine_STATE_EXPIRING
	default:
		out.State = permissionv1.CoverageLine_STATE_VALID
	}
	return out, nil
}

// best returns the record of the course that is, or was, a certificate for
// longest; nil when none ever was.
func (q *Qualifications) best(r kv.Reader, account, course string) (best *permissionv1.TrainingRecord, err error) {
	query := kv.Query{Index: byCourse, Prefix: kv.Key{kv.String(account), kv.String(course)}}
	for rec, err := range q.records.Scan(r, query) {
		if err != nil {
			return nil, err
		}
		v := rec.Value
		certifies := v.GetState() == passed || v.GetState() == expired
		if certifies && (best == nil || after(v.GetExpireTime(), best.GetExpireTime())) {
			best = v
		}
	}
	return best, nil
}

func after(a, b *timestamppb.Timestamp) bool { return a.AsTime().After(b.AsTime()) }
