// Package interaction keeps what was spoken and written with customers, for how long
// it can be corrected, and what all of it comes to.
//
// An interaction is a note of something that happened, and then evidence of it:
//
//	           correct                  review
//	           ┌────┐                   ┌────┐
//	written ──▶│OPEN│── lock_after ────▶│LOCKED│── the customer is gone ──▶ removed
//	down       └────┘  (the policy's)   └────┘
//	             │ delete, correct, review
//	             ▼
//	          removed
//
// The state is not stored. It follows from when the interaction was written down and
// from the policy, so that no clock has to run for it. A review is about the staff and
// not about what happened, and is possible in both.
//
// How many there are of which kind, and how good they were, is kept by month with each
// interaction, in its transaction, for its customer, for who had it and for the
// organisation, so that a summary reads a record for each month and not thousands of
// interactions.
//
// The package does not know customers, staff or tasks: package intake has seen that
// they are there. The names of staff stay when they have left.
package interaction

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of an interaction's name.
const Pattern = resource.Pattern("organizations/{organization}/customers/{customer}/interactions/{interaction}")

const customerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")

const complaintPattern = resource.Pattern("organizations/{organization}/customers/{customer}/complaints/{complaint}")

const (
	event    = "guildhall.identity.interaction"
	conflict = "INTERACTION_CONFLICT"
)

// forgetChunk is how many interactions one transaction removes.
const forgetChunk = 200

// mutable are the fields that callers may change, fixed those that they choose once.
func mutable() []string {
	return []string{"kind", "direction", "start_time", "duration", "outcome", "subject", "note", "next_step", "task", "complaint"}
}

func fixed() []string { return []string{"staff", "source", "external_id"} }

// Book keeps the interactions. It is safe for concurrent use.
type Book struct{ tables }

// New returns a book. The hasher hides external ids in indexes.
func New(hasher kv.Hasher) *Book { return &Book{newTables(hasher)} }

// Get returns an interaction. The error is NotFound (INTERACTION_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Interaction, error) {
	rec, found, err := b.interactions.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return revise.View(rec), err
}

// Told returns the interaction that a source has told of with what asked has, for the
// customer in the name of asked; nil when it is told of for the first time. The error
// is Exists (INTERACTION_CONFLICT) for another content, or another customer.
func (b *Book) Told(r kv.Reader, asked *identityv1.Interaction) (*identityv1.Interaction, error) {
	if asked.GetSource() == "" {
		return nil, nil
	}
	rec, found, err := b.interactions.FindBy(r, byExternal, externalKey(asked))
	if err != nil || !found {
		return nil, err
	}
	if customerOf(rec.Value) == customerOf(asked) && proto.Equal(said(rec.Value), said(asked)) {
		return revise.View(rec), nil
	}
	const text = "there is an interaction with this source and external_id, and other content; correct that one, or delete it first"
	return nil, errs.New(errs.Exists, conflict, text, errs.Field("interaction.external_id", conflict, text))
}

// said returns what a caller says of an interaction.
func said(i *identityv1.Interaction) *identityv1.Interaction {
	out := &identityv1.Interaction{}
	fieldmask.Apply(out, i, mutable())
	fieldmask.Apply(out, i, fixed())
	return out
}

// Create writes down an interaction that nobody has told of, with the name and the
// caller's fields of asked, and who wrote it down. A covered one is a part of a batch,
// whose audit entry is the caller's to record. The errors are those of Check, and then
// nothing was written.
func (b *Book) Create(tx *change.Tx, asked *identityv1.Interaction, creator string, covered bool) (*identityv1.Interaction, error) {
	rules := b.rules(tx)
	rules.Covered = covered
	rules.Follow = func(_, now *identityv1.Interaction) error {
		now.Creator = creator
		if err := Check(now, tx.Time); err != nil {
			return err
		}
		return b.recount(tx, nil, now)
	}
	return revise.Create(tx, b.interactions, asked, rules)
}

