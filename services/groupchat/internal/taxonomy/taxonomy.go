// Package taxonomy holds an organisation's types of messages: which there are,
// and which one a message gets that names none.
//
//	          (built-in: always in use)
//	create ─▶ in use ──delete──▶ out of use ──undelete──▶ in use
//
// A type out of use stays for ever. Messages keep it, and grants speak of it by
// its id: another type under the same id would be open to whoever was meant to
// read the first.
//
// What a type means for who may read, service permission decides, from the
// conditions of grants. The package knows no gRPC and calls nobody.
package taxonomy

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Name is the form of a type's name.
const Name = resource.Pattern("organizations/{organization}/messageTypes/{message_type}")

const organization = resource.Pattern("organizations/{organization}")

// most is how many types an organisation has of its own. Each list and each
// stream asks permission about all of them.
const most = 100

// Taxonomy keeps the types of all organisations.
//
//	message_types          organisation, name -> MessageType (no etag, not default)
//	message_type_defaults  organisation -> DefaultMessageType
type Taxonomy struct {
	types    *kv.Table[*groupchatv1.MessageType]
	defaults *kv.Table[*storev1.DefaultMessageType]
}

// New returns the centre. It does no I/O.
func New() *Taxonomy {
	return &Taxonomy{
		types: kv.NewTable(kv.TableConfig[*groupchatv1.MessageType]{
			Name:     "message_types",
			Key:      func(t *groupchatv1.MessageType) kv.Key { return key(t.GetName()) },
			NotFound: "MESSAGE_TYPE_NOT_FOUND",
			Exists:   "MESSAGE_TYPE_EXISTS",
		}),
		defaults: kv.NewTable(kv.TableConfig[*storev1.DefaultMessageType]{
			Name: "message_type_defaults",
			Key:  func(d *storev1.DefaultMessageType) kv.Key { return kv.Key{kv.String(d.GetOrganization())} },
		}),
	}
}

// Tables returns the raw tables to open.
func (t *Taxonomy) Tables() []string { return slices.Concat(t.types.Tables(), t.defaults.Tables()) }

// home returns the organisation of a type.
func home(name string) string { return resource.Parent(name) }

func key(name string) kv.Key { return kv.Key{kv.String(home(name)), kv.String(name)} }

// Create adds a type. Reasons: MESSAGE_TYPE_EXISTS, MESSAGE_TYPES_FULL.
func (t *Taxonomy) Create(tx *change.Tx, parent, id string, in *groupchatv1.MessageType) (*groupchatv1.MessageType, error) {
	org, err := organization.Parse("parent", parent)
	if err != nil {
		return nil, err
	}
	if err := resource.CheckID("message_type_id", id); err != nil {
		return nil, err
	}
	name := Name.Format(org[0], id)
	if builtIn(name) != nil {
		return nil, errs.New(errs.Exists, "MESSAGE_TYPE_EXISTS", "every organisation has this type; choose another id")
	}
	own, err := t.own(tx, parent)
	if err != nil {
		return nil, err
	}
	if len(own) >= most {
		return nil, errs.New(errs.Exhausted, "MESSAGE_TYPES_FULL", "an organisation has at most 100 types of its own; undelete one")
	}
	now := timestamppb.New(tx.Time)
	v := &groupchatv1.MessageType{
		Name: name, DisplayName: in.GetDisplayName(), DisplayNameZh: in.GetDisplayNameZh(),
		Description: in.GetDescription(), CreateTime: now, UpdateTime: now,
	}
	rec, err := t.types.Create(tx, v)
	if err != nil {
		return nil, err
	}
	record(tx, v, "created", change.ChangedFields(nil, v)...)
	return view(rec), nil
}

// own returns all types of the organisation's own.
func (t *Taxonomy) own(r kv.Reader, parent string) ([]kv.Record[*groupchatv1.MessageType], error) {
	p, err := t.types.List(r, kv.Query{Prefix: kv.Key{kv.String(parent)}, Limit: most})
	return p.Records, err
}

// Get returns a type, also one out of use. Reasons: MESSAGE_TYPE_NOT_FOUND.
func (t *Taxonomy) Get(r kv.Reader, name string) (*groupchatv1.MessageType, error) {
	rec, err := t.get(r, "name", name)
	if err != nil {
		return nil, err
	}
	v := view(rec)
	return v, t.mark(r, home(name), v)
}

