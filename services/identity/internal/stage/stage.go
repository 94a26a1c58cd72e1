// Package stage keeps how far customers have come with an organisation: the moves
// between stages, what of them happens by itself, and what all of them come to.
//
// In which stage a customer is now is in its account, for it is a part of the
// customer; package account writes it and tells this package (Move), which keeps
// what follows from it. These are the stages and all moves between them:
//
//	         a purchase
//	  ┌───────────────────────┐
//	  │                       ▼     idle        idle
//	LEAD ◀──▶ PROSPECT ◀──▶ CUSTOMER ───▶ AT_RISK ───▶ LAPSED
//	                     (1) ▲ │ ▲ ◀────── (2) │ ▲       ▲ │
//	                         │ │ │             │ │       │ │
//	                         │ │ └─ WON_BACK ◀─┘ │       │ │ a purchase
//	                         │ │     │ ▲ │ ▲     │       │ │
//	                         │ │     │ │ │ └─────┼───────┼─┘
//	                         │ │     └─┼─┼───────┘ idle  │
//	                         │ │       │ └───────────────┤ idle
//	                         │ └───────┼─────────────────┘ idle
//
// (1) back only while no purchase is on record: somebody was mistaken; (2) a false
// alarm. A purchase moves a PROSPECT too, and AT_RISK to WON_BACK.
//
// An organisation cannot invent moves. Conversion and time in a stage are compared
// between months and teams, and are worth nothing once a stage can be entered from
// anywhere; and what happens by itself, and who reads the history, rely on it that
// whoever is LAPSED was a customer once. What else an organisation wants to tell
// apart it has tags and attributes for.
//
// Moves by themselves are the same however often they are tried: an order that is
// written down again, or a sweep that runs twice, finds the customer where it is to
// be.
package stage

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TransitionedType is the type of the event about a move, on the customer.
const TransitionedType = "guildhall.identity.stage.transitioned.v1"

// The stages, for short.
const (
	Lead     = identityv1.LifecycleStage_LIFECYCLE_STAGE_LEAD
	Prospect = identityv1.LifecycleStage_LIFECYCLE_STAGE_PROSPECT
	Customer = identityv1.LifecycleStage_LIFECYCLE_STAGE_CUSTOMER
	AtRisk   = identityv1.LifecycleStage_LIFECYCLE_STAGE_AT_RISK
	Lapsed   = identityv1.LifecycleStage_LIFECYCLE_STAGE_LAPSED
	WonBack  = identityv1.LifecycleStage_LIFECYCLE_STAGE_WON_BACK
)

// The causes of moves, for short.
const (
	Manual     = identityv1.StageCause_STAGE_CAUSE_MANUAL
	Purchase   = identityv1.StageCause_STAGE_CAUSE_PURCHASE
	Inactivity = identityv1.StageCause_STAGE_CAUSE_INACTIVITY
)

// All returns the stages in their order.
func All() []identityv1.LifecycleStage {
	return []identityv1.LifecycleStage{Lead, Prospect, Customer, AtRisk, Lapsed, WonBack}
}

// Name returns a stage as filters spell it: "AT_RISK".
func Name(s identityv1.LifecycleStage) string {
	return strings.TrimPrefix(s.String(), "LIFECYCLE_STAGE_")
}

// next returns where a customer can go from a stage.
func next(from identityv1.LifecycleStage) []identityv1.LifecycleStage {
	switch from {
	case Lead:
		return []identityv1.LifecycleStage{Prospect, Customer}
	case Prospect:
		return []identityv1.LifecycleStage{Lead, Customer}
	case Customer:
		return []identityv1.LifecycleStage{Prospect, AtRisk, Lapsed}
	case AtRisk:
		return []identityv1.LifecycleStage{Customer, Lapsed, WonBack}
	case Lapsed:
		return []identityv1.LifecycleStage{WonBack}
	case WonBack:
		return []identityv1.LifecycleStage{Customer, AtRisk, Lapsed}
	}
	return nil
}

