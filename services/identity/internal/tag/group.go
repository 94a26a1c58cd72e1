package tag

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// GetGroup returns a group. The error is NotFound (TAG_GROUP_NOT_FOUND).
func (b *Book) GetGroup(r kv.Reader, name string) (*identityv1.TagGroup, error) {
	rec, err := b.groups.Get(r, key(name))
	return revise.View(rec), err
}

// ListGroups returns a page of an organisation's groups, by name, and where to
// go on behind it, nil at the end.
func (b *Book) ListGroups(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.TagGroup, []byte, error) {
	return revise.Views(b.groups.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}))
}

// CreateGroup makes a group with the name and the caller's fields of g. Errors
// are Exists (TAG_GROUP_EXISTS) and Exhausted (TAG_GROUP_LIMIT).
func (b *Book) CreateGroup(tx *change.Tx, g *identityv1.TagGroup) (*identityv1.TagGroup, error) {
	err := revise.CheckRoom(tx, b.groups, below(resource.Parent(g.GetName())), MaxGroups, "TAG_GROUP_LIMIT", "an organization has at most %d groups of tags")
	if err != nil {
		return nil, err
	}
	return revise.Create(tx, b.groups, g, groupRules())
}

// UpdateGroup changes the masked fields to those of g. Errors are NotFound,
// Conflict (ETAG_MISMATCH), and Invalid for a mask of other fields.
func (b *Book) UpdateGroup(tx *change.Tx, g *identityv1.TagGroup, mask *fieldmaskpb.FieldMask) (*identityv1.TagGroup, error) {
	return revise.Update(tx, b.groups, g, mask, groupRules())
}

func groupRules() revise.Rules[*identityv1.TagGroup] {
	return revise.Rules[*identityv1.TagGroup]{
		Event: "guildhall.identity.tag_group", Fields: []string{"display_name", "description"}, Fixed: []string{"exclusive"},
	}
}

// DeleteGroup removes a group without tags and returns what it was. Errors are
// NotFound, Conflict (ETAG_MISMATCH) and Precondition (TAG_GROUP_NOT_EMPTY).
func (b *Book) DeleteGroup(tx *change.Tx, name, etag string) (*identityv1.TagGroup, error) {
	deleted, err := revise.Delete(tx, b.groups, key(name), etag, groupRules())
	if err != nil {
		return nil, err
	}
	for _, err := range b.tags.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(name)}, Limit: 1}) {
		if err == nil {
			err = errs.New(errs.Precondition, "TAG_GROUP_NOT_EMPTY", "the group has tags; delete them first")
		}
		return nil, err
	}
	return deleted, nil
}