func (t *Taxonomy) get(r kv.Reader, field, name string) (kv.Record[*groupchatv1.MessageType], error) {
	if _, err := Name.Parse(field, name); err != nil {
		return kv.Record[*groupchatv1.MessageType]{}, err
	}
	if v := builtIn(name); v != nil {
		return kv.Record[*groupchatv1.MessageType]{Value: v}, nil
	}
	return t.types.Get(r, key(name))
}

// mark says of types which one is the organisation's default.
func (t *Taxonomy) mark(r kv.Reader, parent string, types ...*groupchatv1.MessageType) error {
	name, err := t.Default(r, parent)
	for _, v := range types {
		v.Default = v.GetName() == name
	}
	return err
}

// Update changes the fields at the paths. Reasons: MESSAGE_TYPE_NOT_FOUND,
// MESSAGE_TYPE_BUILT_IN, MESSAGE_TYPE_DELETED, ETAG_MISMATCH.
func (t *Taxonomy) Update(tx *change.Tx, in *groupchatv1.MessageType, paths []string) (*groupchatv1.MessageType, error) {
	rec, err := t.get(tx, "message_type.name", in.GetName())
	if err != nil {
		return nil, err
	}
	if rec.Value.GetDeleteTime() != nil {
		return nil, errDeleted()
	}
	return t.modify(tx, rec, in.GetEtag(), "updated", func(v *groupchatv1.MessageType) {
		fieldmask.Apply(v, in, paths)
	})
}

// Delete takes a type out of use. Reasons: MESSAGE_TYPE_NOT_FOUND,
// MESSAGE_TYPE_BUILT_IN, MESSAGE_TYPE_IS_DEFAULT, ETAG_MISMATCH.
func (t *Taxonomy) Delete(tx *change.Tx, name, etag string) (*groupchatv1.MessageType, error) {
	rec, err := t.get(tx, "name", name)
	if err != nil {
		return nil, err
	}
	usual, err := t.Default(tx, home(name))
	if err != nil {
		return nil, err
	}
	if usual == name && !rec.Value.GetBuiltIn() {
		return nil, errs.New(errs.Precondition, "MESSAGE_TYPE_IS_DEFAULT", "messages that name no type get this one; make another the default first")
	}
	return t.modify(tx, rec, etag, "deleted", func(v *groupchatv1.MessageType) {
		if v.DeleteTime == nil {
			v.DeleteTime = timestamppb.New(tx.Time)
		}
	})
}

// Undelete brings a type back into use. Reasons: MESSAGE_TYPE_NOT_FOUND,
// NOT_DELETED, ETAG_MISMATCH.
func (t *Taxonomy) Undelete(tx *change.Tx, name, etag string) (*groupchatv1.MessageType, error) {
	rec, err := t.get(tx, "name", name)
	if err != nil {
		return nil, err
	}
	if rec.Value.GetDeleteTime() == nil {
		return nil, errs.New(errs.Exists, "NOT_DELETED", "the type is in use")
	}
	return t.modify(tx, rec, etag, "undeleted", func(v *groupchatv1.MessageType) { v.DeleteTime = nil })
}

// modify changes a type of the organisation's own.
func (t *Taxonomy) modify(tx *change.Tx, rec kv.Record[*groupchatv1.MessageType], etag, past string, apply func(*groupchatv1.MessageType)) (*groupchatv1.MessageType, error) {
	if rec.Value.GetBuiltIn() {
		return nil, errs.New(errs.Precondition, "MESSAGE_TYPE_BUILT_IN", "every organisation has this type, and it stays as it is; add one of your own")
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	v := proto.CloneOf(rec.Value)
	apply(v)
	if proto.Equal(v, rec.Value) {
		tx.Unchanged()
	} else {
		v.UpdateTime = timestamppb.New(tx.Time)
		now, err := t.types.Update(tx, v, "")
		if err != nil {
			return nil, err
		}
		record(tx, v, past, change.ChangedFields(rec.Value, v)...)
		rec = now
	}
	out := view(rec)
	return out, t.mark(tx, home(out.GetName()), out)
}

func errDeleted() error {
	return errs.New(errs.Precondition, "MESSAGE_TYPE_DELETED", "the type is out of use; undelete it first, or take another")
}

func view(rec kv.Record[*groupchatv1.MessageType]) *groupchatv1.MessageType {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}

func record(tx *change.Tx, v *groupchatv1.MessageType, past string, fields ...string) {
	tx.Record(change.Change{Resource: v.GetName(), Type: "guildhall.groupchat.message_type." + past + ".v1", ChangedFields: fields})
}
