package cache

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Stats counts what the cache does. They are plain counters that the metrics
// read, because a check costs less than a metric with attributes.
type Stats struct {
	// Memory, Redis and Store count subjects and roles by where they were
	// found.
	Memory, Redis, Store atomic.Int64
	// RedisStale counts entries of Redis that were too old to use, or not
	// ours.
	RedisStale atomic.Int64
	// RedisFailures counts commands that Redis did not answer.
	RedisFailures atomic.Int64
	// Refused counts entries that a change overtook between their read and
	// their arrival.
	Refused atomic.Int64
	// RevisionReads counts reads of revisions that checks waited for.
	RevisionReads atomic.Int64
	// Snapshots counts checks answered from a snapshot of the store, because
	// changes came too thick for memory.
	Snapshots atomic.Int64
}

// register makes the metrics; nil makes none.
func (s *Stats) register(meter metric.Meter) error {
	if meter == nil {
		return nil
	}
	plain := []struct {
		name, text string
		value      *atomic.Int64
	}{
		{"guildhall.permission.revision.reads", "Reads of an organisation's revision that checks waited for; concurrent checks share one.", &s.RevisionReads},
		{"guildhall.permission.snapshots", "Checks answered from a snapshot of the store because changes came too thick for memory.", &s.Snapshots},
		{"guildhall.permission.cache.refused", "Entries that a change overtook while they were read.", &s.Refused},
		{"guildhall.permission.redis.stale", "Entries of Redis that were too old to use, or not ours.", &s.RedisStale},
		{"guildhall.permission.redis.failures", "Commands that Redis did not answer in time.", &s.RedisFailures},
	}
	for _, p := range plain {
		if err := observe(meter, p.name, p.text, func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(p.value.Load())
			return nil
		}); err != nil {
			return err
		}
	}
	level := func(l string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("level", l)))
	}
	memory, second, store := level("memory"), level("redis"), level("store")
	return observe(meter, "guildhall.permission.cache.lookups", "Subjects and roles that checks needed, by where they were found.",
		func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(s.Memory.Load(), memory)
			o.Observe(s.Redis.Load(), second)
			o.Observe(s.Store.Load(), store)
			return nil
		})
}

func observe(meter metric.Meter, name, text string, fn metric.Int64Callback) error {
	_, err := meter.Int64ObservableCounter(name, metric.WithDescription(text), metric.WithInt64Callback(fn))
	if err != nil {
		return fmt.Errorf("metric %s: %w", name, err)
	}
	return nil
}
