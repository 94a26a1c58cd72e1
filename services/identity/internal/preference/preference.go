// Package preference keeps what interests customers: what they said, and what was
// concluded from what they did.
//
//	              evidence                        the customer says so
//	nothing ─────────────────────▶ INFERRED ──────────────────────────▶ STATED
//	   ▲ ▲                          │  ▲ │ evidence, or fading             ▲
//	   │ └───────── faded, or ──────┘  └─┘                                 │
//	   │            opted out                                              │
//	   └───────────────────────────── deleted ─────────────────────────────┘
//
// A conclusion fades with time, and is kept as it was when it last changed: how strong
// it is now follows from that (see fade), so that no clock has to run for it. What has
// faded away is there no more for anybody, and removed when it is swept.
//
// The package does not know customers: who calls has seen that they are there.
package preference

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of a preference's name.
const Pattern = resource.Pattern("organizations/{organization}/customers/{customer}/preferences/{preference}")

const customerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")

// Most is how many preferences a customer has at most.
const Most = 200

const (
	stated   = identityv1.Preference_SOURCE_STATED
	inferred = identityv1.Preference_SOURCE_INFERRED
)

// mutable are the fields that callers may change.
func mutable() []string { return []string{"strength", "note"} }

// Book keeps the preferences. It is safe for concurrent use.
type Book struct{ tables }

// New returns a book. The hasher hides topics in indexes.
func New(hasher kv.Hasher) *Book { return &Book{newTables(hasher)} }

// Create writes down what a customer said of a topic. Errors are Exists
// (PREFERENCE_EXISTS) for one of which it said something before, Invalid
// (PREFERENCE_TOPIC_INVALID, PREFERENCE_STRENGTH_MISSING) and Exhausted
// (PREFERENCE_LIMIT).
func (b *Book) Create(tx *change.Tx, customer string, asked *identityv1.Preference, creator string) (*identityv1.Preference, error) {
	if err := checkTopic("preference.topic", asked.GetTopic()); err != nil {
		return nil, err
	}
	asked = revise.Named(asked, customer+"/preferences/"+tx.NewID())
	asked.Source, asked.Creator = stated, creator
	was, found, err := b.preferences.FindBy(tx, byTopic, topicKey(asked))
	if err != nil {
		return nil, err
	}
	if found && was.Value.GetSource() == inferred {
		asked.Name = was.Value.GetName()
		return b.change(tx, asked, []string{"note", "source", "strength"})
	}
	if found {
		const text = "the customer has said something of this topic; update that preference"
		return nil, errs.New(errs.Exists, exists, text, errs.Field("preference.topic", exists, text))
	}
	if err := b.checkRoom(tx, customer); err != nil {
		return nil, err
	}
	return revise.Create(tx, b.preferences, asked, b.rules(tx, "topic", "source", "creator"))
}

// Get returns a preference as strong as it is now. The error is NotFound
// (PREFERENCE_NOT_FOUND), also for one that has faded away.
func (b *Book) Get(r kv.Reader, name string, now time.Time) (*identityv1.Preference, error) {
	rec, found, err := b.preferences.Find(r, key(name))
	if err != nil {
		return nil, err
	}
	policy, err := b.Policies.Of(r, resource.Parent(resource.Parent(name)))
	if err != nil {
		return nil, err
	}
	if !found || !there(policy, rec.Value, now) {
		return nil, errs.NotFoundName(notFound, name)
	}
	return faded(policy, revise.View(rec), now), nil
}

// Update changes the masked fields to those of asked; a strength is what the customer
// says. Errors are NotFound (PREFERENCE_NOT_FOUND), Conflict (ETAG_MISMATCH) and
// Invalid: UPDATE_MASK_INVALID, PREFERENCE_STRENGTH_MISSING.
func (b *Book) Update(tx *change.Tx, asked *identityv1.Preference, mask *fieldmaskpb.FieldMask) (*identityv1.Preference, error) {
	paths, err := fieldmask.Paths(mask, asked, mutable()...)
	if err != nil {
		return nil, err
	}
	if _, err := b.Get(tx, asked.GetName(), tx.Time); err != nil {
		return nil, err
	}
	asked = proto.CloneOf(asked)
	asked.Source = stated
	for _, path := range paths {
		if path == "strength" {
			paths = append(paths, "source")
		}
	}
	if len(paths) == 0 {
		tx.Unchanged()
		return b.Get(tx, asked.GetName(), tx.Time)
	}
	return b.change(tx, asked, paths)
}

func (b *Book) change(tx *change.Tx, asked *identityv1.Preference, paths []string) (*identityv1.Preference, error) {
	return revise.Update(tx, b.preferences, asked, &fieldmaskpb.FieldMask{Paths: paths}, b.rules(tx))
}

// Delete removes a preference and returns what it was. Errors are NotFound
// (PREFERENCE_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Preference, error) {
	is, err := b.Get(tx, name, tx.Time)
	if err != nil {
		return nil, err
	}
	_, err = revise.Delete(tx, b.preferences, key(name), etag, b.rules(tx))
	return is, err
}

// rules are those of what callers say; fixed are fields that a new one has beside.
func (b *Book) rules(tx *change.Tx, fixed ...string) revise.Rules[*identityv1.Preference] {
	return revise.Rules[*identityv1.Preference]{
		Event: "guildhall.identity.preference", Data: told, Fields: append(mutable(), "source"), Fixed: fixed,
		Follow: func(was, now *identityv1.Preference) error {
			if now.GetStrength() == 0 {
				return errs.InvalidField("preference.strength", "PREFERENCE_STRENGTH_MISSING",
					"send how much the customer likes it, from -1 to 1 and not 0; delete the preference if there is nothing to say")
			}
			if now.GetSource() == stated {
				now.ExpireTime = nil
				return nil
			}
			// A note on a conclusion: what has faded until now fades on from here.
			return b.refresh(tx, now, was.GetUpdateTime().AsTime())
		},
	}
}

// Forget removes preferences of a customer who is gone for good, and its choice, and
// reports whether there are more, for another transaction. Of any other account there
// is nothing to remove.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	if !customerPattern.Matches(customer) {
		return false, nil
	}
	if _, err := b.Choices.Remove(tx, kv.Key{kv.String(customer)}); err != nil {
		return false, err
	}
	return b.preferences.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: Most})
}

func (b *Book) checkRoom(r kv.Reader, customer string) error {
	return revise.CheckRoom(r, b.preferences, kv.Query{Prefix: kv.Key{kv.String(customer)}}, Most,
		"PREFERENCE_LIMIT", "a customer has at most %d preferences")
}

// checkTopic refuses what is no word for a topic, as Invalid
// (PREFERENCE_TOPIC_INVALID). It does not repeat it, since it may be personal.
func checkTopic(field, topic string) error {
	if resource.ValidID(topic) {
		return nil
	}
	return errs.InvalidField(field, "PREFERENCE_TOPIC_INVALID", "send a topic of 1 to 63 lower-case letters, digits and inner hyphens, as in hiking")
}

func told(p *identityv1.Preference) proto.Message {
	return &identityv1.PreferenceChanged{Customer: customerOf(p)}
}
