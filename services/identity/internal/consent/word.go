package consent

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Word is what a customer said, as it is recorded.
type Word struct {
	Customer string
	// Actor is who records it: the customer, or somebody to whom it said so.
	Actor string
	// Evidence, Language and RemoteAddress go into the record.
	Evidence, Language, RemoteAddress string
	// At is when it was said; nil is now.
	At *timestamppb.Timestamp
}

// check refuses a word that proves nothing. Errors are Invalid:
// CONSENT_EVIDENCE_MISSING and CONSENT_TIME_INVALID.
func (w Word) check(now time.Time) error {
	self := w.Actor == w.Customer
	if !self && w.Evidence == "" {
		return errs.InvalidField("evidence", "CONSENT_EVIDENCE_MISSING", "say where the evidence is, or how the customer said so")
	}
	if w.At == nil {
		return nil
	}
	if at := w.At.AsTime(); self || !w.At.IsValid() || at.After(now) || at.Year() < 1900 {
		return errs.InvalidField("consent_time", "CONSENT_TIME_INVALID", "leave it empty when it is said now; staff may send a time that has been, after 1900")
	}
	return nil
}

// at returns when it was said. What is said now is said behind what was said
// before, whatever the clocks of two replicas say.
func (w Word) at(now time.Time, before *identityv1.Consent) time.Time {
	if w.At != nil {
		return w.At.AsTime()
	}
	if last := before.GetConsentTime(); last != nil && !now.After(last.AsTime()) {
		return last.AsTime().Add(time.Microsecond)
	}
	return now
}

// Grant records that a customer, who is there, agrees to a purpose over some
// channels, and returns what holds then. Errors are NotFound
// (CONSENT_PURPOSE_NOT_FOUND), Precondition (CONSENT_PURPOSE_RETIRED,
// CONSENT_NOT_ASKED, CONSENT_VERSION_OUTDATED) and Invalid:
// CONSENT_CHANNEL_UNKNOWN, CONSENT_VERSION_UNKNOWN, and those of the word.
func (b *Book) Grant(tx *change.Tx, w Word, purpose string, channels []identityv1.ContactChannel, version int32) (out []*identityv1.Consent, err error) {
	if err := w.check(tx.Time); err != nil {
		return nil, err
	}
	p, err := b.purpose(tx, resource.Parent(w.Customer), purpose)
	if err != nil {
		return nil, err
	}
	if err := checkGrant(p, w, channels, version); err != nil {
		return nil, err
	}
	tx.Unchanged() // unless one of them changes
	for _, c := range channels {
		holds, err := b.note(tx, w, p, c, granted, version)
		if err != nil {
			return nil, err
		}
		out = append(out, holds)
	}
	return out, nil
}

func checkGrant(p *identityv1.ConsentPurpose, w Word, channels []identityv1.ContactChannel, version int32) error {
	switch {
	case p.GetRetired():
		return errs.New(errs.Precondition, "CONSENT_PURPOSE_RETIRED", "nobody is asked for this purpose any more")
	case !asked(p):
		return notAsked()
	case version > p.GetTextVersion():
		return errs.InvalidField("text_version", "CONSENT_VERSION_UNKNOWN", "send a version of the text that there is")
	case version < p.GetOldestValidVersion(), w.Actor == w.Customer && version != p.GetTextVersion():
		return errs.New(errs.Precondition, "CONSENT_VERSION_OUTDATED", "the text is another one now; have the customer read it")
	}
	return checkChannels(p, channels)
}

// asked reports whether what customers say counts for a purpose.
func asked(p *identityv1.ConsentPurpose) bool {
	return p.GetLawfulBasis() == byConsent || p.GetLawfulBasis() == byInterest
}

func notAsked() error {
	return errs.New(errs.Precondition, "CONSENT_NOT_ASKED", "a contract or the law wants these contacts, and nobody is asked for consent to them")
}

func checkChannels(p *identityv1.ConsentPurpose, channels []identityv1.ContactChannel) error {
	for _, c := range channels {
		if !slices.Contains(p.GetChannels(), c) {
			return errs.InvalidField("channels", "CONSENT_CHANNEL_UNKNOWN", "name channels that the purpose has")
		}
	}
	return nil
}

