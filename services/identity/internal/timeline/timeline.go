// Package timeline keeps what happened to customers, one event after the other.
//
// It is an index over resources of all services, and not a copy of them: an event
// says what happened, when, and where the rest can be read. It stays when what it is
// about is gone, and goes with its customer. An event has no states; the same one
// told twice is one, since its name is made of its source's id of it.
//
//	     it happened (event_time)       the suite was told (record_time)
//	              │                                │
//	──────────────┴────────────────────────────────┴──────────▶
//	events are in the order of the first; an order of last year that comes
//	in today stands in last year
//
// What an event is of which kind package chronicle says, and who may see which the
// handlers (api/timelines).
package timeline

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// forgetChunk is how many events one transaction removes.
const forgetChunk = 200

// maxExamined is how many events are looked at in vain for a page.
const maxExamined = 500

// The fields of a filter.
const (
	fieldKind   = "kind"
	fieldSource = "source"
	fieldTime   = "event_time"
)

// The indexes of events.
const (
	byTime = "time" // customer and event time
	byKind = "kind" // customer, kind and event time
)

// Book keeps the events:
//
//	timeline_events   (customer, name)  -> TimelineEvent
//	timeline_sources  (source)          -> TimelineSource
//
// It is safe for concurrent use.
type Book struct {
	events  *kv.Table[*identityv1.TimelineEvent]
	sources *kv.Table[*storev1.TimelineSource]
}

// New returns a book.
func New() *Book {
	return &Book{
		events: kv.NewTable(kv.TableConfig[*identityv1.TimelineEvent]{
			Name: "timeline_events",
			Key:  func(e *identityv1.TimelineEvent) kv.Key { return key(e.GetName()) },
			Indexes: []kv.Index[*identityv1.TimelineEvent]{
				{Name: byTime, Keys: func(e *identityv1.TimelineEvent) []kv.Key {
					return []kv.Key{{kv.String(resource.Parent(e.GetName())), kv.Time(e.GetEventTime().AsTime())}}
				}},
				{Name: byKind, Keys: func(e *identityv1.TimelineEvent) []kv.Key {
					return []kv.Key{{kv.String(resource.Parent(e.GetName())), kv.String(kindName(e.GetKind())), kv.Time(e.GetEventTime().AsTime())}}
				}},
			},
		}),
		sources: kv.NewTable(kv.TableConfig[*storev1.TimelineSource]{
			Name: "timeline_sources",
			Key:  func(s *storev1.TimelineSource) kv.Key { return kv.Key{kv.String(s.GetSource())} },
		}),
	}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return slices.Concat(b.events.Tables(), b.sources.Tables()) }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// kindName returns a kind as filters spell it: "ORDER".
func kindName(k identityv1.TimelineEvent_Kind) string {
	return strings.TrimPrefix(k.String(), "KIND_")
}

// Add keeps an event of a customer who is there. One that is kept stays as it is.
func (b *Book) Add(tx kv.Tx, e *identityv1.TimelineEvent) error {
	old, found, err := b.events.Find(tx, key(e.GetName()))
	if err != nil || found && proto.Equal(old.Value, e) {
		return err
	}
	_, err = b.events.Put(tx, e, "")
	return err
}

// ParseFilter reads the filter of ListTimelineEvents. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string, sources []string) (filter.Terms, error) {
	return filter.Parse(text,
		filter.Field{Name: fieldKind, Type: filter.Enum, Values: filter.EnumNames(identityv1.TimelineEvent_Kind_name, "KIND_")},
		filter.Field{Name: fieldSource, Type: filter.Enum, Values: sources},
		filter.Field{Name: fieldTime, Type: filter.Time})
}

// List returns a page of a customer's events, those that happened last first, and
// where to go on behind it, nil at the end. A page may have less than the limit and
// more behind it.
func (b *Book) List(r kv.Reader, customer string, terms filter.Terms, after []byte, limit int) ([]*identityv1.TimelineEvent, []byte, error) {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(customer)}, Reverse: true, After: after, Limit: limit}
	if t, ok := terms.Lookup(fieldKind); ok {
		q.Index, q.Prefix = byKind, q.Prefix.With(kv.String(t.Text))
	}
	from, until := terms.TimeRange(fieldTime)
	if !from.IsZero() {
		q.From = kv.Key{kv.Time(from)}
	}
	if !until.IsZero() {
		q.Until = kv.Key{kv.Time(until)}
	}
	source, some := terms.Lookup(fieldSource)
	page, err := b.events.Select(r, q, maxExamined, func(e *identityv1.TimelineEvent) bool {
		return !some || e.GetSource() == source.Text
	})
	return page.Values(), page.Next, err
}

// Of returns a page of a customer's events in the order of their names, and where to
// go on behind it, nil at the end.
func (b *Book) Of(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.TimelineEvent, []byte, error) {
	page, err := b.events.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, After: after, Limit: limit})
	return page.Values(), page.Next, err
}

// States returns the last state of each resource that the last events of a kind are
// about, at most so many events.
func (b *Book) States(r kv.Reader, customer string, kind identityv1.TimelineEvent_Kind, events int) (map[string]string, error) {
	states := make(map[string]string)
	for rec, err := range b.events.Scan(r, kv.Query{
		Index: byKind, Prefix: kv.Key{kv.String(customer), kv.String(kindName(kind))}, Reverse: true, Limit: events,
	}) {
		if err != nil {
			return nil, err
		}
		if _, known := states[rec.Value.GetResource()]; !known {
			states[rec.Value.GetResource()] = rec.Value.GetState()
		}
	}
	return states, nil
}

// Forget removes events of a customer who is gone for good, and reports whether there
// are more, for another transaction. Of any other account there are none.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	return b.events.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: forgetChunk})
}

// Begin keeps since when all that a source tells comes in, for the first time, or anew
// when some of what it told was missed.
func (b *Book) Begin(tx kv.Tx, source string, since time.Time) error {
	_, err := b.sources.Put(tx, &storev1.TimelineSource{Source: source, CompleteSince: timestamppb.New(since)}, "")
	return err
}

// Begun returns since when all that a source tells comes in; nil when it has never told
// anything.
func (b *Book) Begun(r kv.Reader, source string) (*timestamppb.Timestamp, error) {
	rec, _, err := b.sources.Find(r, kv.Key{kv.String(source)})
	return rec.Value.GetCompleteSince(), err
}
