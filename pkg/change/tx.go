package change

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// Tx is the transaction of a change. Its closure may run more than once; Time
// and NewID give the same on each run. It must not be used after the closure
// has returned, nor by several goroutines.
type Tx struct {
	kv.Tx
	// Time is when the change is made, in UTC: take it for every timestamp, so
	// that resource, event and audit entry agree.
	Time time.Time

	entry       *auditv1.AuditEntry // what all entries of the change share
	traceparent string

	ids       []string // given out on all runs so far
	given     int      // how many of them on this run
	changes   []Change
	unchanged bool
}

// Change is one resource that was changed: it becomes an audit entry and, with
// a Type, an event.
type Change struct {
	// Resource is the name of what changed. Its organisation is that of the
	// entry and the event.
	Resource string
	// Type is that of the event, as in "guildhall.groupchat.group.created.v1".
	// Empty makes no event: for what no consumer may hear of.
	Type string
	// Data is the event's; nil is none. It has no set field that is marked as
	// personal or secret.
	Data proto.Message
	// ChangedFields are names of fields, never values; see ChangedFields.
	ChangedFields []string
	// OnBehalfOf is the account for which the caller acts, when it acts for
	// another.
	OnBehalfOf string
	// Covered makes an event and no audit entry: the entry of another change
	// speaks for this one, as that of an import's batch for each resource in
	// it, or nobody did it, as when a session's time is over. It needs a Type.
	Covered bool
}

// NewID returns a new UUIDv7 for a resource; the n-th of a change is the same
// on every run of its closure.
func (tx *Tx) NewID() string {
	if tx.given == len(tx.ids) {
		tx.ids = append(tx.ids, resource.NewID())
	}
	tx.given++
	return tx.ids[tx.given-1]
}

// IDOr returns the id that the client chose for a new resource, or a new one
// when chosen is empty. One that is no id is Invalid (RESOURCE_NAME_INVALID)
// on the given field of the request (AIP-133).
func (tx *Tx) IDOr(field, chosen string) (string, error) {
	if chosen == "" {
		return tx.NewID(), nil
	}
	return chosen, resource.CheckID(field, chosen)
}

// Record notes a change. A closure may record several; they take effect, in
// this order, when it returns nil.
func (tx *Tx) Record(c Change) { tx.changes = append(tx.changes, c) }

// Unchanged says that there is nothing to record, since all is as it was to
// be: a delete of what is deleted, an update to the same.
func (tx *Tx) Unchanged() { tx.unchanged = true }

// begin readies tx for a run of its closure.
func (tx *Tx) begin(inner kv.Tx) {
	tx.Tx, tx.given, tx.changes, tx.unchanged = inner, 0, nil, false
}

// record writes what the closure recorded, and returns whether there are
// events.
func (tx *Tx) record(j *Journal) (events bool, err error) {
	if len(tx.changes) == 0 && !tx.unchanged {
		return false, internal("%s recorded no change and did not say Unchanged", tx.entry.GetAction())
	}
	for _, c := range tx.changes {
		if c.Resource == "" {
			return false, internal("%s recorded a change of no resource", tx.entry.GetAction())
		}
		if c.Covered && c.Type == "" {
			return false, internal("%s recorded a covered change without an event", tx.entry.GetAction())
		}
		if !c.Covered {
			if err := tx.recordEntry(j, c); err != nil {
				return false, err
			}
		}
		if c.Type == "" {
			continue
		}
		if err := tx.recordEvent(j, c); err != nil {
			return false, err
		}
		events = true
	}
	return events, nil
}

func (tx *Tx) recordEntry(j *Journal, c Change) error {
	e := proto.CloneOf(tx.entry)
	e.Time = timestamppb.New(tx.Time)
	e.Resource = c.Resource
	e.OnBehalfOf = c.OnBehalfOf
	e.ChangedFields = c.ChangedFields
	e.Outcome = auditv1.AuditEntry_OUTCOME_OK
	return j.cfg.Audit.Append(tx.Tx, e)
}

func (tx *Tx) recordEvent(j *Journal, c Change) error {
	e := &eventv1.Event{
		Type:        c.Type,
		Subject:     c.Resource,
		Time:        timestamppb.New(tx.Time),
		Traceparent: tx.traceparent,
	}
	if org, ok := resource.Organization(c.Resource); ok {
		e.Organization = "organizations/" + org
	}
	if c.Data != nil {
		data, err := anypb.New(c.Data)
		if err != nil {
			return internal("the data of an event of type %s: %w", c.Type, err)
		}
		e.Data = data
	}
	if err := j.cfg.Feed.Append(tx.Tx, e); err != nil || j.cfg.Observe == nil {
		return err
	}
	return j.cfg.Observe(tx.Tx, e)
}

// traceparentOf returns the W3C trace context of a call; "" when there is none.
func traceparentOf(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}
