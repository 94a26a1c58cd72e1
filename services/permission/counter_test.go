package permission_test

import (
	"context"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// counter returns the value of a metric, of the points that have the
// attribute's value; "" is all.
func (r *replica) counter(name, value string) int64 {
	r.in.t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.metrics.Collect(context.Background(), &all); err != nil {
		r.in.t.Fatal(err)
	}
	var sum int64
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			data, ok := m.Data.(metricdata.Sum[int64])
			if m.Name != name || !ok {
				continue
			}
			for _, p := range data.DataPoints {
				for _, a := range p.Attributes.ToSlice() {
					if a.Value.AsString() == value {
						sum += p.Value
					}
				}
				if value == "" {
					sum += p.Value
				}
			}
		}
	}
	return sum
}
