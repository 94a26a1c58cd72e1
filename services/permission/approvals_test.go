package permission_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// twoPeople makes a rule that it takes two people to have the permissions.
func (r *replica) twoPeople(t *testing.T, permissions ...string) *permissionv1.SeparationRule {
	t.Helper()
	return r.rules(t, admin).create(&permissionv1.SeparationRule{
		DisplayName: "nobody does it alone",
		Rule:        &permissionv1.SeparationRule_TwoPerson{TwoPerson: &permissionv1.TwoPerson{Permissions: permissions}},
	})
}

// approval returns the name of sue's approval, filed by her and given by admin.
func (r *replica) approval(t *testing.T, v *permissionv1.WantedApproval) string {
	t.Helper()
	name := r.people(sue).file(t, sue, &permissionv1.PermissionChangeRequest{
		Justification: "the customer asked for it", Change: &permissionv1.PermissionChangeRequest_Approval{Approval: v},
	}).GetName()
	if err := r.people(boss).verify(t, name); err != nil {
		t.Fatal(err)
	}
	if err := r.people(admin).approve(t, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func approvedBy(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, authz.ApprovalHeader, name)
}

// acting makes calls of sue's, with an approval or without.
func acting(t *testing.T, r *replica) func(approval, group, requestID string) error {
	c := r.as(sue)
	return func(approval, group, requestID string) error {
		ctx := t.Context()
		if approval != "" {
			ctx = approvedBy(ctx, approval)
		}
		_, err := c.UpdateProperties(ctx, &permissionv1.UpdatePropertiesRequest{
			Parent: acme, Entity: acme + "/groups/" + group, RequestId: requestID,
		})
		return err
	}
}

// desk seeds an organisation in which boss and sue administer too.
func desk(t *testing.T, r *replica) {
	r.as(admin).grant(t, boss, "roles/organization.admin", acme)
	r.as(admin).grant(t, sue, "roles/organization.admin", acme)
}

const updateProperties = "permission.properties.update"

func TestApproval_letsOneCallThrough(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		desk(t, r)
		r.twoPeople(t, updateProperties)
		act := acting(t, r)
		mine := r.approval(t, &permissionv1.WantedApproval{Permission: updateProperties, Resource: groupOne, Duration: durationpb.New(10 * time.Minute)})
		elsewhere := r.approval(t, &permissionv1.WantedApproval{Permission: updateProperties, Resource: acme + "/groups/g2"})
		other := r.approval(t, &permissionv1.WantedApproval{Permission: createTeam, Resource: groupOne})
		if err := act(mine, "g1", ""); err != nil {
			t.Errorf("with an approval: %v", err)
		}
		if err := act(mine, "g1", ""); err != nil {
			t.Errorf("and once more: %v", err)
		}
		for name, test := range map[string]struct{ approval, reason string }{
			"without one":                {"", "APPROVAL_NEEDED"},
			"one made up":                {mine + "x", "APPROVAL_NEEDED"},
			"one of another tenant":      {"organizations/zeta/staff/z/permissionChangeRequests/r1", "APPROVAL_NEEDED"},
			"one of another resource":    {elsewhere, "APPROVAL_NEEDED"},
			"one of another permission":  {other, "APPROVAL_NEEDED"},
			"something that is none":     {sue, "APPROVAL_INVALID"},
			"the rule instead of a name": {acme + "/separationRules/r1", "APPROVAL_INVALID"},
		} {
			if err := act(test.approval, "g1", ""); errs.ReasonOf(err) != test.reason {
				t.Errorf("%s: %v, want %s", name, err, test.reason)
			}
		}
		_, err := r.as(boss).UpdateProperties(approvedBy(t.Context(), mine), &permissionv1.UpdatePropertiesRequest{
			Parent: acme, Entity: groupOne,
		})
		wantError(t, err, errs.Denied, "APPROVAL_NEEDED") // it is sue's
		r.in.setClock(time.Now().Add(11 * time.Minute))
		wantError(t, act(mine, "g1", ""), errs.Denied, "APPROVAL_NEEDED")
	})
}

func TestApproval_forASingleUseIsUsedUp(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		desk(t, r)
		r.twoPeople(t, updateProperties)
		act := acting(t, r)
		wanted := &permissionv1.WantedApproval{Permission: updateProperties, Resource: groupOne, SingleUse: true}
		once := r.approval(t, wanted)
		wantError(t, act(once, "g2", "m0"), errs.Denied, "APPROVAL_NEEDED") // and does not use it up
		if err := act(once, "g1", "m1"); err != nil {
			t.Fatalf("the first use: %v", err)
		}
		if err := act(once, "g1", "m1"); err != nil {
			t.Errorf("the same call sent again: %v", err)
		}
		wantError(t, act(once, "g1", "m2"), errs.Denied, "APPROVAL_NEEDED")
		wantError(t, act(once, "g1", ""), errs.Denied, "APPROVAL_NEEDED")
		v, err := r.people(sue).GetPermissionChangeRequest(t.Context(), &permissionv1.GetPermissionChangeRequestRequest{Name: once})
		if err != nil || v.GetState() != permissionv1.PermissionChangeRequest_STATE_APPLIED {
			t.Errorf("afterwards: %v, %v", v, err)
		}
		if moves := v.GetHistory(); moves[len(moves)-1].GetActor() != sue {
			t.Errorf("used by %v", moves[len(moves)-1])
		}
		// One that cannot be sent again is used by its first call.
		once = r.approval(t, wanted)
		if err := act(once, "g1", ""); err != nil {
			t.Fatalf("without a request_id: %v", err)
		}
		wantError(t, act(once, "g1", ""), errs.Denied, "APPROVAL_NEEDED")
	})
}

