package promise_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/all/promise"
)

const (
	// asked is the permission that all checks ask for.
	asked = "groupchat.messages.get"
	// patience bounds one try of a change or a check.
	patience = 4 * time.Second
)

// right is something that is given and taken away, again and again, and what
// checks of it ask.
type right struct {
	name     string
	subject  string
	resource string
	// set gives or takes the right away, through one replica. A second try has
	// the same id.
	set func(ctx context.Context, r *replica, n int, held bool) error
}

// workload drives a cluster and records what it sees.
type workload struct {
	cluster *cluster
	history *promise.History
	rights  []right

	checked, refused, changed, retried atomic.Int64
}

func newWorkload(c *cluster, each int) *workload {
	w := &workload{cluster: c, history: promise.Begin()}
	for i := range each {
		w.rights = append(w.rights, byGrant(i), byRole(i), bySuspension(i))
	}
	return w
}

// byGrant is a right that a grant gives.
func byGrant(i int) right {
	subject, resource := fmt.Sprintf("%s/staff/granted%d", home, i), fmt.Sprintf("%s/groups/granted%d", home, i)
	return right{name: fmt.Sprintf("grant %d", i), subject: subject, resource: resource,
		set: func(ctx context.Context, r *replica, n int, held bool) error {
			admin, _, _ := r.conns()
			grants, id := permissionv1.NewGrantServiceClient(admin), fmt.Sprintf("granted-%d", i)
			if held {
				_, err := grants.CreateGrant(ctx, &permissionv1.CreateGrantRequest{
					Parent: home, GrantId: id, RequestId: fmt.Sprintf("g%d-%d", i, n),
					Grant: &permissionv1.Grant{Subject: subject, Role: home + "/roles/reader", Resource: resource},
				})
				return err
			}
			_, err := grants.DeleteGrant(ctx, &permissionv1.DeleteGrantRequest{
				Name: home + "/grants/" + id, RequestId: fmt.Sprintf("g%d-%d", i, n),
			})
			return err
		}}
}

// byRole is a right that a role gives, to one who holds the role all the time.
func byRole(i int) right {
	subject, resource := fmt.Sprintf("%s/staff/roled%d", home, i), fmt.Sprintf("%s/groups/roled%d", home, i)
	return right{name: fmt.Sprintf("role %d", i), subject: subject, resource: resource,
		set: func(ctx context.Context, r *replica, n int, held bool) error {
			admin, _, _ := r.conns()
			role := &permissionv1.Role{Name: fmt.Sprintf("%s/roles/roled-%d", home, i), Permissions: []string{"groupchat.groups.get"}}
			if held {
				role.Permissions = append(role.Permissions, asked)
			}
			_, err := permissionv1.NewRoleServiceClient(admin).UpdateRole(ctx, &permissionv1.UpdateRoleRequest{
				Role: role, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}}, RequestId: fmt.Sprintf("r%d-%d", i, n),
			})
			return err
		}}
}

// bySuspension is a right of one who holds it all the time, and is suspended
// now and then.
func bySuspension(i int) right {
	subject, resource := fmt.Sprintf("%s/staff/suspended%d", home, i), fmt.Sprintf("%s/groups/suspended%d", home, i)
	return right{name: fmt.Sprintf("suspension %d", i), subject: subject, resource: resource,
		set: func(ctx context.Context, r *replica, n int, held bool) error {
			_, _, system := r.conns()
			state := "SUSPENDED"
			if held {
				state = "ACTIVE"
			}
			_, err := permissionv1.NewStandingServiceClient(system).SetStanding(ctx, &permissionv1.SetStandingRequest{
				Account: subject, State: state, Version: int64(n),
			})
			return err
		}}
}

