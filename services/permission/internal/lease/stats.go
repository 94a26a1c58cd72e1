package lease

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Outcomes of waiting, as the metric names them.
const (
	outcomeAcknowledged = "acknowledged"
	outcomeRanOut       = "run_out"
	outcomePending      = "pending"
)

// stats are the metrics of a Keeper.
type stats struct {
	renewed, failed atomic.Int64
	others          atomic.Int64
	wait            metric.Float64Histogram
	outcomes        map[string]metric.MeasurementOption
}

// newStats makes the metrics; a nil meter makes ones that do nothing. age
// returns how old the term is.
func newStats(meter metric.Meter, age func() time.Duration) (*stats, error) {
	if meter == nil {
		meter = noop.NewMeterProvider().Meter("")
	}
	s := &stats{outcomes: make(map[string]metric.MeasurementOption)}
	for _, o := range []string{outcomeAcknowledged, outcomeRanOut, outcomePending} {
		s.outcomes[o] = attributes("outcome", o)
	}
	var err error
	if s.wait, err = meter.Float64Histogram("guildhall.permission.change.wait", metric.WithUnit("s"),
		metric.WithDescription("Time from a change's commit until no replica answers from before it, by outcome."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2, 3, 5, 10, 30)); err != nil {
		return nil, fmt.Errorf("metric of waiting: %w", err)
	}
	ok, failed := attributes("result", "ok"), attributes("result", "error")
	if _, err := meter.Int64ObservableCounter("guildhall.permission.lease.renewals", metric.WithDescription("Renewals of this replica's lease, by result."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(s.renewed.Load(), ok)
			o.Observe(s.failed.Load(), failed)
			return nil
		})); err != nil {
		return nil, fmt.Errorf("metric of renewals: %w", err)
	}
	if _, err := meter.Float64ObservableGauge("guildhall.permission.lease.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the renewal that this replica's lease counts from; beyond the lease's length it answers from the store."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(age().Seconds())
			return nil
		})); err != nil {
		return nil, fmt.Errorf("metric of the lease's age: %w", err)
	}
	if _, err := meter.Int64ObservableGauge("guildhall.permission.lease.others", metric.WithDescription("Leases of other replicas in the store, dead ones that are still to be swept among them."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(s.others.Load())
			return nil
		})); err != nil {
		return nil, fmt.Errorf("metric of leases: %w", err)
	}
	return s, nil
}

func (s *stats) waited(ctx context.Context, outcome string, d time.Duration) {
	s.wait.Record(context.WithoutCancel(ctx), d.Seconds(), s.outcomes[outcome])
}

func attributes(key, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
}
