package permission_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestAlarms_bulkReadingIsNoticed(t *testing.T) {
	in := install(t, "bolt")
	first := in.start()
	in.seed(first)
	first.as(admin).grant(t, sue, "roles/viewer", acme)
	rule := first.rules(t, admin).create(&permissionv1.SeparationRule{
		DisplayName: "a hundred customers a minute", Resource: acme,
		Rule: &permissionv1.SeparationRule_BulkRead{BulkRead: &permissionv1.BulkRead{Threshold: 100, Window: durationpb.New(time.Minute)}},
	})
	first.stop()
	r := in.start() // which begins with the rule
	gateway := r.asService("gateway")
	alarms := permissionv1.NewAlarmServiceClient(r.connect(admin))
	list := func() []*permissionv1.Alarm {
		resp, err := alarms.ListAlarms(t.Context(), &permissionv1.ListAlarmsRequest{Parent: acme})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetAlarms()
	}
	n := 0
	in.await(func() bool {
		for range 20 {
			n++
			gateway.wantMay(t, true, sue, "identity.customers.get", fmt.Sprintf("%s/customers/c%d", acme, n))
			gateway.wantMay(t, false, sue, "identity.customers.update", fmt.Sprintf("%s/customers/d%d", acme, n)) // is no read
		}
		return len(list()) > 0
	})
	if a := list(); len(a) != 1 || a[0].GetSubject() != sue || a[0].GetRule() != rule.GetName() || a[0].GetResources() <= 100 || n <= 90 {
		t.Errorf("after %d reads: %v", n, a)
	}
	in.await(func() bool { return r.counter("guildhall.permission.alarms", "") == 1 })
	_, err := permissionv1.NewAlarmServiceClient(r.connect(sue)).ListAlarms(t.Context(), &permissionv1.ListAlarmsRequest{Parent: "organizations/zeta"})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
}

// TestAlarms_areOfWhatAllReplicasAnswer: neither replica sees as much as the
// rule finds too much, and both together raise one alarm.
func TestAlarms_areOfWhatAllReplicasAnswer(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	first := in.start()
	in.seed(first)
	first.as(admin).grant(t, sue, "roles/viewer", acme)
	first.rules(t, admin).create(&permissionv1.SeparationRule{
		DisplayName: "a hundred customers an hour", Resource: acme,
		Rule: &permissionv1.SeparationRule_BulkRead{BulkRead: &permissionv1.BulkRead{Threshold: 100, Window: durationpb.New(time.Hour)}},
	})
	first.stop()
	replicas := []*replica{in.start(), in.start()} // which begin with the rule
	alarms := permissionv1.NewAlarmServiceClient(replicas[0].connect(admin))
	gateways := []*client{replicas[0].asService("gateway"), replicas[1].asService("gateway")}
	var found []*permissionv1.Alarm
	in.await(func() bool {
		for i := range replicas { // again is not more
			for n := range 75 {
				gateways[i].may(t, sue, "identity.customers.get", fmt.Sprintf("%s/customers/c%d-%d", acme, i, n))
			}
		}
		resp, err := alarms.ListAlarms(t.Context(), &permissionv1.ListAlarmsRequest{Parent: acme})
		if err != nil {
			t.Fatal(err)
		}
		found = resp.GetAlarms()
		return len(found) > 0
	})
	if len(found) != 1 || found[0].GetSubject() != sue || found[0].GetResources() <= 100 {
		t.Errorf("after 75 reads through each of two: %v", found)
	}
}
