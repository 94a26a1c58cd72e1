// Package property keeps properties of subjects and resources: facts about a
// name that conditions of grants look at and no other service brings along
// with its question, such as the level of a customer or the region of a group.
//
// They decide nothing by themselves, and what a name's owner says about it in
// a question stands over what is stored (see package condition). What is
// stored of one name is one small JSON object, read whole. Each change moves
// the organisation on by one revision and touches Entry of the name, so that
// properties are kept and believed like all else that decisions are made of.
package property

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/revision"
)

const (
	// MaxBytes is the most that the properties of one name take, encoded.
	MaxBytes = 32 << 10
	// MaxDepth is the most objects and lists in one another.
	MaxDepth = 16
	// maxName is what a question's resource can have.
	maxName = 400
)

// Properties are the stored properties of all organisations. It is safe for
// concurrent use.
type Properties struct {
	table *kv.Table[*storev1.Properties]
}

// New returns the properties that the store holds.
func New() *Properties {
	return &Properties{table: kv.NewTable(kv.TableConfig[*storev1.Properties]{
		Name: "properties", Key: func(p *storev1.Properties) kv.Key { return keyOf(p.GetName()) },
		NotFound: "PROPERTIES_NOT_FOUND",
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Properties) Tables() []string { return s.table.Tables() }

// Entry returns the name by which the properties of a name are touched and
// kept: the name's own is that of its grants.
func Entry(name string) string { return name + entryMark }

// NameOf undoes Entry.
func NameOf(entry string) string { return strings.TrimSuffix(entry, entryMark) }

const entryMark = "#properties"

// Check refuses a name that nothing in an organisation can have, with Invalid
// (RESOURCE_NAME_INVALID) on the field.
func Check(field, name string) error {
	if _, ok := resource.Organization(name); ok && len(name) <= maxName {
		ids := strings.Split(name, "/")
		for i, id := range ids {
			collection := i%2 == 0
			if !collection && !resource.ValidID(id) || collection && (id == "" || strings.ContainsAny(id, "#-")) {
				ok = false
			}
		}
		if ok && len(ids)%2 == 0 {
			return nil
		}
	}
	return errs.InvalidField(field, resource.Reason, "send the full name of a subject or a resource, as in organizations/acme/groups/g1")
}

// Put stores the properties of a name in place of those before, in the
// transaction of a change at the given time, and returns them with their etag
// and the organisation's new revision. An etag that is not "" must be the
// present one.
//
// Errors are Invalid (PROPERTIES_TOO_LARGE, on the field "properties") and
// Conflict (ETAG_MISMATCH). The name is one that Check lets pass.
func (s *Properties) Put(tx kv.Tx, at time.Time, name string, properties *structpb.Struct, etag string) (kv.Record[*storev1.Properties], revision.Revision, error) {
	if err := checkSize(properties); err != nil {
		return kv.Record[*storev1.Properties]{}, revision.Revision{}, err
	}
	stored := &storev1.Properties{Name: name, Properties: proto.CloneOf(properties), UpdateTime: timestamppb.New(at)}
	rec, err := s.table.Put(tx, stored, etag)
	if err != nil {
		return kv.Record[*storev1.Properties]{}, revision.Revision{}, err
	}
	v, err := touch(tx, at, name)
	return rec, v, err
}

// Get returns what is stored for a name with its etag, or NotFound
// (PROPERTIES_NOT_FOUND).
func (s *Properties) Get(r kv.Reader, name string) (kv.Record[*storev1.Properties], error) {
	return s.table.Get(r, keyOf(name))
}

// Of returns what is stored for a name; nil for nothing.
func (s *Properties) Of(r kv.Reader, name string) (*structpb.Struct, error) {
	rec, found, err := s.table.Find(r, keyOf(name))
	if err != nil || !found {
		return nil, err
	}
	return rec.Value.GetProperties(), nil
}

// Delete removes what is stored for a name and returns what it was, with the
// organisation's new revision. Errors are NotFound (PROPERTIES_NOT_FOUND) and
// Conflict (ETAG_MISMATCH).
func (s *Properties) Delete(tx kv.Tx, at time.Time, name, etag string) (kv.Record[*storev1.Properties], revision.Revision, error) {
	rec, err := s.table.Delete(tx, keyOf(name), etag)
	if err != nil {
		return kv.Record[*storev1.Properties]{}, revision.Revision{}, err
	}
	v, err := touch(tx, at, name)
	return rec, v, err
}

// Forget removes what is stored for a name, if anything is: whoever has the
// name from then on is somebody else.
func (s *Properties) Forget(tx kv.Tx, at time.Time, name string) error {
	_, _, err := s.Delete(tx, at, name, "")
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// List returns one page of an organisation's stored properties, by name, and
// where the next page starts, nil at the end.
func (s *Properties) List(r kv.Reader, organization string, after []byte, limit int) ([]kv.Record[*storev1.Properties], []byte, error) {
	page, err := s.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	return page.Records, page.Next, err
}

// checkSize bounds what one name takes, in memory and on the wire.
func checkSize(properties *structpb.Struct) error {
	if size := proto.Size(properties); size > MaxBytes {
		return errs.InvalidField("properties", "PROPERTIES_TOO_LARGE",
			fmt.Sprintf("they take %d bytes; send at most %d", size, MaxBytes))
	}
	if !shallow(structpb.NewStructValue(properties), MaxDepth) {
		return errs.InvalidField("properties", "PROPERTIES_TOO_LARGE",
			fmt.Sprintf("put at most %d objects and lists in one another", MaxDepth))
	}
	return nil
}

// shallow reports whether at most depth objects and lists are in one another.
func shallow(v *structpb.Value, depth int) bool {
	switch v.GetKind().(type) {
	case *structpb.Value_StructValue:
		for _, field := range v.GetStructValue().GetFields() {
			if depth == 0 || !shallow(field, depth-1) {
				return false
			}
		}
	case *structpb.Value_ListValue:
		for _, item := range v.GetListValue().GetValues() {
			if depth == 0 || !shallow(item, depth-1) {
				return false
			}
		}
	}
	return true
}

func touch(tx kv.Tx, at time.Time, name string) (revision.Revision, error) {
	return revision.Bump(tx, organizationOf(name), at, Entry(name))
}

func organizationOf(name string) string {
	id, _ := resource.Organization(name)
	return "organizations/" + id
}

func keyOf(name string) kv.Key { return kv.Key{kv.String(organizationOf(name)), kv.String(name)} }