// TestApproval_throughASister asks as the interceptors of another service do.
func TestApproval_throughASister(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		desk(t, r)
		rule := r.twoPeople(t, createTeam)
		groupchat := authz.Remote(r.asService("groupchat").conn)
		ask := func(a authz.Approval, resources ...string) error {
			_, err := groupchat.Check(t.Context(), authz.Request{
				Caller: authn.Caller{Name: sue, Session: "s1"}, Permission: createTeam, Resources: resources, Approval: a,
			})
			return err
		}
		wantError(t, ask(authz.Approval{}, acme), errs.Denied, "APPROVAL_NEEDED")
		once := r.approval(t, &permissionv1.WantedApproval{Permission: createTeam, Resource: acme, SingleUse: true})
		// What is refused anyway uses nothing up.
		wantError(t, ask(authz.Approval{Name: once, Call: "c0"}, acme, groupOne), errs.Denied, "APPROVAL_NEEDED")
		first := authz.Approval{Name: once, Call: "c1"}
		for range 2 {
			if err := ask(first, acme); err != nil {
				t.Errorf("the call that it is for: %v", err)
			}
		}
		wantError(t, ask(authz.Approval{Name: once, Call: "c2"}, acme), errs.Denied, "APPROVAL_NEEDED")
		got := r.asService("gateway").ask(t, &permissionv1.CheckQuery{Subject: sue, Permission: createTeam, Resource: acme, Approval: once})
		if got.GetRule() != rule.GetName() || got.GetApprovalSingleUse() {
			t.Errorf("answered %v, want the rule", got)
		}
	})
}

func TestUseApproval_refusesWhatItIsNotFor(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	desk(t, r)
	once := r.approval(t, &permissionv1.WantedApproval{Permission: createTeam, Resource: acme, SingleUse: true})
	lasting := r.approval(t, &permissionv1.WantedApproval{Permission: createTeam, Resource: acme})
	use := func(service string, change func(q *permissionv1.UseApprovalRequest)) error {
		q := &permissionv1.UseApprovalRequest{Parent: acme, Approval: once, Subject: sue, Permission: createTeam, Resource: acme}
		change(q)
		_, err := permissionv1.NewPermissionChangeRequestServiceClient(r.asService(service).conn).UseApproval(t.Context(), q)
		return err
	}
	for name, test := range map[string]struct {
		change func(q *permissionv1.UseApprovalRequest)
		kind   errs.Kind
		reason string
	}{
		"another subject":     {func(q *permissionv1.UseApprovalRequest) { q.Subject = boss }, errs.NotFound, "CHANGE_REQUEST_NOT_FOUND"},
		"another permission":  {func(q *permissionv1.UseApprovalRequest) { q.Permission = updateProperties }, errs.NotFound, "CHANGE_REQUEST_NOT_FOUND"},
		"another resource":    {func(q *permissionv1.UseApprovalRequest) { q.Resource = groupOne }, errs.NotFound, "CHANGE_REQUEST_NOT_FOUND"},
		"another tenant's":    {func(q *permissionv1.UseApprovalRequest) { q.Parent = "organizations/zeta" }, errs.NotFound, "CHANGE_REQUEST_NOT_FOUND"},
		"one that is not":     {func(q *permissionv1.UseApprovalRequest) { q.Approval += "x" }, errs.NotFound, "CHANGE_REQUEST_NOT_FOUND"},
		"a name of none":      {func(q *permissionv1.UseApprovalRequest) { q.Approval = sue }, errs.Invalid, "RESOURCE_NAME_INVALID"},
		"one for its time":    {func(q *permissionv1.UseApprovalRequest) { q.Approval = lasting }, errs.Precondition, "ILLEGAL_STATE"},
		"without an approval": {func(q *permissionv1.UseApprovalRequest) { q.Approval = "" }, errs.Invalid, "VALIDATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, use("groupchat", test.change), test.kind, test.reason) })
	}
	asIs := func(*permissionv1.UseApprovalRequest) {}
	wantError(t, use("gateway", asIs), errs.Denied, "PERMISSION_DENIED")
	if err := use("groupchat", asIs); err != nil {
		t.Error(err)
	}
	wantError(t, use("groupchat", asIs), errs.Precondition, "ILLEGAL_STATE")
}
