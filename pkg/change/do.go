package change

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// Do runs fn in one transaction with the trace it leaves, and returns its
// response once all is durable. An error of fn comes back unchanged, and
// nothing took effect.
//
// A request with a request_id takes effect once: a retry of the same caller,
// method, id and body gets the first response again, also after a lost answer
// or a restart, for as long as Config.Keep. Another body under the id is
// Invalid (REQUEST_ID_REUSED); an id that is not 1 to 64 printable ASCII
// characters, or not a UUID from a caller without an account, is Invalid
// (REQUEST_ID_INVALID). A request that failed has left no trace and may be
// sent again under its id.
//
// Secrets are not kept: a retry gets the first response with its secret
// fields empty. The client then knows that the resource is there and its
// secret lost, and replaces it. Nor do secrets of the request count for
// whether a body is the same, since not even their hash is kept.
//
// fn may run more than once, so it is pure but for tx. It must Record what it
// changed or say Unchanged; a mutation without a trace is Internal.
func Do[Q, R proto.Message](ctx context.Context, j *Journal, req Q, fn func(tx *Tx) (R, error)) (R, error) {
	a, err := newAct(ctx, j, req, fn)
	if err == nil {
		err = j.cfg.Store.Update(ctx, a.run)
	}
	if err != nil {
		var none R
		return none, err
	}
	if a.events {
		j.cfg.Feed.Notify()
	}
	return a.resp, nil
}

// act is a change under way.
type act[R proto.Message] struct {
	j     *Journal
	tx    *Tx
	asked question
	fn    func(tx *Tx) (R, error)

	// What the last run came to.
	resp   R
	events bool
}

func newAct[Q, R proto.Message](ctx context.Context, j *Journal, req Q, fn func(tx *Tx) (R, error)) (*act[R], error) {
	entry := audit.FromContext(ctx)
	if entry.GetAction() == "" {
		entry.Action = string(req.ProtoReflect().Descriptor().FullName())
	}
	asked, err := j.question(entry, req)
	if err != nil {
		return nil, err
	}
	a := &act[R]{j: j, tx: j.begin(entry, traceparentOf(ctx)), asked: asked, fn: fn}
	a.asked.expires = a.tx.Time.Add(j.cfg.Keep)
	return a, nil
}

// run is the closure of the act's transaction.
func (a *act[R]) run(inner kv.Tx) error {
	a.events = false
	first, found, err := a.asked.answer(inner, a.tx.Time)
	if err != nil {
		return err
	}
	if found {
		a.resp, err = decode[R](first)
		return err
	}
	a.tx.begin(inner)
	if a.resp, err = a.fn(a.tx); err != nil {
		return err
	}
	if a.events, err = a.tx.record(a.j); err != nil {
		return err
	}
	return remember(a.j, inner, a.asked, a.resp)
}

// DoSystem is Do for an act of the service's own, as a sweep or a timer: there
// is no request and no caller. The actor is the service, and action says what
// it did, as in "groupchat.retention.sweep".
func DoSystem(ctx context.Context, j *Journal, action string, fn func(tx *Tx) error) error {
	tx := j.begin(j.systemEntry(ctx, action), traceparentOf(ctx))
	events := false
	err := j.cfg.Store.Update(ctx, func(inner kv.Tx) (err error) {
		events, err = tx.run(j, inner, fn)
		return err
	})
	if err == nil && events {
		j.cfg.Feed.Notify()
	}
	return err
}

// Within is DoSystem inside a transaction that is already there, as in the
// handler of a feed consumer: at is the time of the change, the event's for
// one. The caller calls the feed's Notify when the transaction has committed;
// a consumer has Applied for that.
func Within(ctx context.Context, j *Journal, inner kv.Tx, action string, at time.Time, fn func(tx *Tx) error) error {
	tx := j.begin(j.systemEntry(ctx, action), traceparentOf(ctx))
	tx.Time = at.UTC()
	_, err := tx.run(j, inner, fn)
	return err
}

func (tx *Tx) run(j *Journal, inner kv.Tx, fn func(tx *Tx) error) (events bool, err error) {
	tx.begin(inner)
	if err := fn(tx); err != nil {
		return false, err
	}
	return tx.record(j)
}

func (j *Journal) begin(entry *auditv1.AuditEntry, traceparent string) *Tx {
	return &Tx{Time: j.now(), entry: entry, traceparent: traceparent}
}

func (j *Journal) systemEntry(ctx context.Context, action string) *auditv1.AuditEntry {
	return &auditv1.AuditEntry{
		Actor:   authn.ServiceName(j.cfg.Service),
		Action:  action,
		TraceId: audit.FromContext(ctx).GetTraceId(),
	}
}
