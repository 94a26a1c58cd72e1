package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/all/internal/stage"
)

// loaders is how many calls at a time load the data set.
const loaders = 32

// load brings the data set into the permission service: memberships by the
// feed of identity's stand-in, roles and grants by its API.
func (m *measured) load(ctx context.Context) error {
	d := m.data
	err := m.standIn.Tell(ctx, home, stage.Event{
		Type: "guildhall.identity.organization.created.v1", Subject: home,
		Data: &identityv1.OrganizationCreated{Administrator: administrator},
	})
	if err != nil {
		return err
	}
	admin, err := newAdmin(m.permission.At.GRPC, m.standIn)
	if err != nil {
		return err
	}
	defer admin.close()
	if err := stage.Await(ctx, "the organisation has its administrator", time.Minute, func() (bool, error) {
		return m.checks.may(ctx, administrator, "permission.grants.create", home)
	}); err != nil {
		return err
	}
	if err := tellMembers(ctx, m.standIn, d); err != nil {
		return err
	}
	if err := each(ctx, d.roles, func(ctx context.Context, i int) error { return admin.role(ctx, d, i) }); err != nil {
		return err
	}
	if err := each(ctx, d.teams, func(ctx context.Context, i int) error { return admin.grant(ctx, d, i) }); err != nil {
		return err
	}
	last := d.users - 1
	return stage.Await(ctx, "all memberships have arrived", 10*time.Minute, func() (bool, error) {
		return m.checks.may(ctx, d.user(last), d.permissions[0], d.group(d.teamOf(last, memberships-1)))
	})
}

// tellMembers tells who is in which team.
func tellMembers(ctx context.Context, identity *stage.StandIn, d Dataset) error {
	const atOnce = 500
	var events []stage.Event
	for user := range d.users {
		for k := range memberships {
			team := d.team(d.teamOf(user, k))
			events = append(events, stage.Event{
				Type: "guildhall.identity.team_member.created.v1", Subject: fmt.Sprintf("%s/members/u%d", team, user),
				Data: &identityv1.TeamMemberChanged{Team: team, Account: d.user(user)},
			})
		}
		if len(events) >= atOnce || user == d.users-1 {
			if err := identity.Tell(ctx, home, events...); err != nil {
				return err
			}
			events = events[:0]
		}
	}
	return nil
}

// admin is a connection whose calls are the administrator's.
type admin struct {
	conn   *grpc.ClientConn
	roles  permissionv1.RoleServiceClient
	grants permissionv1.GrantServiceClient
}

func newAdmin(address string, identity *stage.StandIn) (*admin, error) {
	conn, err := identity.As(address, administrator)
	if err != nil {
		return nil, err
	}
	return &admin{conn: conn, roles: permissionv1.NewRoleServiceClient(conn), grants: permissionv1.NewGrantServiceClient(conn)}, nil
}

func (a *admin) close() { a.conn.Close() }

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
