package rpc

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/datamask"
)

// masked counts what field policies took out of answers.
type masked struct {
	fields metric.Int64Counter
}

func newMasked(meter metric.MeterProvider) (*masked, error) {
	if meter == nil {
		meter = metricnoop.NewMeterProvider()
	}
	fields, err := meter.Meter("guildhall.dev/pkg/rpc").Int64Counter("guildhall.rpc.fields.masked",
		metric.WithDescription("Fields that field policies kept from a caller, by class of data and by how much was left: masked or hidden."))
	if err != nil {
		return nil, fmt.Errorf("the metric of masked fields: %w", err)
	}
	return &masked{fields: fields}, nil
}

func (m *masked) record(ctx context.Context, counts map[datamask.Masked]int) {
	for what, n := range counts {
		visibility := "masked"
		if what.Hidden {
			visibility = "hidden"
		}
		m.fields.Add(ctx, int64(n), metric.WithAttributes(
			attribute.String("class", what.Class), attribute.String("visibility", visibility)))
	}
}
