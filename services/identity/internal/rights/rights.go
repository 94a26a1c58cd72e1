// Package rights is the register of what customers ask about their own data: what
// was asked, when the answer is due by law, and what it was.
//
//	by staff                  confirmed
//	───────▶ RECEIVED ─────────────────────┐
//	            │ more is needed           │
//	            ▼              confirmed   ▼        extended, once
//	     IDENTITY_CHECK ──────────────▶ IN_PROGRESS ─────────────▶ EXTENDED
//	                                       ▲    │                     │
//	by the customer, logged in ────────────┘    └──────────┬──────────┘
//	                                                       ▼ done
//	any of the four ──▶ REFUSED, WITHDRAWN             FULFILLED
//
// An erasure that is IN_PROGRESS or EXTENDED waits for its time, and for legal
// holds. When it begins there is no way back, and it is FULFILLED when each
// service has given its receipt. Package eraser drives it; this one says what may
// come after what. What is kept of who asks to see it package collector puts
// together, and that a customer who asks so itself is FULFILLED by.
//
// The package does not know customers: who calls it has seen that they are there,
// and calls Forget when they are not any more.
package rights

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of a request's name.
const Pattern = resource.Pattern("organizations/{organization}/customers/{customer}/dataSubjectRequests/{data_subject_request}")

// event is what the types of the events about requests begin with.
const event = "guildhall.identity.data_subject_request."

const notFound = "DATA_SUBJECT_REQUEST_NOT_FOUND"

// The states of a request, for short.
const (
	received   = identityv1.DataSubjectRequest_STATE_RECEIVED
	checking   = identityv1.DataSubjectRequest_STATE_IDENTITY_CHECK
	inProgress = identityv1.DataSubjectRequest_STATE_IN_PROGRESS
	extended   = identityv1.DataSubjectRequest_STATE_EXTENDED
	fulfilled  = identityv1.DataSubjectRequest_STATE_FULFILLED
	refused    = identityv1.DataSubjectRequest_STATE_REFUSED
	withdrawn  = identityv1.DataSubjectRequest_STATE_WITHDRAWN
)

const (
	erase  = identityv1.DataSubjectRequest_KIND_ERASE
	access = identityv1.DataSubjectRequest_KIND_ACCESS
)

// Book keeps the requests. It is safe for concurrent use.
type Book struct{ tables }

// New returns a book.
func New() *Book { return &Book{newTables()} }

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return slices.Concat(b.requests.Tables(), b.Policies.Tables())
}

// CustomerOf returns the customer whose request has the name.
func CustomerOf(name string) string { return resource.Parent(name) }

// Get returns a request. The error is NotFound (DATA_SUBJECT_REQUEST_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.DataSubjectRequest, error) {
	rec, err := b.get(r, name)
	return revise.View(rec), err
}

func (b *Book) get(r kv.Reader, name string) (kv.Record[*identityv1.DataSubjectRequest], error) {
	rec, found, err := b.requests.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return rec, err
}

const (
	// most is how many requests are kept of a customer: all are read together.
	most = 200
	// reserve is how many more there can be for erasures: no number of other requests
	// keeps a customer from asking for that.
	reserve = 50
	// daily is how many requests to see what is kept a customer has in 24 hours: each
	// is work for all services.
	daily = 5
)

// Create writes down a request with the name, kind and note of asked. Of the
// customer's own it is known who asks. Errors are Exists
// (DATA_SUBJECT_REQUEST_EXISTS), Precondition (DATA_SUBJECT_REQUEST_OPEN) and
// Exhausted (DATA_SUBJECT_REQUEST_LIMIT).
func (b *Book) Create(tx *change.Tx, asked *identityv1.DataSubjectRequest, creator string) (*identityv1.DataSubjectRequest, error) {
	customer, n, lately, limit := CustomerOf(asked.GetName()), 0, 0, most
	if asked.GetKind() == erase {
		limit += reserve
	}
	for rec, err := range b.of(tx, customer) {
		if err != nil {
			return nil, err
		}
		if rec.Value.GetKind() == access && tx.Time.Sub(rec.Value.GetCreateTime().AsTime()) < 24*time.Hour {
			lately++
		}
		if n++; n == limit || lately == daily && asked.GetKind() == access {
			return nil, errs.New(errs.Exhausted, "DATA_SUBJECT_REQUEST_LIMIT", "the customer has made as many requests as are taken; wait a day to see again what is kept, or write to the organization")
		}
		if open(rec.Value) && rec.Value.GetKind() == asked.GetKind() {
			const text = "the customer has an open request of this kind; answer that one, or withdraw it"
			return nil, errs.New(errs.Precondition, "DATA_SUBJECT_REQUEST_OPEN", text, errs.Field("data_subject_request.kind", "DATA_SUBJECT_REQUEST_OPEN", text))
		}
	}
	policy, err := b.Policies.Of(tx, resource.Parent(customer))
	if err != nil {
		return nil, err
	}
	made := &identityv1.DataSubjectRequest{
		Name: asked.GetName(), Kind: asked.GetKind(), Note: asked.GetNote(), State: received, Regime: policy.GetRegime(), Creator: creator,
		CreateTime: timestamppb.New(tx.Time), UpdateTime: timestamppb.New(tx.Time), DueTime: timestamppb.New(due(policy, tx.Time)),
	}
	if creator == customer {
		confirm(made, policy, identityv1.DataSubjectRequest_PROOF_LOGIN, tx.Time)
	}
	rec, err := b.requests.Create(tx, made)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: made.GetName(), Type: event + "created.v1", ChangedFields: change.ChangedFields(nil, made), Data: told(made)})
	return revise.View(rec), nil
}

func told(q *identityv1.DataSubjectRequest) *identityv1.DataSubjectRequestChanged {
	return &identityv1.DataSubjectRequestChanged{State: stateName(q.GetState())}
}

// open reports whether a request is still to be answered.
func open(q *identityv1.DataSubjectRequest) bool { return q.GetEndTime() == nil }

// begun reports whether a request is an erasure from which there is no way back.
func begun(q *identityv1.DataSubjectRequest) bool { return q.GetErasure().GetBeginTime() != nil }

// move makes one change of a request and records it, unless it changes nothing.
// Errors are NotFound (DATA_SUBJECT_REQUEST_NOT_FOUND), Conflict (ETAG_MISMATCH)
// and those of to.
func (b *Book) move(tx *change.Tx, name, etag, past string, to func(*identityv1.DataSubjectRequest) error) (*identityv1.DataSubjectRequest, error) {
	old, err := b.get(tx, name)
	if err != nil {
		return nil, err
	}
	if err := old.CheckEtag(etag); err != nil {
		return nil, err
	}
	now := proto.CloneOf(old.Value)
	if err := to(now); err != nil {
		return nil, err
	}
	changed := change.ChangedFields(old.Value, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return revise.View(old), nil
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	rec, err := b.requests.Update(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: event + past + ".v1", ChangedFields: changed, Data: told(now)})
	return revise.View(rec), nil
}

// Forget removes the requests of a customer that is gone for good and whose name is
// free.
func (b *Book) Forget(tx kv.Tx, customer string) error {
	_, err := b.requests.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}})
	return err
}
