package consent

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how what a customer said becomes part of what another account of the same
// person said: the records, with their evidence. What holds then, Unite says.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.ConsentRecord]{
		Name: "consent_records", Table: b.records,
		Of: func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub: func(name string, at *timestamppb.Timestamp) *identityv1.ConsentRecord {
			return &identityv1.ConsentRecord{Name: name, RecordTime: at}
		},
		Time:   (*identityv1.ConsentRecord).GetRecordTime,
		Rename: func(c *identityv1.ConsentRecord, name string) { c.Name = name },
		// Who said it stays: it is evidence.
		Give: func(*identityv1.ConsentRecord, string, string) {},
	}.Kind()
}

// United is what comes of a purpose and a channel when two accounts of a person become
// one. Former has no state when the survivor had said nothing.
type United struct {
	Former, Duplicate, Result *identityv1.Consent
}

// Verdict returns it as the API shows it.
func (u United) Verdict() *identityv1.MergedConsent {
	return &identityv1.MergedConsent{
		Purpose: u.Result.GetPurpose(), Channel: u.Result.GetChannel(),
		SurvivorState: u.Former.GetState(), DuplicateState: u.Duplicate.GetState(), State: u.Result.GetState(),
	}
}

// Changes reports whether something else holds of the survivor than before.
func (u United) Changes() bool { return !proto.Equal(u.Former, u.Result) }

// Unite returns what comes of all that a duplicate has said when it becomes a
// survivor's. It writes nothing; see Keep.
func (b *Book) Unite(r kv.Reader, duplicate, survivor string) (all []United, err error) {
	for rec, err := range b.consents.Scan(r, kv.Query{Prefix: kv.Key{kv.String(duplicate)}}) {
		if err != nil {
			return nil, err
		}
		said := rec.Value
		name := consentName(survivor, said.GetPurpose(), said.GetChannel())
		old, found, err := b.consents.Find(r, key(name))
		if err != nil {
			return nil, err
		}
		former := &identityv1.Consent{Name: name, Purpose: said.GetPurpose(), Channel: said.GetChannel()}
		if found {
			former = old.Value
		}
		result := former
		if stricter(said, former) {
			result = proto.CloneOf(said)
			result.Name, result.Record = name, shift.Below(said.GetRecord(), duplicate, survivor)
		}
		all = append(all, United{Former: former, Duplicate: said, Result: result})
	}
	return all, nil
}

// stricter reports whether a word holds over another one of the same person: a
// withdrawal over any agreement, and any word over none. Of two agreements the one to
// the later text holds, and of two withdrawals the later one, so that nothing that was
// agreed to between them counts again.
func stricter(word, over *identityv1.Consent) bool {
	switch {
	case over.GetState() == 0:
		return true
	case word.GetState() != over.GetState():
		return word.GetState() == withdrawn
	case word.GetState() == granted && word.GetTextVersion() != over.GetTextVersion():
		return word.GetTextVersion() > over.GetTextVersion()
	}
	return word.GetConsentTime().AsTime().After(over.GetConsentTime().AsTime())
}

// Keep makes something hold of a customer in place of what held, where that still
// holds; a consent without a state is one that there is not. It reports whether it did.
func (b *Book) Keep(tx *change.Tx, was, is *identityv1.Consent) (bool, error) {
	rec, found, err := b.consents.Find(tx, key(was.GetName()))
	if err != nil {
		return false, err
	}
	if found != (was.GetState() != 0) || found && !proto.Equal(rec.Value, was) {
		return false, nil
	}
	event := GrantedType
	if is.GetState() != granted {
		event = WithdrawnType
	}
	if is.GetState() == 0 {
		_, err = b.consents.Remove(tx, key(is.GetName()))
	} else {
		_, err = b.consents.Put(tx, is, "")
	}
	tx.Record(change.Change{
		Resource: is.GetName(), Type: event, ChangedFields: []string{"state"}, Covered: true,
		Data: &identityv1.ConsentChanged{Customer: resource.Parent(resource.Parent(is.GetName())), Purpose: is.GetPurpose(), Channel: is.GetChannel()},
	})
	return true, err
}
