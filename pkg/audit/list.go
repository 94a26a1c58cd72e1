package audit

import (
	"context"
	"time"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// maxScanned bounds what one page reads when a filter leaves most of it out;
// the page is then a short one with a token.
const maxScanned = 2000

// Query selects entries. Only Parent is required.
type Query struct {
	// Parent is "organizations/acme", or Installation.
	Parent string
	// Actor, Resource and Action, when not empty, keep the entries that are
	// equal in all of them.
	Actor, Resource, Action string
	// From and Until keep the entries of From <= time < Until; zero is no bound.
	From, Until time.Time
	// Limit is the most entries to return; zero is page.DefaultSize.
	Limit int
	// After is the Next of the page before.
	After []byte
}

// ParseFilter sets the fields of q that a filter of ListAuditEntries names.
// The error is Invalid (FILTER_INVALID).
func (q *Query) ParseFilter(text string) error {
	terms, err := filter.Parse(text,
		filter.Field{Name: "actor", Type: filter.String},
		filter.Field{Name: "resource", Type: filter.String},
		filter.Field{Name: "action", Type: filter.String},
		filter.Field{Name: "time", Type: filter.Time})
	if err != nil {
		return err
	}
	for _, t := range terms {
		switch t.Field {
		case "actor":
			q.Actor = t.Text
		case "resource":
			q.Resource = t.Text
		case "action":
			q.Action = t.Text
		}
	}
	q.From, q.Until = terms.TimeRange("time")
	return nil
}

// Page is one page of entries, newest first.
type Page struct {
	Entries []*auditv1.AuditEntry
	// Next is what to give to Query.After; nil at the end. It is not for
	// clients to see.
	Next []byte
}

// List returns the entries that q selects, newest first. A page may be short
// and still have a next one.
func (l *Log) List(ctx context.Context, q Query) (Page, error) {
	var p Page
	err := l.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		p, err = l.list(r, q)
		return err
	})
	return p, err
}

func (l *Log) list(r kv.Reader, q Query) (Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = page.DefaultSize
	}
	var p Page
	var last []byte // where the page can go on
	scanned := 0
	for rec, err := range l.entries.Scan(r, q.plan()) {
		if err != nil {
			return Page{}, err
		}
		matches := q.matches(rec.Value)
		if matches && len(p.Entries) == limit || scanned == maxScanned {
			p.Next = last
			return p, nil
		}
		if matches {
			p.Entries = append(p.Entries, rec.Value)
		}
		last = rec.Position
		scanned++
	}
	return p, nil
}

// plan picks the index that leaves the fewest entries to read: a resource has
// fewer than an actor, and an actor than an action.
func (q Query) plan() kv.Query {
	plan := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(q.Parent)}, Reverse: true, After: q.After}
	for _, by := range []struct{ index, value string }{
		{byResource, q.Resource}, {byActor, q.Actor}, {byAction, q.Action},
	} {
		if by.value != "" {
			plan.Index, plan.Prefix = by.index, plan.Prefix.With(kv.String(by.value))
			break
		}
	}
	if !q.From.IsZero() {
		plan.From = kv.Key{kv.Time(q.From)}
	}
	if !q.Until.IsZero() {
		plan.Until = kv.Key{kv.Time(q.Until)}
	}
	return plan
}

func (q Query) matches(e *auditv1.AuditEntry) bool {
	return (q.Actor == "" || e.GetActor() == q.Actor) &&
		(q.Resource == "" || e.GetResource() == q.Resource) &&
		(q.Action == "" || e.GetAction() == q.Action)
}

// exportBatch is how many entries Export reads at once.
const exportBatch = 500

// Export calls send with the entries of from <= time < until, oldest first;
// of one instant, in the order of chain and sequence. A zero time is no bound.
// It reads in batches, so entries of the range that are added meanwhile may
// or may not come. It ends at the first error of send.
func (l *Log) Export(ctx context.Context, parent string, from, until time.Time, send func(*auditv1.AuditEntry) error) error {
	plan := Query{Parent: parent, From: from, Until: until}.plan()
	plan.Reverse, plan.Limit = false, exportBatch
	for {
		var batch kv.Page[*auditv1.AuditEntry]
		err := l.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			batch, err = l.entries.List(r, plan)
			return err
		})
		if err != nil {
			return err
		}
		for _, rec := range batch.Records {
			if err := send(rec.Value); err != nil {
				return err
			}
		}
		if batch.Next == nil {
			return nil
		}
		plan.After = batch.Next
	}
}
