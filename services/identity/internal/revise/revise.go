// Package revise makes the change of a standard update method (AIP-134) where
// nothing else hangs on it: the masked fields of one stored resource.
//
// A resource whose change moves others, as that of an account does, is changed by
// its own centre.
package revise

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
)

// Resource is a resource with a name, an etag and an update_time.
type Resource interface {
	proto.Message
	GetName() string
	GetEtag() string
	GetUpdateTime() *timestamppb.Timestamp
}

// Rules say what a revision may do.
type Rules[T Resource] struct {
	// Fields are those that callers may change.
	Fields []string
	// Check refuses what the resource would become; nil refuses nothing.
	Check func(T) error
	// Event is the type of the event.
	Event string
}

// Update sets the masked fields of the stored resource with asked's key to those
// of asked, and its update_time, and records it if that changed anything. Errors
// are NotFound, Conflict (ETAG_MISMATCH), Invalid for a mask of other fields, and
// those of the check.
func Update[T Resource](tx *change.Tx, t *kv.Table[T], asked T, mask *fieldmaskpb.FieldMask, rules Rules[T]) (kv.Record[T], error) {
	var none kv.Record[T]
	paths, err := fieldmask.Paths(mask, asked, rules.Fields...)
	if err != nil {
		return none, err
	}
	old, err := t.Get(tx, t.KeyOf(asked))
	if err != nil {
		return none, err
	}
	if err := old.CheckEtag(asked.GetEtag()); err != nil {
		return none, err
	}
	now := proto.CloneOf(old.Value)
	fieldmask.Apply(now, asked, paths)
	if rules.Check != nil {
		if err := rules.Check(now); err != nil {
			return none, err
		}
	}
	changed := change.ChangedFields(old.Value, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return old, nil
	}
	set(now, "update_time", protoreflect.ValueOfMessage(timestamppb.New(tx.Time).ProtoReflect()))
	rec, err := t.Update(tx, now, "")
	if err != nil {
		return none, err
	}
	tx.Record(change.Change{Resource: now.GetName(), Type: rules.Event, ChangedFields: changed})
	return rec, nil
}

// View returns the resource of a record, with its etag; nil of none.
func View[T Resource](rec kv.Record[T]) T {
	var none T
	if !rec.Found() {
		return none
	}
	v := proto.CloneOf(rec.Value)
	set(v, "etag", protoreflect.ValueOfString(rec.Etag))
	return v
}

func set(m proto.Message, field protoreflect.Name, v protoreflect.Value) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(field), v)
}

// Views returns the resources of a page and where to go on behind it.
func Views[T Resource](page kv.Page[T], err error) ([]T, []byte, error) {
	out := make([]T, len(page.Records))
	for i, rec := range page.Records {
		out[i] = View(rec)
	}
	return out, page.Next, err
}
