// Package merger makes two accounts of one customer one, and two again.
//
// Package merge has the states, and keeps what it takes to undo one; package account
// says what two accounts come to. What a call waits for is bounded: the accounts, their
// consents and the lists that they are on (Begin, Undo). All that is written down of
// the duplicate follows in the background, some rows in each transaction, kind by kind,
// and then in the other services (Run). A process may end and a service be away at any
// time: the next round goes on where the store says. Replicas drive at once and do not
// mind: each transaction looks again at how far the merge is.
package merger

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/consent"
	"guildhall.dev/services/identity/internal/hold"
	"guildhall.dev/services/identity/internal/merge"
	"guildhall.dev/services/identity/internal/order"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/preference"
	"guildhall.dev/services/identity/internal/rights"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/shift"
)

// Service is another service of the suite that keeps data of customers.
type Service struct {
	// Name is as receipts have it.
	Name string
	// Move gives what it keeps of one customer to another or back, and returns its
	// receipt, the same one each time.
	Move func(ctx context.Context, req *subjectv1.MoveSubjectRequest) (*subjectv1.MoveReceipt, error)
}

// Config says what a Merger needs, all of it.
type Config struct {
	Store    kv.Store
	Journal  *change.Journal
	Accounts *account.Book
	Merges   *merge.Book
	Orders   *order.Book
	Consents *consent.Book
	// Preferences say of whom nothing is concluded.
	Preferences *preference.Book
	Segments    *segment.Book
	Rights      *rights.Book
	Holds       *hold.Book
	// Kinds move in this order.
	Kinds []shift.Kind
	// Standing tells permission that an account may not act any more, or again.
	Standing func(ctx context.Context, account string) error
	// Services are asked when all that is kept here has moved.
	Services []Service
	Logger   *slog.Logger
	Meter    metric.Meter
	Clock    func() time.Time
}

// Merger merges. It is safe for concurrent use.
type Merger struct {
	cfg      Config
	finished metric.Int64Counter
}

// New returns a merger. Start Run.
func New(cfg Config) (*Merger, error) {
	finished, err := cfg.Meter.Int64Counter("guildhall.identity.merges",
		metric.WithDescription("Merges of customers of which all has moved, by what they came to: merged or undone."))
	return &Merger{cfg: cfg, finished: finished}, err
}

// Asked is a merge that somebody asks for.
type Asked struct {
	// Name is the record's; empty of a rehearsal.
	Name                string
	Survivor, Duplicate string
	// Etag and DuplicateEtag are those that the two must have; empty is any.
	Etag, DuplicateEtag string
	// Chosen are the fields in which the duplicate's value is taken all the same.
	Chosen        []string
	Reason, Actor string
}

// plan is what a merge comes to, and what is written for it.
type plan struct {
	union    *account.Union
	consents []consent.United
	// lists are fixed lists that the duplicate is on, joins those of them that the
	// survivor is not on.
	lists, joins []string
	record       *identityv1.MergeRecord
}

// plan returns what a merge comes to. Errors are those of MergeCustomers, but for the
// segments'.
func (m *Merger) plan(r kv.Reader, q Asked) (*plan, error) {
	if q.Survivor == q.Duplicate {
		return nil, errs.InvalidField("duplicate", "MERGE_SAME_CUSTOMER", "name two customers: one that stays, and one that goes into it")
	}
	if resource.Parent(q.Survivor) != resource.Parent(q.Duplicate) {
		return nil, errs.NotFoundName("CUSTOMER_NOT_FOUND", q.Duplicate)
	}
	survivor, duplicate, err := m.cfg.Accounts.CheckMergeable(r, q.Survivor, q.Etag, q.Duplicate, q.DuplicateEtag)
	if err != nil {
		return nil, err
	}
	if err := m.check(r, q.Survivor, q.Duplicate); err != nil {
		return nil, err
	}
	p := &plan{}
	if p.union, err = m.cfg.Accounts.Unite(r, survivor, duplicate, q.Chosen); err != nil {
		return nil, err
	}
	if p.consents, err = m.cfg.Consents.Unite(r, q.Duplicate, q.Survivor); err != nil {
		return nil, err
	}
	if p.lists, p.joins, err = m.cfg.Segments.Lists(r, q.Duplicate, q.Survivor); err != nil {
		return nil, err
	}
	p.record = &identityv1.MergeRecord{
		Name: q.Name, Survivor: q.Survivor, Duplicate: q.Duplicate, Reason: q.Reason, Creator: q.Actor,
		DuplicateFields: p.union.Taken, DifferingFields: p.union.Differing, LeftTags: p.union.LeftTags, JoinedSegments: p.joins,
		HoldsSurvivor: duplicate.Value.GetLegalHold() && !survivor.Value.GetLegalHold(),
	}
	if p.record.OptsOutSurvivor, err = m.cfg.Preferences.OptsOut(r, q.Survivor, q.Duplicate); err != nil {
		return nil, err
	}
	for _, c := range p.consents {
		if c.Former.GetState() != c.Duplicate.GetState() {
			p.record.Consents = append(p.record.Consents, c.Verdict())
		}
	}
	return p, nil
}

