package roles

import (
	"context"
	"maps"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/subject"
)

// properties implements permissionv1.PropertyServiceServer.
type properties struct{ Config }

// GetProperties implements permissionv1.PropertyServiceServer.
func (s *properties) GetProperties(ctx context.Context, req *permissionv1.GetPropertiesRequest) (*permissionv1.Properties, error) {
	if err := checkEntity(req); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Properties, error) {
		rec, err := s.Properties.Get(r, req.GetEntity())
		if err != nil {
			return nil, err
		}
		return shownProperties(rec), nil
	})
}

// ListProperties implements permissionv1.PropertyServiceServer.
func (s *properties) ListProperties(ctx context.Context, req *permissionv1.ListPropertiesRequest) (*permissionv1.ListPropertiesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListProperties", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Properties, []byte, error) {
			records, next, err := s.Properties.List(r, req.GetParent(), after, limit)
			var page []*permissionv1.Properties
			for _, rec := range records {
				page = append(page, shownProperties(rec))
			}
			return page, next, err
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListPropertiesResponse{Properties: found, NextPageToken: next}, nil
}

// UpdateProperties implements permissionv1.PropertyServiceServer.
func (s *properties) UpdateProperties(ctx context.Context, req *permissionv1.UpdatePropertiesRequest) (*permissionv1.Properties, error) {
	if err := checkEntity(req); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Properties, error) {
		stored, err := s.Edits.SetProperties(tx, req.GetEntity(), req.GetEtag(), func(old *structpb.Struct) *structpb.Struct {
			return mergeValues(old, req.GetValues(), req.GetReplace())
		})
		if err != nil {
			return nil, err
		}
		return shownProperties(stored), nil
	})
}

// DeleteProperties implements permissionv1.PropertyServiceServer.
func (s *properties) DeleteProperties(ctx context.Context, req *permissionv1.DeletePropertiesRequest) (*permissionv1.Properties, error) {
	if err := checkEntity(req); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Properties, error) {
		deleted, err := s.Edits.DeleteProperties(tx, req.GetEntity(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return shownProperties(deleted), nil
	})
}

// checkEntity refuses a name that is none, or is not the parent's.
func checkEntity(req interface {
	GetParent() string
	GetEntity() string
}) error {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return err
	}
	if err := property.Check("entity", req.GetEntity()); err != nil {
		return err
	}
	if req.GetEntity() != req.GetParent() && !strings.HasPrefix(req.GetEntity(), req.GetParent()+"/") {
		return errs.InvalidField("entity", "PARENT_MISMATCH", "name a subject or a resource of the parent")
	}
	return nil
}

// mergeValues returns what is stored after an update: a null takes its key
// away (RFC 7396), and only topmost keys are merged.
func mergeValues(old, from *structpb.Struct, replace bool) *structpb.Struct {
	now := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
	if !replace {
		maps.Copy(now.Fields, old.GetFields())
	}
	for key, value := range from.GetFields() {
		if _, null := value.GetKind().(*structpb.Value_NullValue); null {
			delete(now.Fields, key)
		} else {
			now.Fields[key] = value
		}
	}
	return now
}

func shownProperties(rec edit.Record) *permissionv1.Properties {
	return &permissionv1.Properties{
		Entity: rec.Value.GetName(), Values: rec.Value.GetProperties(),
		UpdateTime: rec.Value.GetUpdateTime(), Etag: rec.Etag,
	}
}
