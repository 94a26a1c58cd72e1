package review_test

import (
	"context"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// overdue returns what the metric says after a sweep.
func (o *office) overdue() int64 {
	o.t.Helper()
	reader := sdkmetric.NewManualReader()
	if err := o.Measure(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("")); err != nil {
		o.t.Fatal(err)
	}
	o.View(func(r kv.Reader) error { return o.Job().Look(r, o.Now) })
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		o.t.Fatal(err)
	}
	gauge, ok := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[int64])
	if !ok || len(gauge.DataPoints) != 1 {
		o.t.Fatalf("the metric is %v", all.ScopeMetrics)
	}
	return gauge.DataPoints[0].Value
}

// TestOverdue_isCountedWithEachWrite: what is kept of open items is what a count of
// all items comes to, whatever was done to them.
func TestOverdue_isCountedWithEachWrite(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		for _, role := range []string{"roles/viewer", "roles/auditor", "roles/staff", "roles/customer.service"} {
			o.Grant(sue, role, group)
		}
		v := o.start(campaign())
		late := func(what string, want int64) {
			t.Helper()
			o.Now = o.Now.Add(24 * time.Hour)
			if got, counted := o.overdue(), int64(o.sum(v.GetName()).GetOverdue()); got != want || counted != want {
				t.Errorf("%s: %d overdue, %d by a count of all, want %d", what, got, counted, want)
			}
			o.Now = o.Now.Add(-24 * time.Hour)
		}
		if got := o.overdue(); got != 0 {
			t.Errorf("%d overdue in time", got)
		}
		late("all are open", 4)
		items := o.items(v.GetName(), "")
		for _, d := range []permissionv1.ReviewDecision{keep, revoke} { // decided anew
			if err := o.decide(items[0], items[0].GetReviewer(), d); err != nil {
				t.Fatal(err)
			}
			late("one is decided", 3)
		}
		if err := o.Do(func(tx *change.Tx) error {
			_, err := o.Reassign(tx, items[2].GetName(), "", admin)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		late("one is another's", 3)
		if err := o.decide(items[2], admin, keep); err != nil {
			t.Fatal(err)
		}
		late("that is decided too", 2)
		if _, err := o.close(v.GetName(), true); err != nil {
			t.Fatal(err)
		}
		late("it is closed", 0)
	})
}