// check refuses a merge that something else is in the way of.
func (m *Merger) check(r kv.Reader, survivor, duplicate string) error {
	if err := m.cfg.Merges.Check(r, survivor, duplicate); err != nil {
		return err
	}
	for _, customer := range []string{survivor, duplicate} {
		open, err := m.cfg.Rights.ErasureOpen(r, customer)
		if err != nil {
			return err
		}
		if open {
			return errs.New(errs.Precondition, "MERGE_ERASURE_OPEN", "one of the customers has asked to be erased, and would be erased as both; answer that first")
		}
	}
	return m.cfg.Orders.CheckUnited(r, survivor, duplicate)
}

// kept returns what is kept of a merge as planned.
func (p *plan) kept() *storev1.CustomerMerge {
	out := &storev1.CustomerMerge{
		Record: p.record, Former: p.union.Survivor.Value, Result: p.union.Result, Duplicate: p.union.Duplicate.Value,
		DuplicateLists: p.lists, JoinedLists: p.joins,
	}
	for _, c := range p.consents {
		if c.Changes() {
			out.FormerConsents, out.ResultConsents = append(out.FormerConsents, c.Former), append(out.ResultConsents, c.Result)
		}
	}
	return out
}

// most is how many rows of a kind a rehearsal counts.
const most = 10_000

// Rehearse returns what a merge would come to, with how much of each kind would move.
// Errors are those of Begin, but for the segments'.
func (m *Merger) Rehearse(r kv.Reader, q Asked) (merge.Known, error) {
	p, err := m.plan(r, q)
	if err != nil {
		return merge.Known{}, err
	}
	p.record.Creator = ""
	for _, k := range m.cfg.Kinds {
		n, err := k.Count(r, q.Duplicate, most)
		if err != nil {
			return merge.Known{}, err
		}
		if n > 0 {
			p.record.Moved = append(p.record.Moved, &subjectv1.MovedKind{Kind: k.Name, Count: int64(n)})
		}
	}
	return merge.Known{CustomerMerge: p.kept()}, nil
}

// Begin makes two accounts one, and returns the merge that follows. Errors are those of
// MergeCustomers.
func (m *Merger) Begin(tx *change.Tx, q Asked, permit segment.Permit) (merge.Known, error) {
	p, err := m.plan(tx, q)
	if err != nil {
		return merge.Known{}, err
	}
	// The permit is to hear of all moves before anything is written.
	joined := m.cfg.Segments.MayJoin(p.joins, permit)
	by := ownership.By{Actor: q.Actor}
	rec, err := m.cfg.Accounts.Merge(tx, p.union, by, permit)
	if err = cmp.Or(joined, err); err != nil {
		return merge.Known{}, err
	}
	kept := p.kept()
	kept.Result = rec.Value
	for i, c := range kept.GetResultConsents() {
		if _, err := m.cfg.Consents.Keep(tx, kept.GetFormerConsents()[i], c); err != nil {
			return merge.Known{}, err
		}
	}
	if p.record.GetOptsOutSurvivor() {
		if err := m.cfg.Preferences.OptOut(tx, q.Survivor, q.Actor); err != nil {
			return merge.Known{}, err
		}
	}
	for _, list := range p.joins {
		if _, err := m.cfg.Segments.AddMember(tx, list, q.Survivor); err != nil {
			return merge.Known{}, err
		}
	}
	return m.cfg.Merges.Create(tx, kept)
}

// Undo makes the accounts of a merge two again; undoing what is undone changes nothing.
// Errors are those of UndoMerge.
func (m *Merger) Undo(tx *change.Tx, name, etag, actor string, permit segment.Permit) (merge.Known, error) {
	k, open, err := m.cfg.Merges.Undoable(tx, name, etag, tx.Time)
	if err != nil || !open {
		tx.Unchanged()
		return k, err
	}
	survivor, duplicate := k.Record.GetSurvivor(), k.Record.GetDuplicate()
	if !k.GetFormer().GetLegalHold() && !k.GetDuplicate().GetLegalHold() {
		// A hold since then is on both, as one: it would keep nothing of the duplicate's.
		if err := m.cfg.Accounts.CheckHold(tx, survivor); err != nil {
			return k, err
		}
	}
	leaves, returns, err := m.cfg.Segments.Parting(tx, k.GetJoinedLists(), k.GetDuplicateLists(), survivor)
	if err != nil {
		return k, err
	}
	asked := cmp.Or(m.cfg.Segments.MayLeave(leaves, permit), m.cfg.Segments.MayJoin(returns, permit))
	kept, err := m.cfg.Accounts.Unmerge(tx, account.Separation{
		Former: k.GetFormer(), Result: k.GetResult(), Duplicate: k.GetDuplicate(), Since: k.Record.GetCreateTime().AsTime(), By: ownership.By{Actor: actor},
	}, permit)
	if err = cmp.Or(asked, err); err != nil {
		return k, err
	}
	for _, list := range leaves {
		if err := m.cfg.Segments.TakeOff(tx, list, survivor); err != nil {
			return k, err
		}
	}
	for _, list := range returns {
		if _, err := m.cfg.Segments.AddMember(tx, list, duplicate); err != nil {
			return k, err
		}
	}
	for i, c := range k.GetResultConsents() {
		if _, err := m.cfg.Consents.Keep(tx, c, k.GetFormerConsents()[i]); err != nil {
			return k, err
		}
	}
	if k.Record.GetOptsOutSurvivor() {
		if err := m.cfg.Preferences.OptBack(tx, survivor, actor, k.Record.GetCreateTime().AsTime()); err != nil {
			return k, err
		}
	}
	return m.cfg.Merges.Undo(tx, k, kept)
}
