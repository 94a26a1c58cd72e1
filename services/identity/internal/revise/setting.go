package revise

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
)

// SettingConfig says what a Setting is of.
type SettingConfig[T Singleton] struct {
	// Table is the name of the table, (organisation) -> T, Indexes are its indexes.
	Table   string
	Indexes []kv.Index[T]
	// ID is the last segment of names, as in "interactionPolicy".
	ID    string
	Rules Rules[T]
	// Complete sets what holds where an organisation has set nothing; nil is nothing.
	Complete func(T)
}

// Setting keeps what each organisation, or each of other resources, has one of from the
// start (AIP-156): what it has set is stored, and what it has not set is completed for
// whoever asks. It is safe for concurrent use.
type Setting[T Singleton] struct {
	*kv.Table[T]
	cfg SettingConfig[T]
}

// NewSetting returns a setting. It does no I/O.
func NewSetting[T Singleton](cfg SettingConfig[T]) *Setting[T] {
	return &Setting[T]{cfg: cfg, Table: kv.NewTable(kv.TableConfig[T]{
		Name: cfg.Table, Key: func(v T) kv.Key { return kv.Key{kv.String(ParentOf(v.GetName()))} }, Indexes: cfg.Indexes,
	})}
}

// ParentOf returns what has the setting of a name: an organisation, as a rule.
func ParentOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '/'))] }

// Of returns an organisation's.
func (s *Setting[T]) Of(r kv.Reader, organization string) (T, error) {
	rec, _, err := s.Find(r, kv.Key{kv.String(organization)})
	if err != nil {
		var none T
		return none, err
	}
	return s.view(organization, rec), nil
}

// Update changes the masked fields to those of asked, and records it if that changed
// anything. Errors are Conflict (ETAG_MISMATCH), Invalid for a mask of other fields,
// and those of the rules.
func (s *Setting[T]) Update(tx *change.Tx, asked T, mask *fieldmaskpb.FieldMask) (T, error) {
	rec, err := Set(tx, s.Table, asked, mask, s.cfg.Rules)
	if err != nil {
		var none T
		return none, err
	}
	return s.view(ParentOf(asked.GetName()), rec), nil
}

// view returns the setting of a record, the zero one for none.
func (s *Setting[T]) view(organization string, rec kv.Record[T]) T {
	var v T
	if rec.Found() {
		v = proto.CloneOf(rec.Value)
	} else {
		v = v.ProtoReflect().New().Interface().(T)
	}
	set(v, "name", protoreflect.ValueOfString(organization+"/"+s.cfg.ID))
	set(v, "etag", protoreflect.ValueOfString(rec.Etag))
	if s.cfg.Complete != nil {
		s.cfg.Complete(v)
	}
	return v
}
