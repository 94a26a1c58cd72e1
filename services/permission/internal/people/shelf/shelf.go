// Package shelf keeps resources of one kind with the standard methods (AIP-131
// to 135) and the trace that each change of one leaves.
//
// The people's side of the service has a dozen kinds of records that are made,
// listed, changed and moved from state to state in one way, and differ in their
// rules. The way is here, once; the rules are the centres': a Shelf decides
// nothing but what every resource has in common.
//
// A resource is a proto message that is both the API's and the record. Fields
// that it may have and a Shelf keeps by itself: name, etag, create_time,
// update_time. What is marked OUTPUT_ONLY, a client cannot set.
package shelf

import (
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/services/permission/internal/sweep"
)

// Resource is what a Shelf keeps.
type Resource interface {
	proto.Message
	GetName() string
	GetEtag() string
}

// Config declares a Shelf. Noun, Table and Names are required.
type Config[T Resource] struct {
	// Noun is the kind in snake case, as in "duty_profile". It is in the types
	// of events, guildhall.permission.duty_profile.created.v1, and in upper
	// case in reasons, DUTY_PROFILE_NOT_FOUND and DUTY_PROFILE_EXISTS.
	Noun string
	// Table is the name of the table.
	Table string
	// Names are the forms of the resources' names.
	Names []resource.Pattern
	// Indexes are further ways to find them. A unique one is first.
	Indexes []kv.Index[T]
	// Mutable are the fields that an update may change.
	Mutable []string
	// Covered are the verbs of events whose audit entry is that of another
	// change in the same transaction.
	Covered []string
	// Data is what events carry of a resource; nil is nothing.
	Data func(T) proto.Message
}

// Shelf keeps the resources of one kind. It is safe for concurrent use.
type Shelf[T Resource] struct {
	cfg   Config[T]
	table *kv.Table[T]
}

// New returns a shelf. It does no I/O.
func New[T Resource](cfg Config[T]) *Shelf[T] {
	reason := strings.ToUpper(cfg.Noun)
	return &Shelf[T]{cfg: cfg, table: kv.NewTable(kv.TableConfig[T]{
		Name: cfg.Table, Key: func(v T) kv.Key { return keyOf(v.GetName()) },
		NotFound: reason + "_NOT_FOUND", Exists: reason + "_EXISTS", Indexes: cfg.Indexes,
	})}
}

// Tables returns the raw tables, for kv.Options.
func (s *Shelf[T]) Tables() []string { return s.table.Tables() }

// Create stores a new resource below parent; an empty id is chosen. fill sets
// what only the service may set, and refuses what it must; it may be nil.
// Errors are Invalid (RESOURCE_NAME_INVALID), Exists, and those of fill.
func (s *Shelf[T]) Create(tx *change.Tx, parent, id string, v T, fill func(T) error) (T, error) {
	var none T
	id, err := tx.IDOr(s.cfg.Noun+"_id", id)
	if err != nil {
		return none, err
	}
	stored := proto.CloneOf(v)
	clearOutput(stored)
	collection := s.collection()
	set(stored, "name", protoreflect.ValueOfString(parent+"/"+collection+"/"+id))
	if err := s.checkName("parent", stored.GetName()); err != nil {
		return none, err
	}
	set(stored, "etag", protoreflect.ValueOfString(""))
	stamp(stored, tx, "create_time", "update_time")
	if fill != nil {
		if err := fill(stored); err != nil {
			return none, err
		}
	}
	rec, err := s.table.Create(tx, stored)
	if err != nil {
		return none, err
	}
	s.Record(tx, "created", stored, change.ChangedFields(nil, stored)...)
	return Shown(rec), nil
}

// Get returns a resource, or NotFound.
func (s *Shelf[T]) Get(r kv.Reader, name string) (T, error) {
	var none T
	if err := s.checkName("name", name); err != nil {
		return none, err
	}
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return none, err
	}
	return Shown(rec), nil
}

// GetAt is Get of one state: an etag of another is Conflict (ETAG_MISMATCH).
func (s *Shelf[T]) GetAt(r kv.Reader, name, etag string) (T, error) {
	v, err := s.Get(r, name)
	if err != nil {
		return v, err
	}
	return v, kv.Record[T]{Value: v, Etag: v.GetEtag()}.CheckEtag(etag)
}

