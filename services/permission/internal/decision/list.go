package decision

import (
	"slices"
	"strings"
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
	Subject, Permission, Resource string
	// Scope, when not empty, keeps what was asked of that resource and of all
	// below it.
	Scope string
	// Allowed, when not nil, keeps the answers that are like it.
	Allowed *bool
	// MessageType, when not empty, keeps those about messages of the type.
	MessageType string
	// Filtering, when not nil, keeps the questions that are like it.
	Filtering *bool
	// From and Until keep the entries of From <= time < Until; zero is no
	// bound.
	From, Until time.Time
}

// about are the fields that say what was asked, and how it was answered.
var about = []filter.Field{
	{Name: "permission", Type: filter.String},
	{Name: "resource", Type: filter.String},
	{Name: "scope", Type: filter.String},
	{Name: "allowed", Type: filter.Bool},
	{Name: "message_type", Type: filter.String},
	{Name: "filtering", Type: filter.Bool},
}

// ParseFilter reads the filter of ListDecisions. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string) (Filter, error) {
	return parse(text, append(slices.Clone(about),
		filter.Field{Name: "subject", Type: filter.String},
		filter.Field{Name: "time", Type: filter.Time}))
}

// ParseAbout reads a filter that says neither of whom nor when. The error is
// Invalid (FILTER_INVALID).
func ParseAbout(text string) (Filter, error) { return parse(text, about) }

func parse(text string, fields []filter.Field) (Filter, error) {
	terms, err := filter.Parse(text, fields...)
	if err != nil {
		return Filter{}, err
	}
	var f Filter
	for _, t := range terms {
		switch t.Field {
		case "subject":
			f.Subject = t.Text
		case "permission":
			f.Permission = t.Text
		case "resource":
			f.Resource = t.Text
		case "scope":
			f.Scope = t.Text
		case "allowed":
			f.Allowed = &t.Bool
		case "message_type":
			f.MessageType = t.Text
		case "filtering":
			f.Filtering = &t.Bool
		}
	}
	f.From, f.Until = terms.TimeRange("time")
	return f, nil
}

// matches reports whether the filter keeps an entry that its plan has found.
func (f Filter) matches(d *permissionv1.Decision) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return (f.Allowed == nil || *f.Allowed == d.GetAllowed()) && (f.Filtering == nil || *f.Filtering == d.GetFiltering()) &&
		is(f.Permission, d.GetPermission()) && is(f.Resource, d.GetResource()) && is(f.MessageType, d.GetMessageType()) &&
		(is(f.Scope, d.GetResource()) || strings.HasPrefix(d.GetResource(), f.Scope+"/"))
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
		matches := f.matches(rec.Value)
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

// keeps reports whether an entry is like what no index finds.
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
