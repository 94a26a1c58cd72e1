// Package delivery is the outbox: messages to people, from the change that is
// their reason until a provider has them, and what is heard of them after.
//
// A message is written in the transaction of its change. So there is none of a
// change that was not made, and none is lost by a crash in between; package
// courier sends what is here, as often as it takes:
//
//	Enqueue ──▶ SUPPRESSED                nothing is sent to where it would go
//	   │            ▲
//	   ▼            │ found out late
//	QUEUED ◀────────┴─────────────────────────────────────┐ Retry
//	 │ ▲   Claim: one replica's turn, until its lease ends │
//	 │ └── a provider is away: later, with growing delays  │
//	 ├──▶ FAILED ──────────────────────────────────────────┘
//	 │      refused for good; too many attempts; of no use any more
//	 ▼
//	SENT ──▶ DELIVERED                    as a provider reports
//	  └───────┴──▶ BOUNCED                nothing is sent there from then on
//
// What could still be sent is WITHDRAWN when a newer message supersedes it, or when it has a code for a contact that the account has no more.
//
// A crash between the provider's yes and SENT sends a message again, under the
// same id, by which providers and mail programs know it: at least once, since
// nothing can do it exactly once. Two replicas do not send one message, unless one
// of them is slower than its lease.
//
// What a message says, codes among it, is apart from what is listed, sealed like
// all that is stored, and gone when a provider has it or when it is of no use. Of
// the address a hint and a keyed hash stay.
package delivery

import (
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/organization"
)

// The forms of the names of deliveries and suppressions.
const (
	Pattern            = resource.Pattern("organizations/{organization}/deliveries/{delivery}")
	SuppressionPattern = resource.Pattern("organizations/{organization}/suppressions/{suppression}")
)

// StateChangedType is the type of the event of a delivery's state.
const StateChangedType = "guildhall.identity.delivery.state_changed.v1"

// Defaults of Config.
const (
	DefaultAttempts  = 20
	DefaultKeep      = 30 * 24 * time.Hour
	DefaultPerTarget = 5
)

// Config says what a Book needs. Zero values of the numbers are the defaults.
type Config struct {
	// Hasher hides where messages go.
	Hasher        kv.Hasher
	Organizations *organization.Book
	// Attempts is how often a message is tried before it has failed.
	Attempts int
	// Keep is how long a delivery can be read after it was made.
	Keep time.Duration
	// PerTarget is how many messages go to one target at once; see pace.
	PerTarget int
}

// Book keeps the deliveries. It is safe for concurrent use.
type Book struct {
	cfg          Config
	deliveries   *kv.Table[*storev1.Delivery]
	parcels      *kv.Table[*storev1.Parcel]
	paces        *kv.Table[*storev1.DeliveryPace]
	suppressions *kv.Table[*identityv1.Suppression]
}

// New returns a book.
func New(cfg Config) (*Book, error) {
	if cfg.Hasher == nil || cfg.Organizations == nil {
		return nil, errors.New("delivery: a book needs a hasher and the organizations")
	}
	if cfg.Attempts <= 0 {
		cfg.Attempts = DefaultAttempts
	}
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.PerTarget <= 0 {
		cfg.PerTarget = DefaultPerTarget
	}
	return &Book{cfg: cfg, deliveries: deliveryTable(), parcels: parcelTable(), paces: paceTable(), suppressions: suppressionTable()}, nil
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return slices.Concat(b.deliveries.Tables(), b.parcels.Tables(), b.paces.Tables(), b.suppressions.Tables())
}

// Message is what somebody is to be told.
type Message struct {
	// Account is whom; it says in which language.
	Account *storev1.Account
	// To is where it goes; the zero Contact is where the account is reached.
	To   contact.Contact
	Kind identityv1.MessageKind
	// Values are those of the template's variables but for message.Organization
	// and message.Valid.
	Values message.Values
	// Expire is until when it is of use.
	Expire time.Time
}

// Enqueue puts a message into the outbox, in place of one that it supersedes, and returns the delivery: QUEUED, or SUPPRESSED, and nil for an account
// that is reached nowhere. It records the delivery's event; the audit entry is that
// of the change it belongs to.
func (b *Book) Enqueue(tx *change.Tx, m Message) (*identityv1.Delivery, error) {
	to := m.To
	if to.Target == "" {
		to = contact.Of(m.Account)
	}
	if to.Target == "" {
		return nil, nil
	}
	parent := resource.Parent(m.Account.GetName())
	o, _, err := b.cfg.Organizations.Find(tx, parent)
	if err != nil {
		return nil, err
	}
	d := &identityv1.Delivery{
		Name: parent + "/deliveries/" + tx.NewID(), Account: m.Account.GetName(), Kind: m.Kind, Channel: to.Channel,
		Language: message.Language(m.Account.GetLanguage(), o.GetDefaultLanguage()), TargetHint: to.Hint(),
		State: queued, CreateTime: timestamppb.New(tx.Time), NextAttemptTime: timestamppb.New(tx.Time), ExpireTime: timestamppb.New(m.Expire),
	}
	rec := &storev1.Delivery{Delivery: d, TargetHash: b.hash(to)}
	if err := b.replace(tx, rec, m.Values); err != nil {
		return nil, err
	}
	suppressed, err := b.suppressed(tx, rec)
	if err != nil {
		return nil, err
	}
	if suppressed {
		d.State, d.NextAttemptTime = stateSuppressed, nil
	} else if _, err := b.parcels.Create(tx, &storev1.Parcel{
		Delivery: d.GetName(), Target: to.Target, Values: m.Values, ExpireTime: d.GetExpireTime(),
	}); err != nil {
		return nil, err
	}
	stored, err := b.deliveries.Create(tx, rec)
	if err != nil {
		return nil, err
	}
	record(tx, d, true)
	return view(stored), nil
}

// Get returns a delivery. The error is NotFound (DELIVERY_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Delivery, error) {
	rec, err := b.get(r, name)
	return view(rec), err
}

func (b *Book) get(r kv.Reader, name string) (kv.Record[*storev1.Delivery], error) {
	rec, found, err := b.deliveries.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return rec, err
}

// view returns the resource of a record; nil of none.
func view(rec kv.Record[*storev1.Delivery]) *identityv1.Delivery {
	if !rec.Found() {
		return nil
	}
	d := proto.CloneOf(rec.Value.GetDelivery())
	d.Etag = rec.Etag
	return d
}

// record notes what became of a delivery. Covered says that nobody did it, or
// that another change's audit entry speaks for it.
func record(tx *change.Tx, d *identityv1.Delivery, covered bool) {
	tx.Record(change.Change{
		Resource: d.GetName(), Type: StateChangedType, ChangedFields: []string{"state"}, Covered: covered,
		Data: &identityv1.DeliveryStateChanged{Account: d.GetAccount(), State: StateName(d.GetState())},
	})
}
