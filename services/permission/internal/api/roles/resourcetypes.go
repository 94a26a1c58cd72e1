package roles

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/subject"
)

// resourceTypes implements permissionv1.ResourceTypeServiceServer.
type resourceTypes struct{ Config }

// CreateResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) CreateResourceType(ctx context.Context, req *permissionv1.CreateResourceTypeRequest) (*permissionv1.ResourceType, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := resource.CheckID("resource_type_id", req.GetResourceTypeId()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ResourceType, error) {
		t := proto.CloneOf(req.GetResourceType())
		t.Name = req.GetParent() + "/resourceTypes/" + req.GetResourceTypeId()
		return s.Edits.CreateType(tx, t)
	})
}

// GetResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) GetResourceType(ctx context.Context, req *permissionv1.GetResourceTypeRequest) (*permissionv1.ResourceType, error) {
	if err := resourcetype.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.ResourceType, error) {
		return s.Roles.Types().Get(r, req.GetName())
	})
}

// ListResourceTypes implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) ListResourceTypes(ctx context.Context, req *permissionv1.ListResourceTypesRequest) (*permissionv1.ListResourceTypesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
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
	if err := resourcetype.Pattern.Check("resource_type.name", name); err != nil {
		return nil, err
	}
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetResourceType(), edit.TypeFields()...)
	if err != nil {
		return nil, err
	}
	updated, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ResourceType, error) {
		old, err := s.Roles.Types().Get(tx, name)
		if err != nil {
			return nil, err
		}
		now := edit.MergeType(old, req.GetResourceType(), paths)
		return s.Edits.UpdateType(tx, authn.CallerOf(ctx), old, now, req.GetResourceType().GetEtag())
	})
	s.Journal.KeepRefusal(ctx, name, err)
	return updated, err
}

// DeleteResourceType implements permissionv1.ResourceTypeServiceServer.
func (s *resourceTypes) DeleteResourceType(ctx context.Context, req *permissionv1.DeleteResourceTypeRequest) (*permissionv1.ResourceType, error) {
	if err := resourcetype.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ResourceType, error) {
		return s.Edits.DeleteType(tx, req.GetName(), req.GetEtag())
	})
}
