// Package tag keeps the tags that an organisation gives its customers, in
// groups, and says which tags one customer may have together.
//
// Which customer has which tags is in its account; see package account. Nor is
// it known here whether a tag is in use: who deletes one asks there, in the same
// transaction.
package tag

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// GroupPattern is the form of a group's name, Pattern that of a tag's.
const (
	GroupPattern = resource.Pattern("organizations/{organization}/tagGroups/{tag_group}")
	Pattern      = resource.Pattern("organizations/{organization}/tagGroups/{tag_group}/tags/{tag}")
)

// Bounds of what an organisation has.
const (
	MaxGroups = 200
	MaxTags   = 500 // of a group
)

// Book keeps groups and tags. It is safe for concurrent use.
type Book struct {
	groups *kv.Table[*identityv1.TagGroup]
	tags   *kv.Table[*identityv1.Tag]
}

// New returns a book.
func New() *Book {
	return &Book{
		// (organisation, name) -> TagGroup
		groups: kv.NewTable(kv.TableConfig[*identityv1.TagGroup]{
			Name: "tag_groups", NotFound: "TAG_GROUP_NOT_FOUND", Exists: "TAG_GROUP_EXISTS",
			Key: func(g *identityv1.TagGroup) kv.Key { return key(g.GetName()) },
		}),
		// (group, name) -> Tag
		tags: kv.NewTable(kv.TableConfig[*identityv1.Tag]{
			Name: "tags", NotFound: "TAG_NOT_FOUND", Exists: "TAG_EXISTS",
			Key: func(t *identityv1.Tag) kv.Key { return key(t.GetName()) },
		}),
	}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return append(b.groups.Tables(), b.tags.Tables()...) }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func below(parent string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(parent)}} }

// Get returns a tag. The error is NotFound (TAG_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Tag, error) {
	rec, err := b.tags.Get(r, key(name))
	return revise.View(rec), err
}

// List returns a page of a group's tags, by name, and where to go on behind it,
// nil at the end. The error is NotFound (TAG_GROUP_NOT_FOUND).
func (b *Book) List(r kv.Reader, group string, after []byte, limit int) ([]*identityv1.Tag, []byte, error) {
	if _, err := b.groups.Get(r, key(group)); err != nil {
		return nil, nil, err
	}
	return revise.Views(b.tags.List(r, kv.Query{Prefix: kv.Key{kv.String(group)}, After: after, Limit: limit}))
}

// Create makes a tag with the name and the caller's fields of t. Errors are
// NotFound (TAG_GROUP_NOT_FOUND), Exists (TAG_EXISTS) and Exhausted (TAG_LIMIT).
func (b *Book) Create(tx *change.Tx, t *identityv1.Tag) (*identityv1.Tag, error) {
	group := resource.Parent(t.GetName())
	if _, err := b.groups.Get(tx, key(group)); err != nil {
		return nil, err
	}
	if err := revise.CheckRoom(tx, b.tags, below(group), MaxTags, "TAG_LIMIT", "a group has at most %d tags"); err != nil {
		return nil, err
	}
	return revise.Create(tx, b.tags, t, tagRules())
}

// Update changes the masked fields to those of t. Errors are NotFound, Conflict
// (ETAG_MISMATCH), and Invalid for a mask of other fields.
func (b *Book) Update(tx *change.Tx, t *identityv1.Tag, mask *fieldmaskpb.FieldMask) (*identityv1.Tag, error) {
	return revise.Update(tx, b.tags, t, mask, tagRules())
}

// Delete removes a tag, which no customer has, and returns what it was. Errors
// are NotFound and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Tag, error) {
	return revise.Delete(tx, b.tags, key(name), etag, tagRules())
}

func tagRules() revise.Rules[*identityv1.Tag] {
	return revise.Rules[*identityv1.Tag]{Event: "guildhall.identity.tag", Fields: []string{"display_name", "description"}}
}
