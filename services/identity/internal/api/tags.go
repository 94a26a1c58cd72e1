package api

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/tag"
)

// tags implements TagService.
type tags struct{ *Centres }

// CreateTagGroup makes a group of tags.
func (s tags) CreateTagGroup(ctx context.Context, req *identityv1.CreateTagGroupRequest) (*identityv1.TagGroup, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.TagGroup, error) {
		name, err := s.nameIn(tx, req.GetParent(), "tagGroups", "tag_group_id", req.GetTagGroupId())
		if err != nil {
			return nil, err
		}
		return s.Tags.CreateGroup(tx, revise.Named(req.GetTagGroup(), name))
	})
}

// GetTagGroup returns a group.
func (s tags) GetTagGroup(ctx context.Context, req *identityv1.GetTagGroupRequest) (*identityv1.TagGroup, error) {
	if _, err := tag.GroupPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.TagGroup, error) { return s.Tags.GetGroup(r, req.GetName()) })
}

// ListTagGroups returns a page of groups, by name.
func (s tags) ListTagGroups(ctx context.Context, req *identityv1.ListTagGroupsRequest) (*identityv1.ListTagGroupsResponse, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListTagGroups", func(r kv.Reader, after []byte, limit int) ([]*identityv1.TagGroup, []byte, error) {
		return s.Tags.ListGroups(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListTagGroupsResponse{TagGroups: found, NextPageToken: next}, err
}

// UpdateTagGroup changes the masked fields.
func (s tags) UpdateTagGroup(ctx context.Context, req *identityv1.UpdateTagGroupRequest) (*identityv1.TagGroup, error) {
	if _, err := tag.GroupPattern.Parse("tag_group.name", req.GetTagGroup().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.TagGroup, error) {
		return s.Tags.UpdateGroup(tx, req.GetTagGroup(), req.GetUpdateMask())
	})
}

// DeleteTagGroup deletes a group without tags.
func (s tags) DeleteTagGroup(ctx context.Context, req *identityv1.DeleteTagGroupRequest) (*identityv1.TagGroup, error) {
	if _, err := tag.GroupPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.TagGroup, error) {
		return s.Tags.DeleteGroup(tx, req.GetName(), req.GetEtag())
	})
}

// CreateTag makes a tag.
func (s tags) CreateTag(ctx context.Context, req *identityv1.CreateTagRequest) (*identityv1.Tag, error) {
	ids, err := tag.GroupPattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Tag, error) {
		id, err := tx.IDOr("tag_id", req.GetTagId())
		if err != nil {
			return nil, err
		}
		return s.Tags.Create(tx, revise.Named(req.GetTag(), tag.Pattern.Format(ids[0], ids[1], id)))
	})
}

// GetTag returns a tag.
func (s tags) GetTag(ctx context.Context, req *identityv1.GetTagRequest) (*identityv1.Tag, error) {
	if _, err := tag.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Tag, error) { return s.Tags.Get(r, req.GetName()) })
}

// ListTags returns a page of a group's tags, by name.
func (s tags) ListTags(ctx context.Context, req *identityv1.ListTagsRequest) (*identityv1.ListTagsResponse, error) {
	if _, err := tag.GroupPattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListTags", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Tag, []byte, error) {
		return s.Tags.List(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListTagsResponse{Tags: found, NextPageToken: next}, err
}

// UpdateTag changes the masked fields.
func (s tags) UpdateTag(ctx context.Context, req *identityv1.UpdateTagRequest) (*identityv1.Tag, error) {
	if _, err := tag.Pattern.Parse("tag.name", req.GetTag().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Tag, error) {
		return s.Tags.Update(tx, req.GetTag(), req.GetUpdateMask())
	})
}

// DeleteTag deletes a tag that no customer has.
func (s tags) DeleteTag(ctx context.Context, req *identityv1.DeleteTagRequest) (*identityv1.Tag, error) {
	if _, err := tag.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Tag, error) {
		if err := s.Accounts.CheckTagUnused(tx, req.GetName()); err != nil {
			return nil, err
		}
		return s.Tags.Delete(tx, req.GetName(), req.GetEtag())
	})
}

// nameIn returns the name of a resource that is made in an organisation, under the
// id that the client chose or else a new one. Errors are Invalid
// (RESOURCE_NAME_INVALID, on the field of the id) and NotFound
// (ORGANIZATION_NOT_FOUND).
func (c *Centres) nameIn(tx *change.Tx, organization, collection, field, chosen string) (string, error) {
	id, err := tx.IDOr(field, chosen)
	if err != nil {
		return "", err
	}
	_, err = c.Organizations.Get(tx, organization)
	return organization + "/" + collection + "/" + id, err
}