// Update changes the masked fields to those of asked. Errors are NotFound
// (INTERACTION_NOT_FOUND), Conflict (ETAG_MISMATCH), Precondition
// (INTERACTION_LOCKED), Invalid for a mask of other fields, and those of Check.
func (b *Book) Update(tx *change.Tx, asked *identityv1.Interaction, mask *fieldmaskpb.FieldMask) (*identityv1.Interaction, error) {
	return revise.Update(tx, b.interactions, asked, mask, b.rules(tx))
}

// Delete removes an interaction and returns what it was. Errors are NotFound
// (INTERACTION_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition
// (INTERACTION_LOCKED).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Interaction, error) {
	was, err := revise.Delete(tx, b.interactions, key(name), etag, b.rules(tx))
	if err != nil {
		return nil, err
	}
	if err := b.checkUnlocked(tx, was); err != nil {
		return nil, err
	}
	return was, b.recount(tx, was, nil)
}

func (b *Book) rules(tx *change.Tx) revise.Rules[*identityv1.Interaction] {
	return revise.Rules[*identityv1.Interaction]{
		Event: event, Data: told, Fields: mutable(), Fixed: fixed(),
		Follow: func(was, now *identityv1.Interaction) error {
			if err := b.checkUnlocked(tx, was); err != nil {
				return err
			}
			if err := Check(now, tx.Time); err != nil {
				return err
			}
			return b.recount(tx, was, now)
		},
	}
}

// Check refuses what is no interaction, as Invalid: INTERACTION_SOURCE_INVALID,
// INTERACTION_TIME_INVALID, COMPLAINT_MISMATCH.
func Check(i *identityv1.Interaction, now time.Time) error {
	if (i.GetSource() == "") != (i.GetExternalId() == "") {
		return errs.InvalidField("interaction.source", "INTERACTION_SOURCE_INVALID", "send source and external_id, or neither")
	}
	if at := i.GetStartTime().AsTime(); at.Year() < 1900 || at.After(now.AddDate(0, 0, 1)) {
		return errs.InvalidField("interaction.start_time", "INTERACTION_TIME_INVALID", "send when it began, after 1900 and not after tomorrow")
	}
	if c := i.GetComplaint(); c != "" && (!complaintPattern.Matches(c) || resource.Parent(c) != customerOf(i)) {
		return errs.InvalidField("interaction.complaint", "COMPLAINT_MISMATCH", "name a complaint of the same customer")
	}
	return nil
}

// Review keeps how good an interaction was, in the words of a reviewer. Errors are
// NotFound (INTERACTION_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition
// (SELF_FORBIDDEN): nobody reviews what they had or wrote down themselves.
func (b *Book) Review(tx *change.Tx, name, etag string, review *identityv1.InteractionReview) (*identityv1.Interaction, error) {
	old, err := b.interactions.Get(tx, key(name))
	if err != nil {
		return nil, err
	}
	if err := old.CheckEtag(etag); err != nil {
		return nil, err
	}
	now := proto.CloneOf(old.Value)
	if by := review.GetReviewer(); by == now.GetStaff() || by == now.GetCreator() {
		return nil, errs.New(errs.Precondition, "SELF_FORBIDDEN", "nobody reviews an interaction that they had or wrote down; ask another to do it")
	}
	now.Review, now.UpdateTime = proto.CloneOf(review), timestamppb.New(tx.Time)
	now.Review.ReviewTime = now.UpdateTime
	rec, err := b.interactions.Update(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: event + ".reviewed.v1", ChangedFields: []string{"review"}, Data: told(now)})
	return revise.View(rec), b.recount(tx, old.Value, now)
}

// Forget removes interactions of a customer who is gone for good, and what its own
// come to, and reports whether there are more, for another transaction. They stay
// counted for staff and organisation, which tells of no customer. Of any other account
// there is nothing to remove: the names of staff stay.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	if !customerPattern.Matches(customer) {
		return false, nil
	}
	more, err = b.interactions.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: forgetChunk})
	if more || err != nil {
		return more, err
	}
	return b.tallies.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: forgetChunk})
}

func told(i *identityv1.Interaction) proto.Message {
	return &identityv1.InteractionChanged{Customer: customerOf(i), Staff: i.GetStaff(), StartTime: i.GetStartTime()}
}
