package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// loaders is how many calls at a time load the data set.
const loaders = 32

// load brings the data set into the permission service: memberships by the
// feed of identity's stand-in, roles and grants by its API.
func (m *measured) load(ctx context.Context) error {
	d := m.data
	if err := m.standIn.tellOrganization(ctx); err != nil {
		return err
	}
	admin, err := newAdmin(m.permission.at.GRPC, m.standIn)
	if err != nil {
		return err
	}
	defer admin.close()
	if err := await(ctx, "the organisation has its administrator", time.Minute, func() (bool, error) {
		return m.checks.may(ctx, administrator, "permission.grants.create", home)
	}); err != nil {
		return err
	}
	if err := m.standIn.tellMembers(ctx, d); err != nil {
		return err
	}
	if err := each(ctx, d.roles, func(ctx context.Context, i int) error { return admin.role(ctx, d, i) }); err != nil {
		return err
	}
	if err := each(ctx, d.teams, func(ctx context.Context, i int) error { return admin.grant(ctx, d, i) }); err != nil {
		return err
	}
	last := d.users - 1
	return await(ctx, "all memberships have arrived", 10*time.Minute, func() (bool, error) {
		return m.checks.may(ctx, d.user(last), d.permissions[0], d.group(d.teamOf(last, memberships-1)))
	})
}

// each runs do for 0 to n-1, several at a time.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loaders)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// role makes the i-th role, of permissions that all roles have, so that every
// role allows every question: what decides is who holds it on what.
func (a *admin) role(ctx context.Context, d Dataset, i int) error {
	_, err := a.roles.CreateRole(ctx, &permissionv1.CreateRoleRequest{
		Parent: home, RoleId: fmt.Sprintf("r%d", i),
		Role: &permissionv1.Role{DisplayName: fmt.Sprintf("Role %d", i), Permissions: d.permissions},
	})
	return err
}

// grant gives the i-th team its role on its group.
func (a *admin) grant(ctx context.Context, d Dataset, i int) error {
	_, err := a.grants.CreateGrant(ctx, &permissionv1.CreateGrantRequest{
		Parent: home, Grant: &permissionv1.Grant{Subject: d.team(i), Role: d.role(i % d.roles), Resource: d.group(i)},
	})
	return err
}
