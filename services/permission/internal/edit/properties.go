package edit

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
)

// Types of the events of properties.
const (
	propertiesUpdated = "guildhall.permission.properties.updated.v1"
	propertiesDeleted = "guildhall.permission.properties.deleted.v1"
)

// Record is the stored properties of an entity.
type Record = kv.Record[*storev1.Properties]

// SetProperties makes the properties of an entity those that become returns of
// the ones there are. The same again change nothing. Reasons are those of
// property.Put.
func (e *Editor) SetProperties(tx *change.Tx, entity, etag string, become func(old *structpb.Struct) *structpb.Struct) (Record, error) {
	old, err := e.Loader.Properties.Get(tx, entity)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return old, err
	}
	now := become(old.Value.GetProperties())
	keys := changedKeys(old.Value.GetProperties(), now)
	if old.Found() && len(keys) == 0 {
		tx.Unchanged()
		return old, old.CheckEtag(etag)
	}
	stored, v, err := e.Loader.Properties.Put(tx, tx.Time, entity, now, etag)
	if err == nil {
		recordProperties(tx, propertiesUpdated, entity, keys, v)
	}
	return stored, err
}

// DeleteProperties deletes the properties of an entity. Reasons are those of
// property.Delete.
func (e *Editor) DeleteProperties(tx *change.Tx, entity, etag string) (Record, error) {
	deleted, v, err := e.Loader.Properties.Delete(tx, tx.Time, entity, etag)
	if err == nil {
		recordProperties(tx, propertiesDeleted, entity, changedKeys(deleted.Value.GetProperties(), nil), v)
	}
	return deleted, err
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