// Find is Get that says whether there is one.
func (s *Shelf[T]) Find(r kv.Reader, name string) (T, bool, error) {
	rec, found, err := s.table.Find(r, keyOf(name))
	if err != nil || !found {
		var none T
		return none, false, err
	}
	return Shown(rec), true, nil
}

// Lookup is Find by the key of a unique index.
func (s *Shelf[T]) Lookup(r kv.Reader, index string, key kv.Key) (T, bool, error) {
	rec, found, err := s.table.FindBy(r, index, key)
	if err != nil || !found {
		var none T
		return none, false, err
	}
	return Shown(rec), true, nil
}

// List returns a page of what the query selects, and where the next one
// starts, nil at the end.
func (s *Shelf[T]) List(r kv.Reader, q kv.Query) ([]T, []byte, error) {
	return AllShown(s.table.List(r, q))
}

// Any reports whether the query selects anything.
func (s *Shelf[T]) Any(r kv.Reader, q kv.Query) (bool, error) {
	q.Limit = 1
	found, _, err := s.List(r, q)
	return len(found) > 0, err
}

// Scan yields the records that the query selects, with their positions.
func (s *Shelf[T]) Scan(r kv.Reader, q kv.Query) iter.Seq2[kv.Record[T], error] {
	return s.table.Scan(r, q)
}

// Due is Due of a sweep.Job by an index whose first part is a time.
func (s *Shelf[T]) Due(index string) func(r kv.Reader, now time.Time, after []byte, limit int) ([]string, []byte, error) {
	return sweep.Due(s.table, index, func(v T) string { return v.GetName() })
}

// Below is the query of all resources of one parent, by name.
func Below(parent string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(parent)}} }

// Page returns q as one page of it.
func Page(q kv.Query, after []byte, limit int) kv.Query {
	q.After, q.Limit = after, limit
	return q
}

// Update changes the masked fields to those of v, unless the etag of v is that
// of another state. check sees the old and the new resource, and refuses or
// completes the new one; it may be nil. An update to the same changes nothing.
// Errors are NotFound, Conflict (ETAG_MISMATCH), Invalid (UPDATE_MASK_INVALID)
// and those of check.
func (s *Shelf[T]) Update(tx *change.Tx, v T, mask *fieldmaskpb.FieldMask, check func(old, now T) error) (T, error) {
	var none T
	if err := s.checkName(s.cfg.Noun+".name", v.GetName()); err != nil {
		return none, err
	}
	paths, err := fieldmask.Paths(mask, v, s.cfg.Mutable...)
	if err != nil {
		return none, err
	}
	rec, err := s.table.Get(tx, keyOf(v.GetName()))
	if err != nil {
		return none, err
	}
	if err := rec.CheckEtag(v.GetEtag()); err != nil {
		return none, err
	}
	now := proto.CloneOf(rec.Value)
	fieldmask.Apply(now, v, paths)
	if proto.Equal(now, rec.Value) {
		tx.Unchanged()
		return Shown(rec), nil
	}
	if check != nil {
		if err := check(rec.Value, now); err != nil {
			return none, err
		}
	}
	return s.write(tx, rec.Value, now, "updated")
}

// Move changes a resource by a rule of the centre's: move changes it in place,
// or refuses. past is the verb of the event, as in "passed". Errors are
// NotFound, Conflict (ETAG_MISMATCH), and those of move.
func (s *Shelf[T]) Move(tx *change.Tx, name, etag, past string, move func(T) error) (T, error) {
	var none T
	if err := s.checkName("name", name); err != nil {
		return none, err
	}
	rec, err := s.table.Get(tx, keyOf(name))
	if err != nil {
		return none, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return none, err
	}
	now := proto.CloneOf(rec.Value)
	if err := move(now); err != nil {
		return none, err
	}
	return s.write(tx, rec.Value, now, past)
}

func (s *Shelf[T]) write(tx *change.Tx, old, now T, past string) (T, error) {
	v, err := s.Put(tx, now)
	if err == nil {
		s.Record(tx, past, now, change.ChangedFields(old, now)...)
	}
	return v, err
}