// Check refuses a move that there is not. Purchases is how many of the customer's
// are on record. The error is Precondition: STAGE_MOVE_FORBIDDEN, which says where
// the customer can go, or STAGE_HAS_PURCHASES.
func Check(from, to identityv1.LifecycleStage, purchases int64) error {
	if !slices.Contains(next(from), to) {
		names := make([]string, 0, len(All()))
		for _, s := range next(from) {
			names = append(names, Name(s))
		}
		return errs.New(errs.Precondition, "STAGE_MOVE_FORBIDDEN",
			"a customer that is "+Name(from)+" cannot become "+Name(to)+"; it can become "+strings.Join(names, ", "))
	}
	if from == Customer && to == Prospect && purchases > 0 {
		return errs.New(errs.Precondition, "STAGE_HAS_PURCHASES", "the customer has bought; delete the orders first if they are a mistake")
	}
	return nil
}

// Book keeps moves, policies and counts. It is safe for concurrent use.
type Book struct{ tables }

// New returns a book.
func New() *Book { return &Book{newTables()} }

// Move is that a customer gets into another stage.
type Move struct {
	Customer string
	From, To identityv1.LifecycleStage
	// Since is when it had come to From; nil is unknown.
	Since *timestamppb.Timestamp
	Cause identityv1.StageCause
	// Actor and Reason are of a move by somebody.
	Actor, Reason string
	// Order is what a purchase was, and IdleSince the last one before a time
	// without.
	Order     string
	IdleSince time.Time
}

// Move keeps that a customer gets into another stage, tells of it, and returns when
// it does: now, but behind the move before. A transaction that lost to another and
// was made again would else come before it. Only a move by hand has an audit entry of
// its own: a purchase has one, and time is nobody. Whether the customer may move has
// been decided.
func (b *Book) Move(tx *change.Tx, m Move) (*timestamppb.Timestamp, error) {
	at := tx.Time
	if before := m.Since.AsTime().Add(time.Microsecond); m.Since != nil && before.After(at) {
		at = before
	}
	t := &identityv1.StageTransition{
		Name: m.Customer + "/stageTransitions/" + tx.NewID(), FromStage: m.From, ToStage: m.To, Cause: m.Cause,
		Reason: m.Reason, Actor: m.Actor, Order: m.Order, FromTime: m.Since, TransitionTime: timestamppb.New(at),
	}
	if t.Actor == "" {
		t.Actor = authn.ServiceName("identity")
	}
	if !m.IdleSince.IsZero() {
		t.IdleSince = timestamppb.New(m.IdleSince)
	}
	if _, err := b.transitions.Create(tx, t); err != nil {
		return nil, err
	}
	organization := resource.Parent(m.Customer)
	if err := b.recount(tx, organization, m.From, m.To); err != nil {
		return nil, err
	}
	if err := b.tally(tx, organization, t); err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: m.Customer, Type: TransitionedType, ChangedFields: []string{"stage"}, Covered: m.Cause != Manual,
		Data: &identityv1.StageTransitioned{FromStage: m.From, ToStage: m.To, Cause: m.Cause},
	})
	return t.GetTransitionTime(), nil
}

// Transitions returns a page of the moves of a customer, the newest first, and where
// to go on behind it, nil at the end.
func (b *Book) Transitions(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.StageTransition, []byte, error) {
	page, err := b.transitions.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, Reverse: true, After: after, Limit: limit})
	return page.Values(), page.Next, err
}

// ByHand reports whether somebody put a customer into the stage that it is in.
func (b *Book) ByHand(r kv.Reader, customer string) (bool, error) {
	last, err := b.last(r, customer)
	return last.GetCause() == Manual, err
}

// forgetChunk is how many moves one transaction removes.
const forgetChunk = 200

// Forget removes moves of a customer who is gone for good, and reports whether there
// are more, for another transaction. What they come to together stays: it tells of
// nobody.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	more, err = b.transitions.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: forgetChunk})
	if more || err != nil {
		return more, err
	}
	return false, b.Unwind(tx, customer)
}
