// Package resourcetype keeps the types of resources that organisations declare
// for applications of their own, beside the suite's.
//
// A type is a collection of names and a list of actions; each action is a
// custom permission at a level. The service stores no resource of such a type:
// whether "organizations/acme/records/record-2" exists, its application knows.
// Which roles name a type's permissions is package role's business, and so is
// telling checks that a type has changed.
package resourcetype

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Pattern is the form of the names of types.
const Pattern = resource.Pattern("organizations/{organization}/resourceTypes/{resource_type}")

// Max is how many types an organisation can have: what they declare is kept in
// memory as a whole.
const Max = 100

// byCollection finds a type by organisation and collection; unique.
const byCollection = "collection"

// Types are the types of all organisations. It is safe for concurrent use.
type Types struct {
	reserved map[string]bool
	table    *kv.Table[*permissionv1.ResourceType]
}

// New returns the types that the store holds. Collections that are reserved
// belong to the suite and cannot be declared.
func New(reserved map[string]bool) *Types {
	return &Types{reserved: reserved, table: kv.NewTable(kv.TableConfig[*permissionv1.ResourceType]{
		Name: "resource_types", Key: func(t *permissionv1.ResourceType) kv.Key { return keyOf(t.GetName()) },
		NotFound: "RESOURCE_TYPE_NOT_FOUND", Exists: "RESOURCE_TYPE_EXISTS",
		Indexes: []kv.Index[*permissionv1.ResourceType]{{
			Name: byCollection, Unique: true,
			Reason: "RESOURCE_TYPE_COLLECTION_TAKEN", Field: "resource_type.collection",
			Keys: func(t *permissionv1.ResourceType) []kv.Key {
				return []kv.Key{collectionKey(resource.Parent(t.GetName()), t.GetCollection())}
			},
		}},
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Types) Tables() []string { return s.table.Tables() }

// Create stores a type in the transaction of a change at the given time.
// Errors are Exists (RESOURCE_TYPE_EXISTS, RESOURCE_TYPE_COLLECTION_TAKEN),
// Invalid (RESOURCE_TYPE_COLLECTION_RESERVED, RESOURCE_TYPE_ACTION_REPEATED)
// and Precondition (RESOURCE_TYPE_LIMIT).
func (s *Types) Create(tx kv.Tx, at time.Time, t *permissionv1.ResourceType) (*permissionv1.ResourceType, error) {
	if s.reserved[t.GetCollection()] {
		return nil, errs.InvalidField("resource_type.collection", "RESOURCE_TYPE_COLLECTION_RESERVED",
			"the suite itself has resources of this collection; choose another word")
	}
	stored, err := normal(t)
	if err != nil {
		return nil, err
	}
	have, err := s.table.List(tx, kv.Query{Prefix: prefix(resource.Parent(t.GetName())), Limit: Max})
	if err != nil {
		return nil, err
	}
	if len(have.Records) == Max {
		return nil, errs.New(errs.Precondition, "RESOURCE_TYPE_LIMIT", "the organisation has as many resource types as it can have; delete one first")
	}
	stored.CreateTime, stored.UpdateTime = timestamppb.New(at), timestamppb.New(at)
	rec, err := s.table.Create(tx, stored)
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// Get returns a type, or NotFound (RESOURCE_TYPE_NOT_FOUND).
func (s *Types) Get(r kv.Reader, name string) (*permissionv1.ResourceType, error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// ByCollection returns the organisation's type of a collection, nil when there
// is none.
func (s *Types) ByCollection(r kv.Reader, organization, collection string) (*permissionv1.ResourceType, error) {
	rec, ok, err := s.table.FindBy(r, byCollection, collectionKey(organization, collection))
	if err != nil || !ok {
		return nil, err
	}
	return shown(rec), nil
}

// List returns one page of an organisation's types by name, and where to go
// on, nil at the end.
func (s *Types) List(r kv.Reader, organization string, after []byte, limit int) (types []*permissionv1.ResourceType, next []byte, err error) {
	page, err := s.table.List(r, kv.Query{Prefix: prefix(organization), After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range page.Records {
		types = append(types, shown(rec))
	}
	return types, page.Next, nil
}

// Permissions returns the permissions of all types of the organisation, sorted.
func (s *Types) Permissions(r kv.Reader, organization string) ([]string, error) {
	page, err := s.table.List(r, kv.Query{Prefix: prefix(organization), Limit: Max})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, rec := range page.Records {
		for _, a := range rec.Value.GetActions() {
			names = append(names, a.GetPermission())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Update stores a changed type, as Create does a new one. Errors are NotFound
// (RESOURCE_TYPE_NOT_FOUND), Conflict (ETAG_MISMATCH) and Invalid
// (RESOURCE_TYPE_ACTION_REPEATED).
func (s *Types) Update(tx kv.Tx, at time.Time, t *permissionv1.ResourceType, etag string) (*permissionv1.ResourceType, error) {
	stored, err := normal(t)
	if err != nil {
		return nil, err
	}
	stored.UpdateTime = timestamppb.New(at)
	rec, err := s.table.Update(tx, stored, etag)
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// Delete removes a type; that no role speaks of it is the caller's to see to,
// in the same transaction. Errors are NotFound (RESOURCE_TYPE_NOT_FOUND) and
// Conflict (ETAG_MISMATCH).
func (s *Types) Delete(tx kv.Tx, name, etag string) (*permissionv1.ResourceType, error) {
	rec, err := s.table.Delete(tx, keyOf(name), etag)
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// normal returns the type as it is stored: actions in order of their ids, each
// with its permission.
func normal(t *permissionv1.ResourceType) (*permissionv1.ResourceType, error) {
	stored := proto.CloneOf(t)
	stored.Etag = ""
	slices.SortFunc(stored.Actions, func(a, b *permissionv1.ResourceAction) int { return strings.Compare(a.GetId(), b.GetId()) })
	for i, a := range stored.GetActions() {
		if i > 0 && a.GetId() == stored.GetActions()[i-1].GetId() {
			return nil, errs.InvalidField("resource_type.actions", "RESOURCE_TYPE_ACTION_REPEATED", "name each action once: "+a.GetId())
		}
		a.Permission = CollectionOf(stored) + "." + a.GetId()
	}
	return stored, nil
}

// CollectionOf returns what the type's permissions begin with, as in
// "custom.records".
func CollectionOf(t *permissionv1.ResourceType) string { return Prefix + t.GetCollection() }

// Prefix begins the permissions of all types.
const Prefix = "custom."

func prefix(organization string) kv.Key { return kv.Key{kv.String(organization)} }

func keyOf(name string) kv.Key {
	return prefix(resource.Parent(name)).With(kv.String(name[strings.LastIndexByte(name, '/')+1:]))
}

func collectionKey(organization, collection string) kv.Key {
	return prefix(organization).With(kv.String(collection))
}

// shown returns a record as the API shows it.
func shown(rec kv.Record[*permissionv1.ResourceType]) *permissionv1.ResourceType {
	t := proto.CloneOf(rec.Value)
	t.Etag = rec.Etag
	return t
}
