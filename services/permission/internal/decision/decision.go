// Package decision keeps a log of answers to checks, for auditors.
//
// It stands behind the checks and must not slow them: Record puts an answer
// into a queue, or drops it when the queue is full, and Run writes the queue in
// batches. What is dropped is counted. So the log shows how decisions are made,
// and is no proof of any: that is the audit log's business, which is written
// with what it tells of.
//
// An entry holds names, and of the attributes the message type alone, which names
// no person: the rest of what conditions look at may be personal.
package decision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
)

const (
	// queueSize bounds the answers that wait to be written: about 2 MB.
	queueSize = 8192
	// DefaultKeep is how long entries are kept.
	DefaultKeep = 7 * 24 * time.Hour
)

// Indexes of the table.
const (
	bySubject = "subject" // organisation, subject, time
	byTime    = "time"    // time; of all organisations, for the sweep
)

// Config says what a Log needs. Store is required.
type Config struct {
	Store kv.Store
	// Share is the part of all answers that is kept.
	Share Share
	// Keep is how long; zero is DefaultKeep.
	Keep time.Duration
	// Clock decides what is past Keep; nil is time.Now.
	Clock func() time.Time
	// Meter counts what was dropped; nil counts nothing.
	Meter metric.Meter
	// Logger hears of writes that fail; nil is silent.
	Logger *slog.Logger
}

// Log is the log of all organisations. It is safe for concurrent use.
type Log struct {
	cfg     Config
	entries *kv.Table[*permissionv1.Decision]
	// below: an answer is kept when a random number is below it.
	below   uint64
	queue   chan answer
	dropped atomic.Int64
}

// answer is an entry to be.
type answer struct {
	at           time.Time
	organization string
	revision     int64
	question     decide.Question
	answer       decide.Answer
	messageType  string
}

// Table is the table of entries. It is made before the store is open, and New
// works on it.
type Table struct {
	entries *kv.Table[*permissionv1.Decision]
}

// NewTable returns the table.
func NewTable() Table {
	at := func(d *permissionv1.Decision) kv.Part { return kv.Time(d.GetTime().AsTime()) }
	return Table{kv.NewTable(kv.TableConfig[*permissionv1.Decision]{
		Name: "decisions", Key: keyOf,
		Indexes: []kv.Index[*permissionv1.Decision]{
			{Name: bySubject, Keys: func(d *permissionv1.Decision) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(d.GetName())), kv.String(d.GetSubject()), at(d)}}
			}},
			{Name: byTime, Keys: func(d *permissionv1.Decision) []kv.Key { return []kv.Key{{at(d)}} }},
		},
	})}
}

// keyOf returns the key of an entry: (organisation, time, name).
func keyOf(d *permissionv1.Decision) kv.Key {
	return kv.Key{kv.String(resource.Parent(d.GetName())), kv.Time(d.GetTime().AsTime()), kv.String(d.GetName())}
}

// Tables returns the raw tables of this package, for kv.Options.
func (t Table) Tables() []string { return t.entries.Tables() }

// New returns the log that the store holds.
func New(cfg Config, table Table) (*Log, error) {
	if cfg.Store == nil {
		return nil, errors.New("decision: a log needs a store")
	}
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, entries: table.entries, below: cfg.Share.below(), queue: make(chan answer, queueSize)}
	if cfg.Meter == nil {
		return l, nil
	}
	_, err := cfg.Meter.Int64ObservableCounter("guildhall.permission.decisions.dropped",
		metric.WithDescription("Decisions that were to be logged and were not, because too many waited to be written."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(l.Dropped())
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("metric of decisions: %w", err)
	}
	return l, nil
}

// Record keeps the answer, or not, as the share says.
func (l *Log) Record(at time.Time, organization string, revision int64, q decide.Question, a decide.Answer) {
	if l.below == 0 || l.below != math.MaxUint64 && rand.Uint64() >= l.below {
		return
	}
	kept := answer{at: at, organization: organization, revision: revision, question: q, answer: a, messageType: q.Attributes.GetMessageType()}
	kept.question.Attributes = nil
	select {
	case l.queue <- kept:
	default:
		l.dropped.Add(1)
	}
}

// Dropped returns how many answers were to be kept and were not.
func (l *Log) Dropped() int64 { return l.dropped.Load() }

// entry returns the answer as it is stored. The id is of the entry and not of
// the answer, since it is made outside of the check.
func (a answer) entry() *permissionv1.Decision {
	return &permissionv1.Decision{
		Name: a.organization + "/decisions/" + resource.NewID(), Time: timestamppb.New(a.at),
		Subject: a.question.Subject, Permission: a.question.Permission, Resource: a.question.Resource,
		Allowed: a.answer.Allowed, Grant: a.answer.Grant, Role: a.answer.Role, Denial: a.answer.Denial, Revision: a.revision,
		MessageType: a.messageType, Filtering: a.question.Filtering,
	}
}
