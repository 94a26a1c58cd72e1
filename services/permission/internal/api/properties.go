package api

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
)

// Types of the events of properties.
const (
	propertiesUpdated = "guildhall.permission.properties.updated.v1"
	propertiesDeleted = "guildhall.permission.properties.deleted.v1"
)

type properties struct{ Config }

// GetProperties implements permissionv1.PropertyServiceServer.
func (s *properties) GetProperties(ctx context.Context, req *permissionv1.GetPropertiesRequest) (*permissionv1.Properties, error) {
	if err := checkEntity(req); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Properties, error) {
		rec, err := s.Loader.Properties.Get(r, req.GetEntity())
		if err != nil {
			return nil, err
		}
		return shownProperties(rec), nil
	})
}

// ListProperties implements permissionv1.PropertyServiceServer.
func (s *properties) ListProperties(ctx context.Context, req *permissionv1.ListPropertiesRequest) (*permissionv1.ListPropertiesResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListProperties", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Properties, []byte, error) {
			records, next, err := s.Loader.Properties.List(r, req.GetParent(), after, limit)
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
		old, err := s.Loader.Properties.Get(tx, req.GetEntity())
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		now := mergeValues(old.Value.GetProperties(), req.GetValues(), req.GetReplace())
		keys := changedKeys(old.Value.GetProperties(), now)
		if old.Found() && len(keys) == 0 {
			tx.Unchanged()
			return shownProperties(old), old.CheckEtag(req.GetEtag())
		}
		stored, v, err := s.Loader.Properties.Put(tx, tx.Time, req.GetEntity(), now, req.GetEtag())
		if err != nil {
			return nil, err
		}
		recordProperties(tx, propertiesUpdated, req.GetEntity(), keys, v)
		return shownProperties(stored), nil
	})
}

// DeleteProperties implements permissionv1.PropertyServiceServer.
func (s *properties) DeleteProperties(ctx context.Context, req *permissionv1.DeletePropertiesRequest) (*permissionv1.Properties, error) {
	if err := checkEntity(req); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Properties, error) {
		deleted, v, err := s.Loader.Properties.Delete(tx, tx.Time, req.GetEntity(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		recordProperties(tx, propertiesDeleted, req.GetEntity(), changedKeys(deleted.Value.GetProperties(), nil), v)
		return shownProperties(deleted), nil
	})
}

// checkEntity refuses a name that is none, or is not the parent's.
func checkEntity(req interface {
	GetParent() string
	GetEntity() string
}) error {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
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

// changedKeys returns the topmost keys whose values differ, sorted.
func changedKeys(old, now *structpb.Struct) []string {
	all := make(map[string]bool)
	for key, value := range now.GetFields() {
		if before, ok := old.GetFields()[key]; !ok || !proto.Equal(before, value) {
			all[key] = true
		}
	}
	for key := range old.GetFields() {
		if _, ok := now.GetFields()[key]; !ok {
			all[key] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// recordProperties records a change by its keys: what they hold may be about a
// person, and stays where it is.
func recordProperties(tx *change.Tx, kind, entity string, keys []string, v revision.Revision) {
	fields := make([]string, len(keys))
	for i, key := range keys {
		fields[i] = "values." + key
	}
	tx.Record(change.Change{
		Resource: entity, Type: kind, ChangedFields: fields,
		Data: &permissionv1.PropertiesChanged{Keys: keys, Revision: v.Number},
	})
}

func shownProperties(rec kv.Record[*storev1.Properties]) *permissionv1.Properties {
	return &permissionv1.Properties{
		Entity: rec.Value.GetName(), Values: rec.Value.GetProperties(),
		UpdateTime: rec.Value.GetUpdateTime(), Etag: rec.Etag,
	}
}
