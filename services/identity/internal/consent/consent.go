// Package consent keeps what customers are contacted for, what they agreed to of
// it, and says whether one may be contacted now.
//
// What a customer said is a record, which is never changed; a consent is what holds
// of one purpose and channel, and follows from the records: the latest word counts,
// by when the customer said it and not by when it came to be known. Of two at one
// moment it is the withdrawal.
//
//	            grant                    withdraw
//	NOT ASKED ─────────▶ GRANTED ─────────────────────▶ WITHDRAWN
//	    │                 ▲   │ grant, to a later text    │   ▲
//	    │                 │   └──▶ GRANTED                │   │
//	    │                 └───────────────────────────────┘   │
//	    │                   grant, of later than it           │
//	    └─────────────────────────────────────────────────────┘
//	      withdraw: an objection, before anybody asked
//
// Nothing is contacted that was not allowed: without a word of the customer the
// lawful basis of the purpose decides, and under consent that is no (GDPR article
// 6(1)(a) and 7, PIPL articles 13 to 16). A purpose never changes its basis.
//
// All of a customer's records go with the customer. The law wants evidence for as
// long as a consent is relied upon (GDPR article 7(1)), and nobody relies on one of
// somebody who is not contacted any more and not known.
package consent

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/revise"
)

// PurposePattern is the form of a purpose's name.
const PurposePattern = resource.Pattern("organizations/{organization}/consentPurposes/{consent_purpose}")

// Types of events about consents, on the consent. Those about purposes are package
// revise's.
const (
	GrantedType   = "guildhall.identity.consent.granted.v1"
	WithdrawnType = "guildhall.identity.consent.withdrawn.v1"
)

// MaxPurposes is how many purposes an organisation has: a customer can withdraw from
// all of them in one transaction.
const MaxPurposes = 100

// The states of a consent and the bases of a purpose, for short.
const (
	granted   = identityv1.Consent_STATE_GRANTED
	withdrawn = identityv1.Consent_STATE_WITHDRAWN

	byConsent  = identityv1.LawfulBasis_LAWFUL_BASIS_CONSENT
	byInterest = identityv1.LawfulBasis_LAWFUL_BASIS_LEGITIMATE_INTEREST
)

const purposeNotFound = "CONSENT_PURPOSE_NOT_FOUND"

// Book keeps purposes, their texts, records and consents. It is safe for concurrent
// use.
type Book struct {
	tables
	outbox  *delivery.Book
	blocked metric.Int64Counter
}

// New returns a book. The outbox knows to where nothing is sent.
func New(outbox *delivery.Book, meter metric.Meter) (*Book, error) {
	blocked, err := meter.Int64Counter("guildhall.identity.contacts.blocked",
		metric.WithDescription("Contacts with customers that somebody asked for and that may not be, by reason."))
	return &Book{tables: newTables(), outbox: outbox, blocked: blocked}, err
}

// tables are what a book keeps:
//
//	consent_purposes  (organisation, name)           -> ConsentPurpose
//	consent_texts     (purpose, version)             -> ConsentText
//	consents          (customer, name)               -> Consent
//	consent_records   (customer, record time, name)  -> ConsentRecord
type tables struct {
	purposes *kv.Table[*identityv1.ConsentPurpose]
	texts    *kv.Table[*identityv1.ConsentText]
	consents *kv.Table[*identityv1.Consent]
	records  *kv.Table[*identityv1.ConsentRecord]
}

func newTables() tables {
	return tables{
		purposes: kv.NewTable(kv.TableConfig[*identityv1.ConsentPurpose]{
			Name: "consent_purposes", NotFound: purposeNotFound, Exists: "CONSENT_PURPOSE_EXISTS",
			Key: func(p *identityv1.ConsentPurpose) kv.Key { return key(p.GetName()) },
		}),
		texts: kv.NewTable(kv.TableConfig[*identityv1.ConsentText]{
			Name: "consent_texts", Key: func(t *identityv1.ConsentText) kv.Key { return textKey(purposeOf(t.GetName()), t.GetVersion()) },
		}),
		consents: kv.NewTable(kv.TableConfig[*identityv1.Consent]{
			Name: "consents", Key: func(c *identityv1.Consent) kv.Key { return key(c.GetName()) },
		}),
		records: kv.NewTable(kv.TableConfig[*identityv1.ConsentRecord]{
			Name: "consent_records",
			Key: func(c *identityv1.ConsentRecord) kv.Key {
				return kv.Key{kv.String(resource.Parent(c.GetName())), kv.Time(c.GetRecordTime().AsTime()), kv.String(c.GetName())}
			},
		}),
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string {
	return slices.Concat(t.purposes.Tables(), t.texts.Tables(), t.consents.Tables(), t.records.Tables())
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func textKey(purpose string, version int32) kv.Key {
	return kv.Key{kv.String(purpose), kv.Int64(int64(version))}
}

func purposeOf(text string) string { return resource.Parent(text) }

// consentName returns the name of what holds of a customer, a purpose and a channel.
// A channel's id has no hyphen, so that no two are the same.
func consentName(customer, purpose string, channel identityv1.ContactChannel) string {
	return customer + "/consents/" + purpose[strings.LastIndexByte(purpose, '/')+1:] + "-" + channelID(channel)
}

func channelID(c identityv1.ContactChannel) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CONTACT_CHANNEL_"))
}

// List returns a page of what holds of a customer, by purpose and channel, and where
// to go on behind it, nil at the end.
func (b *Book) List(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.Consent, []byte, error) {
	return revise.Views(b.consents.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, After: after, Limit: limit}))
}

// Records returns a page of a customer's records, the newest first, and where to go
// on behind it, nil at the end.
func (b *Book) Records(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.ConsentRecord, []byte, error) {
	page, err := b.records.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, Reverse: true, After: after, Limit: limit})
	return page.Values(), page.Next, err
}

// forgetChunk is how many records one transaction removes.
const forgetChunk = 200

// Forget removes what a customer said who is gone for good, some of it, and reports
// whether there is more, for another transaction.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	own := kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: forgetChunk}
	if more, err = b.records.RemoveAll(tx, own); more || err != nil {
		return more, err
	}
	return b.consents.RemoveAll(tx, own)
}

// purpose returns a purpose of a customer's organisation. The error is NotFound
// (CONSENT_PURPOSE_NOT_FOUND).
func (b *Book) purpose(r kv.Reader, organization, name string) (*identityv1.ConsentPurpose, error) {
	if resource.Parent(name) != organization {
		return nil, errs.NotFoundName(purposeNotFound, name)
	}
	return b.Purpose(r, name)
}
