package decision

import (
	"time"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// maxScanned bounds what one page reads when a filter leaves most of it out;
// the page is then a short one with a next.
const maxScanned = 2000

// Filter selects entries of one organisation. The zero Filter is all.
type Filter struct {
	Subject string
	// Allowed, when not nil, keeps the answers that are like it.
	Allowed *bool
	// From and Until keep the entries of From <= time < Until; zero is no
	// bound.
	From, Until time.Time
}

// ParseFilter reads the filter of ListDecisions. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string) (Filter, error) {
	terms, err := filter.Parse(text,
		filter.Field{Name: "subject", Type: filter.String},
		filter.Field{Name: "allowed", Type: filter.Bool},
		filter.Field{Name: "time", Type: filter.Time})
	if err != nil {
		return Filter{}, err
	}
	var f Filter
	for _, t := range terms {
		switch t.Field {
		case "subject":
			f.Subject = t.Text
		case "allowed":
			f.Allowed = &t.Bool
		}
	}
	f.From, f.Until = terms.TimeRange("time")
	return f, nil
}

// List returns one page of the organisation's entries, newest first. next is
// where to go on, nil at the end.
func (l *Log) List(r kv.Reader, organization string, f Filter, after []byte, limit int) (found []*permissionv1.Decision, next []byte, err error) {
	var last []byte
	scanned := 0
	for rec, err := range l.entries.Scan(r, f.plan(organization, after)) {
		if err != nil {
			return nil, nil, err
		}
		matches := f.Allowed == nil || rec.Value.GetAllowed() == *f.Allowed
		if matches && len(found) == limit || scanned == maxScanned {
			return found, last, nil
		}
		if matches {
			found = append(found, rec.Value)
		}
		last = rec.Position
		scanned++
	}
	return found, nil, nil
}

func (f Filter) plan(organization string, after []byte) kv.Query {
	q := kv.Query{Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after}
	if f.Subject != "" {
		q.Index, q.Prefix = bySubject, q.Prefix.With(kv.String(f.Subject))
	}
	if !f.From.IsZero() {
		q.From = kv.Key{kv.Time(f.From)}
	}
	if !f.Until.IsZero() {
		q.Until = kv.Key{kv.Time(f.Until)}
	}
	return q
}
