// Package revise makes the changes of the standard methods (AIP-133 to 135): of
// one stored resource, with its times, its etag and the event that tells of it.
//
// What a resource means it does not know: its centre says which fields callers
// may set, refuses, and makes what hangs on them. A resource that is changed in
// other ways too, as an account is, is changed by its own centre.
package revise

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
)

// Resource is a resource with a name, an etag, a create_time and an update_time.
type Resource interface {
	Singleton
	GetCreateTime() *timestamppb.Timestamp
}

// Tagged is a resource with an etag.
type Tagged interface {
	proto.Message
	GetEtag() string
}

// Singleton is a resource with a name, an etag and an update_time. One that has no
// create_time is there from the start (AIP-156).
type Singleton interface {
	Tagged
	GetName() string
	GetUpdateTime() *timestamppb.Timestamp
}

// Rules say what may become of the resources of one kind.
type Rules[T Singleton] struct {
	// Event is what the types of events begin with, as in "guildhall.identity.tag";
	// ".created.v1" and so on follow.
	Event string
	// Data is what events carry of a resource; nil is nothing.
	Data func(T) proto.Message
	// Fields are those that callers may change, Fixed those that they choose when
	// they make the resource, and never again.
	Fields, Fixed []string
	// Covered makes events and no audit entries; see change.Change.
	Covered bool
	// Follow refuses what a resource would become, or completes it and makes what
	// hangs on it, before it is stored; old is nil of a new one. A nil Follow does
	// nothing.
	Follow func(old, now T) error
}

// Create stores a resource with the name and the caller's fields of asked, and
// records it. Errors are Exists, and those of Follow.
func Create[T Resource](tx *change.Tx, t *kv.Table[T], asked T, rules Rules[T]) (made T, err error) {
	var none T
	made = asked.ProtoReflect().New().Interface().(T)
	set(made, "name", protoreflect.ValueOfString(asked.GetName()))
	fieldmask.Apply(made, asked, slices.Concat(rules.Fields, rules.Fixed))
	stamp(tx, made, "create_time", "update_time")
	if err := rules.follow(none, made); err != nil {
		return none, err
	}
	rec, err := t.Create(tx, made)
	if err != nil {
		return none, err
	}
	rules.record(tx, "created", made, change.ChangedFields(nil, made))
	return View(rec), nil
}

// Update sets the masked fields of the stored resource with asked's key to those
// of asked, and its update_time, and records it if that changed anything. Errors
// are NotFound, Conflict (ETAG_MISMATCH), Invalid for a mask of other fields, and
// those of Follow.
func Update[T Resource](tx *change.Tx, t *kv.Table[T], asked T, mask *fieldmaskpb.FieldMask, rules Rules[T]) (T, error) {
	var none T
	paths, err := fieldmask.Paths(mask, asked, rules.Fields...)
	if err != nil {
		return none, err
	}
	old, err := t.Get(tx, t.KeyOf(asked))
	if err != nil {
		return none, err
	}
	rec, err := put(tx, t, old, old.Value, asked, paths, rules)
	return View(rec), err
}

// Set is Update of a resource that is there from the start: one that nobody has set
// is stored with the masked fields alone. It returns the record, which has none of
// what was never set. Its errors are those of Update but for NotFound.
func Set[T Singleton](tx *change.Tx, t *kv.Table[T], asked T, mask *fieldmaskpb.FieldMask, rules Rules[T]) (rec kv.Record[T], err error) {
	paths, err := fieldmask.Paths(mask, asked, rules.Fields...)
	if err != nil {
		return rec, err
	}
	old, found, err := t.Find(tx, t.KeyOf(asked))
	if err != nil {
		return rec, err
	}
	was := old.Value
	if !found {
		was = asked.ProtoReflect().New().Interface().(T)
		set(was, "name", protoreflect.ValueOfString(asked.GetName()))
	}
	return put(tx, t, old, was, asked, paths, rules)
}

// put stores was with the paths of asked in place of a record.
func put[T Singleton](tx *change.Tx, t *kv.Table[T], old kv.Record[T], was, asked T, paths []string, rules Rules[T]) (none kv.Record[T], _ error) {
	if err := old.CheckEtag(asked.GetEtag()); err != nil {
		return none, err
	}
	now := proto.CloneOf(was)
	fieldmask.Apply(now, asked, paths)
	changed := change.ChangedFields(was, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return old, nil
	}
	stamp(tx, now, "update_time")
	if err := rules.follow(was, now); err != nil {
		return none, err
	}
	rec, err := t.Put(tx, now, "")
	if err != nil {
		return none, err
	}
	rules.record(tx, "updated", now, changed)
	return rec, nil
}

// Delete removes a resource and returns what it was, and records it. Errors are
// NotFound and Conflict (ETAG_MISMATCH). Events of what is gone carry nothing.
func Delete[T Resource](tx *change.Tx, t *kv.Table[T], key kv.Key, etag string, rules Rules[T]) (T, error) {
	rec, err := t.Delete(tx, key, etag)
	if err != nil {
		var none T
		return none, err
	}
	rules.Data = nil
	rules.record(tx, "deleted", rec.Value, nil)
	return View(rec), nil
}

func (r Rules[T]) follow(old, now T) error {
	if r.Follow == nil {
		return nil
	}
	return r.Follow(old, now)
}

func (r Rules[T]) record(tx *change.Tx, past string, v T, changed []string) {
	c := change.Change{Resource: v.GetName(), Type: r.Event + "." + past + ".v1", ChangedFields: changed, Covered: r.Covered}
	if r.Data != nil {
		c.Data = r.Data(v)
	}
	tx.Record(c)
}

// CheckRoom returns Exhausted with the reason when the query selects as many
// records as there may be; text says so, with a %d for how many.
func CheckRoom[T proto.Message](r kv.Reader, t *kv.Table[T], q kv.Query, most int, reason, text string) error {
	q.Limit = most
	n, err := t.Count(r, q)
	if err != nil || n < most {
		return err
	}
	return errs.New(errs.Exhausted, reason, fmt.Sprintf(text, most))
}

// Names returns the names of resources.
func Names[T interface{ GetName() string }](of []T) []string {
	names := make([]string, len(of))
	for i, each := range of {
		names[i] = each.GetName()
	}
	return names
}

// Named returns a copy of a resource under a name.
func Named[T Resource](asked T, name string) T {
	made := proto.CloneOf(asked)
	set(made, "name", protoreflect.ValueOfString(name))
	return made
}

// View returns the resource of a record, with its etag; nil of none.
func View[T Tagged](rec kv.Record[T]) T {
	var none T
	if !rec.Found() {
		return none
	}
	v := proto.CloneOf(rec.Value)
	set(v, "etag", protoreflect.ValueOfString(rec.Etag))
	return v
}

// Views returns the resources of a page and where to go on behind it.
func Views[T Tagged](page kv.Page[T], err error) ([]T, []byte, error) {
	out := make([]T, len(page.Records))
	for i, rec := range page.Records {
		out[i] = View(rec)
	}
	return out, page.Next, err
}

func stamp(tx *change.Tx, m proto.Message, fields ...protoreflect.Name) {
	for _, field := range fields {
		set(m, field, protoreflect.ValueOfMessage(timestamppb.New(tx.Time).ProtoReflect()))
	}
}

func set(m proto.Message, field protoreflect.Name, v protoreflect.Value) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(field), v)
}