// Withdraw records that a customer, who is there, takes back what it agreed to, or
// objects, and returns what holds then: of one purpose, or of all with "", and over
// some channels, or over all with none. Errors are NotFound
// (CONSENT_PURPOSE_NOT_FOUND), Precondition (CONSENT_NOT_ASKED) and Invalid:
// CONSENT_CHANNEL_UNKNOWN, and those of the word.
func (b *Book) Withdraw(tx *change.Tx, w Word, purpose string, channels []identityv1.ContactChannel) (out []*identityv1.Consent, err error) {
	if err := w.check(tx.Time); err != nil {
		return nil, err
	}
	purposes, err := b.withdrawable(tx, resource.Parent(w.Customer), purpose, channels)
	if err != nil {
		return nil, err
	}
	tx.Unchanged() // unless one of them changes
	for _, p := range purposes {
		for _, c := range p.GetChannels() {
			if len(channels) > 0 && !slices.Contains(channels, c) {
				continue
			}
			holds, err := b.note(tx, w, p, c, withdrawn, p.GetTextVersion())
			if err != nil {
				return nil, err
			}
			out = append(out, holds)
		}
	}
	return out, nil
}

// withdrawable returns the purposes that a withdrawal is about.
func (b *Book) withdrawable(r kv.Reader, organization, name string, channels []identityv1.ContactChannel) (all []*identityv1.ConsentPurpose, err error) {
	if name == "" {
		for rec, err := range b.purposes.Scan(r, kv.Query{Prefix: kv.Key{kv.String(organization)}}) {
			if err != nil {
				return nil, err
			}
			if asked(rec.Value) {
				all = append(all, rec.Value)
			}
		}
		return all, nil
	}
	p, err := b.purpose(r, organization, name)
	switch {
	case err != nil:
		return nil, err
	case !asked(p):
		return nil, notAsked()
	}
	return []*identityv1.ConsentPurpose{p}, checkChannels(p, channels)
}

// note records one word, unless it is what holds already, and returns what holds
// then.
func (b *Book) note(tx *change.Tx, w Word, p *identityv1.ConsentPurpose, c identityv1.ContactChannel, state identityv1.Consent_State, version int32) (*identityv1.Consent, error) {
	name := consentName(w.Customer, p.GetName(), c)
	old, found, err := b.consents.Find(tx, key(name))
	if err != nil {
		return nil, err
	}
	if found && old.Value.GetState() == state && (state == withdrawn || old.Value.GetTextVersion() == version) {
		return revise.View(old), nil
	}
	rec := &identityv1.ConsentRecord{
		Name: w.Customer + "/consentRecords/" + tx.NewID(), Purpose: p.GetName(), Channel: c, State: state,
		LawfulBasis: p.GetLawfulBasis(), TextVersion: version, Language: w.Language, Evidence: w.Evidence,
		Actor: w.Actor, RemoteAddress: w.RemoteAddress, ConsentTime: timestamppb.New(w.at(tx.Time, old.Value)), RecordTime: timestamppb.New(tx.Time),
	}
	if _, err := b.records.Create(tx, rec); err != nil {
		return nil, err
	}
	event := GrantedType
	if state == withdrawn {
		event = WithdrawnType
	}
	if found && !counts(rec, old.Value) {
		// It is on record, and what was said later still holds.
		tx.Record(change.Change{Resource: rec.GetName(), ChangedFields: []string{"state"}, OnBehalfOf: w.behalf()})
		return revise.View(old), nil
	}
	now, err := b.consents.Put(tx, &identityv1.Consent{
		Name: name, Purpose: p.GetName(), Channel: c, State: state, TextVersion: version, ConsentTime: rec.GetConsentTime(), Record: rec.GetName(),
	}, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: name, Type: event, ChangedFields: []string{"state"}, OnBehalfOf: w.behalf(),
		Data: &identityv1.ConsentChanged{Customer: w.Customer, Purpose: p.GetName(), Channel: c, ConsentTime: rec.GetConsentTime()},
	})
	return revise.View(now), nil
}

// counts reports whether a record says something later than what holds; of the same
// moment, whether it is the stricter.
func counts(rec *identityv1.ConsentRecord, holds *identityv1.Consent) bool {
	at, before := rec.GetConsentTime().AsTime(), holds.GetConsentTime().AsTime()
	if at.Equal(before) {
		return rec.GetState() == withdrawn || holds.GetState() == granted
	}
	return at.After(before)
}

// behalf returns the customer for whom somebody else acts; "" for itself.
func (w Word) behalf() string {
	if w.Actor == w.Customer {
		return ""
	}
	return w.Customer
}
