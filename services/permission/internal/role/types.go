package role

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/revision"
)

// Types returns the resource types of all organisations, to read them. They
// change through the methods of Roles, which see to the roles that speak of
// them.
func (s *Roles) Types() *resourcetype.Types { return s.types }

// CreateType declares a resource type in the transaction of a change at the
// given time. Errors are those of resourcetype.Types.Create.
func (s *Roles) CreateType(tx kv.Tx, at time.Time, t *permissionv1.ResourceType) (*permissionv1.ResourceType, revision.Revision, error) {
	created, err := s.types.Create(tx, at, t)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := s.touchType(tx, at, created)
	return created, v, err
}

// UpdateType stores a changed type. Errors are those of
// resourcetype.Types.Update, and Precondition (RESOURCE_TYPE_IN_USE) when a
// role names the permission of an action that it takes away.
func (s *Roles) UpdateType(tx kv.Tx, at time.Time, now *permissionv1.ResourceType, etag string) (*permissionv1.ResourceType, revision.Revision, error) {
	old, err := s.types.Get(tx, now.GetName())
	if err != nil {
		return nil, revision.Revision{}, err
	}
	kept := levels(now)
	for _, a := range old.GetActions() {
		if _, ok := kept[a.GetId()]; ok {
			continue
		}
		if err := s.checkUnused(tx, now.GetName(), a.GetPermission()); err != nil {
			return nil, revision.Revision{}, err
		}
	}
	stored, err := s.types.Update(tx, at, now, etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := s.touchType(tx, at, stored)
	return stored, v, err
}

// DeleteType removes a type. Errors are those of resourcetype.Types.Delete, and
// Precondition (RESOURCE_TYPE_IN_USE) when a role speaks of it.
func (s *Roles) DeleteType(tx kv.Tx, at time.Time, name, etag string) (*permissionv1.ResourceType, revision.Revision, error) {
	t, err := s.types.Get(tx, name)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	things := []string{resourcetype.CollectionOf(t)}
	for _, a := range t.GetActions() {
		things = append(things, a.GetPermission())
	}
	for _, thing := range things {
		if err := s.checkUnused(tx, name, thing); err != nil {
			return nil, revision.Revision{}, err
		}
	}
	deleted, err := s.types.Delete(tx, name, etag)
	if err != nil {
		return nil, revision.Revision{}, err
	}
	v, err := s.touchType(tx, at, deleted)
	return deleted, v, err
}

// WidenedByType returns the permissions, sorted, that a change of a type gives
// to holders of roles: actions that come to a level that a role may have.
func (s *Roles) WidenedByType(r kv.Reader, old, now *permissionv1.ResourceType) ([]string, error) {
	users, err := s.Including(r, resource.Parent(now.GetName()), resourcetype.CollectionOf(now), 1)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	before := levels(old)
	var names []string
	for id, level := range levels(now) {
		if was, ok := before[id]; !ok || level < was {
			names = append(names, resourcetype.CollectionOf(now)+"."+id)
		}
	}
	slices.Sort(names)
	return names, nil
}

// DeclaredBy returns the set of what an organisation declares when one of its
// types has been changed to the one given.
func (s *Roles) DeclaredBy(r kv.Reader, now *permissionv1.ResourceType) (Set, error) {
	names, err := s.types.Permissions(r, resource.Parent(now.GetName()))
	for _, a := range now.GetActions() {
		names = append(names, resourcetype.CollectionOf(now)+"."+a.GetId())
	}
	return s.catalogue.Of(names), err
}

func levels(t *permissionv1.ResourceType) map[string]permissionv1.Level {
	m := make(map[string]permissionv1.Level)
	for _, a := range t.GetActions() {
		m[a.GetId()] = a.GetLevel()
	}
	return m
}

// checkUnused refuses to take away what a role is made of.
func (s *Roles) checkUnused(r kv.Reader, typeName, thing string) error {
	users, err := s.Including(r, resource.Parent(typeName), thing, 1)
	if err != nil || len(users) == 0 {
		return err
	}
	return errs.New(errs.Precondition, "RESOURCE_TYPE_IN_USE",
		fmt.Sprintf("the role %s has %s; change the role first", users[0].GetName(), thing),
		errs.Meta("role", users[0].GetName()), errs.Meta("permission", thing))
}

// touchType notes that the organisation declares something else now, and that
// roles with a level of the collection may mean something else.
func (s *Roles) touchType(tx kv.Tx, at time.Time, t *permissionv1.ResourceType) (revision.Revision, error) {
	organization := resource.Parent(t.GetName())
	roles, err := s.above(tx, organization, resourcetype.CollectionOf(t))
	if err != nil {
		return revision.Revision{}, err
	}
	touched := append([]string{Declared(organization)}, slices.Sorted(maps.Keys(roles))...)
	return revision.Bump(tx, organization, at, touched...)
}