// Put stores a resource in place of what it was, and records nothing: for a centre
// that tells more of a move than one event.
func (s *Shelf[T]) Put(tx *change.Tx, v T) (T, error) {
	stamp(v, tx, "update_time")
	set(v, "etag", protoreflect.ValueOfString(""))
	rec, err := s.table.Update(tx, v, "")
	if err != nil {
		var none T
		return none, err
	}
	return Shown(rec), nil
}

// With returns the shelf with other data in its events: of one change, of which
// the resource itself does not say all.
func (s *Shelf[T]) With(data func(T) proto.Message) *Shelf[T] {
	cfg := s.cfg
	cfg.Data = data
	return &Shelf[T]{cfg: cfg, table: s.table}
}

// Delete removes a resource and returns what it was. check refuses; it may be
// nil. Errors are NotFound, Conflict (ETAG_MISMATCH), and those of check.
func (s *Shelf[T]) Delete(tx *change.Tx, name, etag string, check func(T) error) (T, error) {
	var none T
	if err := s.checkName("name", name); err != nil {
		return none, err
	}
	rec, err := s.table.Get(tx, keyOf(name))
	if err != nil {
		return none, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return none, err
	}
	if check != nil {
		if err := check(rec.Value); err != nil {
			return none, err
		}
	}
	if _, err := s.table.Delete(tx, keyOf(name), ""); err != nil {
		return none, err
	}
	s.Record(tx, "deleted", rec.Value)
	return Shown(rec), nil
}

// Record notes that something happened to a resource: an event whose type ends
// in the verb, and an audit entry.
func (s *Shelf[T]) Record(tx *change.Tx, past string, v T, fields ...string) {
	c := change.Change{
		Resource: v.GetName(), Type: "guildhall.permission." + s.cfg.Noun + "." + past + ".v1", ChangedFields: fields,
		Covered: slices.Contains(s.cfg.Covered, past),
	}
	if s.cfg.Data != nil {
		c.Data = s.cfg.Data(v)
	}
	tx.Record(c)
}

func (s *Shelf[T]) checkName(field, name string) error {
	for _, p := range s.cfg.Names[1:] {
		if p.Matches(name) {
			return nil
		}
	}
	_, err := s.cfg.Names[0].Parse(field, name)
	return err
}

// collection returns the last literal segment of the names.
func (s *Shelf[T]) collection() string {
	pattern := string(s.cfg.Names[0])
	pattern = pattern[:strings.LastIndexByte(pattern, '/')]
	return pattern[strings.LastIndexByte(pattern, '/')+1:]
}

func keyOf(name string) kv.Key {
	return kv.Key{kv.String(resource.Parent(name)), kv.String(name[strings.LastIndexByte(name, '/')+1:])}
}

// Shown returns a record as the API shows it: with its etag.
func Shown[T Resource](rec kv.Record[T]) T {
	v := proto.CloneOf(rec.Value)
	set(v, "etag", protoreflect.ValueOfString(rec.Etag))
	return v
}

// AllShown returns the records of a page as the API shows them, and where the next
// one starts, nil at the end.
func AllShown[T Resource](page kv.Page[T], err error) ([]T, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	out := make([]T, len(page.Records))
	for i, rec := range page.Records {
		out[i] = Shown(rec)
	}
	return out, page.Next, nil
}

// stamp sets those of the timestamps that the message has.
func stamp(v proto.Message, tx *change.Tx, names ...protoreflect.Name) {
	for _, name := range names {
		set(v, name, protoreflect.ValueOfMessage(timestamppb.New(tx.Time).ProtoReflect()))
	}
}

// set sets a field if the message has one of the name.
func set(v proto.Message, name protoreflect.Name, value protoreflect.Value) {
	m := v.ProtoReflect()
	if fd := m.Descriptor().Fields().ByName(name); fd != nil {
		m.Set(fd, value)
	}
}

// clearOutput clears what a client may not set.
func clearOutput(v proto.Message) {
	m := v.ProtoReflect()
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		behaviours, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
		for _, b := range behaviours {
			if b == annotations.FieldBehavior_OUTPUT_ONLY {
				m.Clear(fd)
			}
		}
	}
}