// prepare makes the roles and grants that stay.
func (w *workload) prepare(ctx context.Context) error {
	admin, _, _ := w.cluster.replicas[0].conns()
	roles, grants := permissionv1.NewRoleServiceClient(admin), permissionv1.NewGrantServiceClient(admin)
	make := func(role string, permissions ...string) error {
		_, err := roles.CreateRole(ctx, &permissionv1.CreateRoleRequest{
			Parent: home, RoleId: role, Role: &permissionv1.Role{DisplayName: role, Permissions: permissions},
		})
		return err
	}
	give := func(subject, role, resource string) error {
		_, err := grants.CreateGrant(ctx, &permissionv1.CreateGrantRequest{
			Parent: home, Grant: &permissionv1.Grant{Subject: subject, Role: home + "/roles/" + role, Resource: resource},
		})
		return err
	}
	if err := make("reader", asked); err != nil {
		return err
	}
	for i := range len(w.rights) / 3 {
		role := fmt.Sprintf("roled-%d", i)
		if err := make(role, "groupchat.groups.get"); err != nil {
			return err
		}
		if err := give(byRole(i).subject, role, byRole(i).resource); err != nil {
			return err
		}
		s := bySuspension(i)
		if err := s.set(ctx, w.cluster.replicas[0], 1, false); err != nil {
			return err
		}
		if err := give(s.subject, "reader", s.resource); err != nil {
			return err
		}
	}
	return nil
}

// run changes every right, one change after the other, and checks them all the
// while, until ctx ends.
func (w *workload) run(ctx context.Context, checkers int) {
	var running sync.WaitGroup
	for _, one := range w.rights {
		running.Go(func() { w.change(ctx, one) })
	}
	for range checkers {
		running.Go(func() { w.check(ctx) })
	}
	running.Wait()
}

// change gives the right and takes it away by turns. A change whose answer does
// not come is tried again, through any replica, until one does: only then has
// it returned.
func (w *workload) change(ctx context.Context, one right) {
	held := false
	for n := 2; ctx.Err() == nil; n++ {
		held = !held
		op := promise.Operation{Right: one.name, Change: true, Value: held, Start: w.history.Now(), End: promise.Never}
		for try := 0; ctx.Err() == nil; try++ {
			r := w.cluster.any()
			if r == w.cluster.unwritten.Load() {
				continue
			}
			bounded, cancel := context.WithTimeout(ctx, patience)
			err := one.set(bounded, r, n, held)
			cancel()
			if err == nil {
				op.End, op.Where = w.history.Now(), fmt.Sprintf("through %s, try %d", r.name, try+1)
				w.changed.Add(1)
				break
			}
			w.retried.Add(1)
			pause(ctx, 20*time.Millisecond)
		}
		w.history.Add(op)
		pause(ctx, time.Duration(rand.IntN(150))*time.Millisecond)
	}
}

// check asks about any right at any replica.
func (w *workload) check(ctx context.Context) {
	for ctx.Err() == nil {
		one, r := w.rights[rand.IntN(len(w.rights))], w.cluster.any()
		bounded, cancel := context.WithTimeout(ctx, patience)
		op := promise.Operation{Right: one.name, Where: "at " + r.name, Start: w.history.Now()}
		allowed, err := r.may(bounded, one.subject, asked, one.resource)
		cancel()
		if err != nil {
			w.refused.Add(1)
			pause(ctx, 5*time.Millisecond)
			continue
		}
		op.End, op.Value = w.history.Now(), allowed
		w.history.Add(op)
		w.checked.Add(1)
	}
}

// report says what the run was, and its violations, the worst first.
func (w *workload) report() (violations []promise.Violation, summary string) {
	violations = promise.Verify(w.history.Operations())
	slices.SortFunc(violations, func(a, b promise.Violation) int { return int(b.Late - a.Late) })
	return violations, fmt.Sprintf("%d changes (%d tries failed), %d checks (%d not answered), %d violations",
		w.changed.Load(), w.retried.Load(), w.checked.Load(), w.refused.Load(), len(violations))
}

// pause waits for a while, or for the end.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
