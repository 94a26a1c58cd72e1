package permission_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// watching is an open watch.
type watching struct {
	t      testing.TB
	stream grpc.BidiStreamingClient[permissionv1.WatchChangesRequest, permissionv1.WatchChangesResponse]
}

// watch follows organisations as groupchat does.
func (r *replica) watch(organizations ...string) *watching {
	t := r.in.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := r.asService("groupchat").WatchChanges(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{t, stream}
	w.follow(organizations...)
	return w
}

func (w *watching) follow(organizations ...string) {
	w.t.Helper()
	if err := w.stream.Send(&permissionv1.WatchChangesRequest{Organizations: organizations}); err != nil {
		w.t.Fatal(err)
	}
}

// next returns what is told next, passing over that there was nothing.
func (w *watching) next() []*permissionv1.ChangedNames {
	w.t.Helper()
	for {
		resp, err := w.stream.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		if len(resp.GetChanges()) > 0 {
			return resp.GetChanges()
		}
	}
}

// untilNamed reads until the name was told in the organisation acme.
func (w *watching) untilNamed(name string) {
	w.t.Helper()
	for {
		for _, c := range w.next() {
			if c.GetOrganization() != acme || c.GetEverything() {
				w.t.Errorf("told %v", c)
			}
			if slices.Contains(c.GetNames(), name) {
				return
			}
		}
	}
}

// TestWatchChanges_tellsWhoIsConcerned: changes come by whichever replica, and
// are told by the other.
func TestWatchChanges_tellsWhoIsConcerned(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	one, two := in.start(), in.start()
	in.seed(one)
	w := two.watch(acme)
	if first := w.next(); len(first) != 1 || first[0].GetOrganization() != acme || !first[0].GetEverything() {
		t.Errorf("told first %v", first)
	}
	g := one.as(admin).grant(t, sue, "roles/viewer", acme)
	w.untilNamed(sue)
	one.as(admin).revoke(t, g.GetName())
	w.untilNamed(sue)
	one.asService("identity").setState(t, carl, "SUSPENDED", 1)
	w.untilNamed(carl)
	one.asService("identity").endSession(t, sue, "s1")
	w.untilNamed(sue)
	team := acme + "/teams/sales"
	one.as(admin).grant(t, team, "roles/viewer", acme)
	w.untilNamed(team)
	w.follow("organizations/zeta")
	if next := w.next(); len(next) != 1 || next[0].GetOrganization() != "organizations/zeta" || !next[0].GetEverything() {
		t.Errorf("told %v when another began to be followed", next)
	}
}

// TestWatchChanges_tellsWhoseGrantsHaveExpired: nobody changes anything then.
func TestWatchChanges_tellsWhoseGrantsHaveExpired(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	now := time.Now()
	if _, err := r.as(admin).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
		Subject: sue, Role: "roles/viewer", Resource: acme, ExpireTime: timestamppb.New(now.Add(time.Hour)),
	}}); err != nil {
		t.Fatal(err)
	}
	w := r.watch(acme)
	w.next()
	in.setClock(now.Add(time.Hour + 2*time.Second))
	w.untilNamed(sue)
	if r.asService("gateway").may(t, sue, "groupchat.groups.get", acme+"/groups/g1") {
		t.Error("the grant counts when it was told to have ended")
	}
}

// TestWatchChanges_saysThatItIsAlive: silence means that it is not.
func TestWatchChanges_saysThatItIsAlive(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	w := r.watch()
	began := time.Now()
	for range 3 {
		if resp, err := w.stream.Recv(); err != nil || len(resp.GetChanges()) > 0 {
			t.Fatalf("told %v, %v", resp, err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it was silent for %s", took)
	}
}

func TestWatchChanges_isForSistersAlone(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	stream, err := r.asService("gateway").WatchChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&permissionv1.WatchChangesRequest{}) // the refusal is in Recv
	_, err = stream.Recv()
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	stream, err = r.asService("groupchat").WatchChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&permissionv1.WatchChangesRequest{Organizations: []string{"acme"}}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
}
