package groupchat_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// register is a service permission that requires appointments, and has one of
// bo only.
type register struct {
	permissionv1.AdminAppointmentServiceServer
}

func (register) RequireAppointment(_ context.Context, req *permissionv1.RequireAppointmentRequest) (*permissionv1.RequireAppointmentResponse, error) {
	if req.GetAccount() == bo {
		return &permissionv1.RequireAppointmentResponse{AdminAppointment: acme + "/adminAppointments/a1"}, nil
	}
	return nil, errs.New(errs.Precondition, "APPOINTMENT_NEEDED", "tell customers first")
}

func TestAppointments_administratorsAreAppointedFirst(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			store := testkit.Store(t, "bolt", "permission", feed.Tables())
			log := must(feed.Open(t.Context(), feed.Config{Service: "permission", Store: store}))(t)
			p := newPermission()
			p.more = func(r grpc.ServiceRegistrar) {
				permissionv1.RegisterAdminAppointmentServiceServer(r, register{})
				permissionv1.RegisterPermissionEventServiceServer(r, sisterFeed{feed.NewServer(log)})
			}
			w := start(t, setting{Options: servetest.Options{Engine: engine}, permission: p})
			g := w.group(t, "lobby", mei, li)
			c := w.groups(t, clerk)
			_, err := c.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{Parent: g, Member: &groupchatv1.Member{Account: boss, Role: admin}})
			wantErr(t, err, errs.Precondition, "APPOINTMENT_NEEDED")
			w.add(t, g, boss, plain)
			_, err = c.UpdateMember(t.Context(), &groupchatv1.UpdateMemberRequest{
				Member: &groupchatv1.Member{Name: memberName(g, boss), Role: admin}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"role"}},
			})
			wantErr(t, err, errs.Precondition, "APPOINTMENT_NEEDED")
			w.add(t, g, bo, admin)

			// The owner, and who is no administrator, stay what they are.
			for _, of := range [][2]string{{clerk, g}, {mei, acme}, {li, g}, {bo, g}} {
				end(t, store, log, of[0], of[1])
			}
			role := func(account string) groupchatv1.MemberRole {
				return must(c.GetMember(t.Context(), &groupchatv1.GetMemberRequest{Name: memberName(g, account)}))(t).GetRole()
			}
			eventually(t, "bo is a plain member", func() bool { return role(bo) == plain && p.role(bo, g) == "roles/group.member" })
			if role(clerk) != owner || role(li) != plain {
				t.Errorf("clerk is %v, li %v", role(clerk), role(li))
			}
		})
	}
}

// TestAppointments_endWithWhomTheRoleWentTo: a role that rests on an appointment ends
// with it also after a merge, and does not come back when that is undone; that of the
// other account stays.
func TestAppointments_endWithWhomTheRoleWentTo(t *testing.T) {
	store := testkit.Store(t, "bolt", "permission", feed.Tables())
	log := must(feed.Open(t.Context(), feed.Config{Service: "permission", Store: store}))(t)
	p := newPermission()
	p.more = func(r grpc.ServiceRegistrar) {
		permissionv1.RegisterPermissionEventServiceServer(r, sisterFeed{feed.NewServer(log)})
	}
	w := start(t, setting{Options: servetest.Options{Engine: "bolt"}, permission: p})
	moved, both, unheard := w.group(t, "moved"), w.group(t, "both", tina), w.group(t, "unheard")
	for _, g := range []string{moved, both, unheard} {
		w.add(t, g, mei, admin)
	}
	w.move(t, false)
	end(t, store, log, mei, both)
	end(t, store, log, mei, moved)
	eventually(t, "tina is a plain member", func() bool { return p.role(tina, moved) == "roles/group.member" })
	if p.role(tina, unheard) != "roles/group.admin" || p.role(tina, both) != "roles/group.member" {
		t.Errorf("tina has %q and %q", p.role(tina, unheard), p.role(tina, both))
	}
	w.move(t, true)
	for g, want := range map[string]string{moved: "roles/group.member", both: "roles/group.member", unheard: "roles/group.admin"} {
		if got := p.role(mei, g); got != want {
			t.Errorf("in %s mei has %q, want %s", g, got, want)
		}
	}
}

// end tells that an account's appointment to administer something has ended.
func end(t *testing.T, store kv.Store, log *feed.Log, account, on string) {
	t.Helper()
	data := must(anypb.New(&permissionv1.AdminAppointmentChanged{Appointee: account, Role: "roles/group.admin", Resource: on, State: "ENDED"}))(t)
	err := store.Update(t.Context(), func(tx kv.Tx) error {
		return log.Append(tx, &eventv1.Event{
			Type: "guildhall.permission.admin_appointment.ended.v1", Subject: acme + "/adminAppointments/a1", Organization: acme,
			Time: timestamppb.Now(), Data: data,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Notify()
}
