package engine

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/kv"
)

// Metrics are the instruments of one store. They name the store and the
// engine, never a table or a key.
type Metrics struct {
	commit  metric.Float64Histogram
	batch   metric.Int64Histogram
	retries metric.Int64Counter
	attrs   metric.MeasurementOption
}

// NewMetrics makes the instruments on o.Meter, or ones that do nothing.
func NewMetrics(o kv.Options, engine string) (*Metrics, error) {
	meter := o.Meter
	if meter == nil {
		meter = noop.NewMeterProvider().Meter("")
	}
	m := &Metrics{attrs: metric.WithAttributeSet(attribute.NewSet(
		attribute.String("store", o.Name), attribute.String("engine", engine)))}
	var err error
	if m.commit, err = meter.Float64Histogram("guildhall.kv.commit.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one durable commit."),
		metric.WithExplicitBucketBoundaries(.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5)); err != nil {
		return nil, fmt.Errorf("kv: commit duration metric: %w", err)
	}
	if m.batch, err = meter.Int64Histogram("guildhall.kv.commit.updates", metric.WithUnit("{update}"),
		metric.WithDescription("Updates made durable by one commit."),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)); err != nil {
		return nil, fmt.Errorf("kv: commit updates metric: %w", err)
	}
	if m.retries, err = meter.Int64Counter("guildhall.kv.retries", metric.WithUnit("{retry}"),
		metric.WithDescription("Transactions run again after a conflict or a lost connection.")); err != nil {
		return nil, fmt.Errorf("kv: retries metric: %w", err)
	}
	return m, nil
}

// Committed records a commit that began at start and held that many updates.
func (m *Metrics) Committed(ctx context.Context, start time.Time, updates int) {
	m.commit.Record(ctx, time.Since(start).Seconds(), m.attrs)
	m.batch.Record(ctx, int64(updates), m.attrs)
}

// Retried records one more run of a transaction.
func (m *Metrics) Retried(ctx context.Context) { m.retries.Add(ctx, 1, m.attrs) }
