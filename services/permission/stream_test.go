package permission_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// all returns the grants that ListGrants shows, by name.
func (c *client) all(t testing.TB) map[string]*permissionv1.Grant {
	t.Helper()
	found := make(map[string]*permissionv1.Grant)
	for token := ""; ; {
		resp, err := c.ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: acme, PageSize: 1000, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range resp.GetGrants() {
			found[g.GetName()] = g
		}
		if token = resp.GetNextPageToken(); token == "" {
			return found
		}
	}
}

func TestStreamGrants_isExactWhileGrantsChange(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		var changes []*permissionv1.GrantChange
		for i := range 900 {
			changes = append(changes, create(fmt.Sprintf("%s/staff/s%d", acme, i), "roles/viewer", acme))
		}
		made, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{Parent: acme, Changes: changes})
		if err != nil {
			t.Fatal(err)
		}
		// After each response one grant goes, first ones that were sent and
		// last ones that were not, and one comes.
		names, step := made.GetGrants(), 0
		copied := newCopy()
		change := func() {
			if step >= 8 {
				return
			}
			c.revoke(t, names[step].GetName())
			c.revoke(t, names[len(names)-1-step].GetName())
			c.grant(t, sue, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, step))
			step++
		}
		// It breaks after two responses, and goes on.
		conn := r.connect(admin)
		if err := copied.stream(t, conn, 2, change); err != nil {
			t.Fatal(err)
		}
		if err := copied.stream(t, conn, math.MaxInt, change); err != nil {
			t.Fatal(err)
		}
		if copied.end == nil || step < 4 {
			t.Fatalf("ended with %v after %d changes", copied.end, step)
		}
		r.follow(t, copied)
		if d := cmp.Diff(c.all(t), copied.grants, protocmp.Transform()); d != "" {
			t.Error(d)
		}
	})
}

// follow brings the copy up to date with the events behind its end. An event
// at or before the end's revision would be there twice.
func (r *replica) follow(t testing.TB, c *copyOf) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conn := r.connect(admin)
	s, err := permissionv1.NewPermissionEventServiceClient(conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{
		Parent: acme, Cursor: c.end.GetEventCursor(), TypePrefixes: []string{"guildhall.permission.grant."}, StopAtEnd: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := s.Recv()
		if err != nil {
			return
		}
		for _, e := range resp.GetEvents() {
			var changed permissionv1.GrantChanged
			if err := e.GetData().UnmarshalTo(&changed); err != nil {
				t.Fatal(err)
			}
			if changed.GetRevision() <= c.end.GetRevision() {
				t.Errorf("the event %s of revision %d comes twice: the stream ended at %d", e.GetId(), changed.GetRevision(), c.end.GetRevision())
			}
			g, err := permissionv1.NewGrantServiceClient(conn).GetGrant(t.Context(), &permissionv1.GetGrantRequest{Name: e.GetSubject()})
			switch {
			case errs.Is(err, errs.NotFound):
				delete(c.grants, e.GetSubject())
			case err != nil:
				t.Fatal(err)
			default:
				c.grants[g.GetName()] = g
			}
		}
	}
}

func TestStreamGrants_ofAQuietOrganizationEndsAtItsRevision(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		g := c.grant(t, sue, "roles/viewer", acme)
		copied := newCopy()
		if err := copied.stream(t, r.connect(admin), math.MaxInt, func() {}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.all(t), copied.grants, protocmp.Transform()); d != "" {
			t.Error(d)
		}
		// The revision is good for a change that supposes nothing has changed.
		_, err := c.BatchChangeGrants(t.Context(), &permissionv1.BatchChangeGrantsRequest{
			Parent: acme, Changes: []*permissionv1.GrantChange{remove(g.GetName())}, Revision: copied.end.GetRevision(),
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestStreamGrants_refuses(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		wantError(t, newCopy().stream(t, r.connect(sue), 1, func() {}), errs.Denied, "PERMISSION_DENIED")
		wantError(t, newCopy().stream(t, r.connect("organizations/zeta/staff/admin"), 1, func() {}), errs.NotFound, "RESOURCE_NOT_FOUND")
		made := newCopy()
		made.cursor = "made-up"
		wantField(t, made.stream(t, r.connect(admin), 1, func() {}), errs.Invalid, "CURSOR_INVALID", "cursor")
		// A cursor is its caller's.
		r.as(admin).grant(t, sue, "roles/auditor", acme)
		own := newCopy()
		if err := own.stream(t, r.connect(admin), 1, func() {}); err != nil {
			t.Fatal(err)
		}
		wantField(t, own.stream(t, r.connect(sue), 1, func() {}), errs.Invalid, "CURSOR_INVALID", "cursor")
	})
}
