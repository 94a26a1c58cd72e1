package tag

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

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
	if err := full(tx, b.groups, resource.Parent(g.GetName()), MaxGroups, "TAG_GROUP_LIMIT", "an organization has at most %d groups of tags"); err != nil {
		return nil, err
	}
	made := &identityv1.TagGroup{
		Name: g.GetName(), DisplayName: g.GetDisplayName(), Description: g.GetDescription(), Exclusive: g.GetExclusive(),
		CreateTime: timestamppb.New(tx.Time), UpdateTime: timestamppb.New(tx.Time),
	}
	rec, err := b.groups.Create(tx, made)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: made.GetName(), Type: "guildhall.identity.tag_group.created.v1", ChangedFields: change.ChangedFields(nil, made)})
	return revise.View(rec), nil
}

// UpdateGroup changes the masked fields to those of g. Errors are NotFound,
// Conflict (ETAG_MISMATCH), and Invalid for a mask of other fields.
func (b *Book) UpdateGroup(tx *change.Tx, g *identityv1.TagGroup, mask *fieldmaskpb.FieldMask) (*identityv1.TagGroup, error) {
	rec, err := revise.Update(tx, b.groups, g, mask, revise.Rules[*identityv1.TagGroup]{
		Fields: []string{"display_name", "description"}, Event: "guildhall.identity.tag_group.updated.v1",
	})
	return revise.View(rec), err
}

// DeleteGroup removes a group without tags and returns what it was. Errors are
// NotFound, Conflict (ETAG_MISMATCH) and Precondition (TAG_GROUP_NOT_EMPTY).
func (b *Book) DeleteGroup(tx *change.Tx, name, etag string) (*identityv1.TagGroup, error) {
	rec, err := b.groups.Delete(tx, key(name), etag)
	if err != nil {
		return nil, err
	}
	for _, err := range b.tags.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(name)}, Limit: 1}) {
		if err == nil {
			err = errs.New(errs.Precondition, "TAG_GROUP_NOT_EMPTY", "the group has tags; delete them first")
		}
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: "guildhall.identity.tag_group.deleted.v1"})
	return revise.View(rec), nil
}
