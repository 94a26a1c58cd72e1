package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

// Types of the events of resource types.
const (
	typeCreated = "guildhall.permission.resourceType.created.v1"
	typeUpdated = "guildhall.permission.resourceType.updated.v1"
	typeDeleted = "guildhall.permission.resourceType.deleted.v1"
)

type resourceTypes struct{ Config }

// CreateResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) CreateResourceType(ctx context.Context, req *permissionv1.CreateResourceTypeRequest) (*permissionv1.ResourceType, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := resource.CheckID("resource_type_id", req.GetResourceTypeId()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ResourceType, error) {
		t := proto.CloneOf(req.GetResourceType())
		t.Name = req.GetParent() + "/resourceTypes/" + req.GetResourceTypeId()
		created, v, err := s.Roles.CreateType(tx, tx.Time, t)
		if err != nil {
			return nil, err
		}
		recordType(tx, typeCreated, v, created, change.ChangedFields(nil, created))
		return created, nil
	})
}

// GetResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) GetResourceType(ctx context.Context, req *permissionv1.GetResourceTypeRequest) (*permissionv1.ResourceType, error) {
	if _, err := resourcetype.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.ResourceType, error) {
		return s.Roles.Types().Get(r, req.GetName())
	})
}

// ListResourceTypes implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) ListResourceTypes(ctx context.Context, req *permissionv1.ListResourceTypesRequest) (*permissionv1.ListResourceTypesResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListResourceTypes", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.ResourceType, []byte, error) {
			return s.Roles.Types().List(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListResourceTypesResponse{ResourceTypes: found, NextPageToken: next}, nil
}

// UpdateResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) UpdateResourceType(ctx context.Context, req *permissionv1.UpdateResourceTypeRequest) (*permissionv1.ResourceType, error) {
	name := req.GetResourceType().GetName()
	if _, err := resourcetype.Pattern.Parse("resource_type.name", name); err != nil {
		return nil, err
	}
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetResourceType(), "display_name", "actions")
	if err != nil {
		return nil, err
	}
	updated, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ResourceType, error) {
		old, err := s.Roles.Types().Get(tx, name)
		if err != nil {
			return nil, err
		}
		now := mergeType(old, req.GetResourceType(), paths)
		return s.update(ctx, tx, old, now, req.GetResourceType().GetEtag())
	})
	s.keepRefusal(ctx, name, err)
	return updated, err
}

// update makes a type what it is to be. That changes what roles with a level of
// its collection mean.
func (s *resourceTypes) update(ctx context.Context, tx *change.Tx, old, now *permissionv1.ResourceType, etag string) (stored *permissionv1.ResourceType, err error) {
	if err := s.mayWiden(ctx, tx, old, now); err != nil {
		return nil, err
	}
	home := resource.Parent(now.GetName())
	affected, err := s.Roles.Affected(tx, home, resourcetype.CollectionOf(now))
	if err != nil {
		return nil, err
	}
	err = s.redefine(tx, caller(ctx), home, affected, func() error {
		var v revision.Revision
		if stored, v, err = s.Roles.UpdateType(tx, tx.Time, now, etag); err == nil {
			recordType(tx, typeUpdated, v, stored, change.ChangedFields(old, stored))
		}
		return err
	})
	return stored, err
}

// mergeType returns the type with the fields of the paths taken from the other.
func mergeType(old, from *permissionv1.ResourceType, paths []string) *permissionv1.ResourceType {
	t := proto.CloneOf(old)
	for _, path := range paths {
		switch path {
		case "display_name":
			t.DisplayName = from.GetDisplayName()
		case "actions":
			t.Actions = proto.CloneOf(from).GetActions()
		}
	}
	return t
}

// mayWiden is mayGive for what a change of a type adds to roles that have a
// level of its collection. An action that is new is nobody's by name yet; who
// holds whatever is declared holds it once it is, and may give it.
func (s *resourceTypes) mayWiden(ctx context.Context, tx *change.Tx, old, now *permissionv1.ResourceType) error {
	added, err := s.Roles.WidenedByType(tx, old, now)
	if err != nil {
		return err
	}
	declared, err := s.Roles.DeclaredBy(tx, now)
	if err != nil {
		return err
	}
	home := resource.Parent(now.GetName())
	facts := declaring{Facts: s.Loader.Snapshot(tx), name: role.Declared(home), set: declared}
	return s.mayGiveBy(facts, tx, caller(ctx), home, added, 0)
}

// declaring are facts in which an organisation declares something else.
type declaring struct {
	decide.Facts
	name string
	set  role.Set
}

// Role implements decide.Facts.
func (d declaring) Role(name string) (role.Set, error) {
	if name == d.name {
		return d.set, nil
	}
	return d.Facts.Role(name)
}

// DeleteResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) DeleteResourceType(ctx context.Context, req *permissionv1.DeleteResourceTypeRequest) (*permissionv1.ResourceType, error) {
	if _, err := resourcetype.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ResourceType, error) {
		deleted, v, err := s.Roles.DeleteType(tx, tx.Time, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		recordType(tx, typeDeleted, v, deleted, nil)
		return deleted, nil
	})
}

func recordType(tx *change.Tx, kind string, v revision.Revision, t *permissionv1.ResourceType, fields []string) {
	tx.Record(change.Change{
		Resource: t.GetName(), Type: kind, ChangedFields: fields,
		Data: &permissionv1.ResourceTypeChanged{Collection: t.GetCollection(), Revision: v.Number},
	})
}
