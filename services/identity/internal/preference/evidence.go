package preference

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// kept is how many pieces of evidence a preference has at most.
const kept = 20

const evidenceInvalid = "PREFERENCE_EVIDENCE_INVALID"

// Record counts what a customer did, all of it or nothing, and returns the preferences
// that it is about, by topic. Errors are Precondition (PROFILING_OPTED_OUT), Invalid
// (PREFERENCE_TOPIC_INVALID, PREFERENCE_EVIDENCE_INVALID) and Exhausted
// (PREFERENCE_LIMIT).
func (b *Book) Record(tx *change.Tx, customer string, items []*identityv1.TopicEvidence, creator string) ([]*identityv1.Preference, error) {
	choice, err := b.Choices.Of(tx, customer)
	if err != nil {
		return nil, err
	}
	if choice.GetOptedOut() {
		return nil, errs.New(errs.Precondition, "PROFILING_OPTED_OUT", "the customer does not want anything to be concluded of it")
	}
	policy, err := b.Policies.Of(tx, resource.Parent(customer))
	if err != nil {
		return nil, err
	}
	topics := make(map[string][]*identityv1.PreferenceEvidence)
	for n, item := range items {
		e, err := checkEvidence(tx, fmt.Sprintf("items[%d].", n), customer, item)
		if err != nil {
			return nil, err
		}
		topics[item.GetTopic()] = append(topics[item.GetTopic()], e)
	}
	w := writer{Book: b, tx: tx, policy: policy, customer: customer, creator: creator}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		if err := w.count(topic, topics[topic]); err != nil {
			return nil, err
		}
	}
	if !w.changed {
		tx.Unchanged()
	}
	return w.out, nil
}

// checkEvidence returns the evidence of an item as it is kept.
func checkEvidence(tx *change.Tx, field, customer string, item *identityv1.TopicEvidence) (*identityv1.PreferenceEvidence, error) {
	if err := checkTopic(field+"topic", item.GetTopic()); err != nil {
		return nil, err
	}
	e := proto.CloneOf(item.GetEvidence())
	organization := resource.Parent(customer)
	below, others := strings.HasPrefix(e.GetResource(), customer+"/"), strings.HasPrefix(e.GetResource(), organization+"/customers/")
	if !strings.HasPrefix(e.GetResource(), organization+"/") || others && !below {
		return nil, errs.InvalidField(field+"evidence.resource", evidenceInvalid,
			"name a record of the same customer, or one of the organization that is no customer's")
	}
	if e.GetWeight() == 0 {
		return nil, errs.InvalidField(field+"evidence.weight", evidenceInvalid, "send how much it says, from -1 to 1 and not 0")
	}
	if e.GetTime() == nil {
		e.Time = timestamppb.New(tx.Time)
	}
	if e.GetTime().AsTime().After(tx.Time.AddDate(0, 0, 1)) {
		return nil, errs.InvalidField(field+"evidence.time", evidenceInvalid, "send when the customer did it, not after tomorrow")
	}
	return e, nil
}

// writer writes the conclusions of one request.
type writer struct {
	*Book
	tx                *change.Tx
	policy            *identityv1.PreferencePolicy
	customer, creator string
	out               []*identityv1.Preference
	changed           bool
}

// count counts evidence for a topic.
func (w *writer) count(topic string, evidence []*identityv1.PreferenceEvidence) error {
	p := &identityv1.Preference{
		Name: w.customer + "/preferences/" + w.tx.NewID(), Topic: topic, Source: inferred, Creator: w.creator, CreateTime: timestamppb.New(w.tx.Time),
	}
	old, found, err := w.preferences.FindBy(w.tx, byTopic, topicKey(p))
	if err != nil {
		return err
	}
	past := "created"
	switch {
	case found && there(w.policy, old.Value, w.tx.Time):
		p, past = faded(w.policy, proto.CloneOf(old.Value), w.tx.Time), "updated"
	case found: // what has faded away says nothing any more, and makes room
		if _, err := w.preferences.Remove(w.tx, key(old.Value.GetName())); err != nil {
			return err
		}
	}
	if !w.add(p, evidence) {
		w.out = append(w.out, shown(faded(w.policy, revise.View(old), w.tx.Time)))
		return nil
	}
	p.UpdateTime = timestamppb.New(w.tx.Time)
	if p.GetSource() == inferred {
		p.ExpireTime = timestamppb.New(until(p.GetStrength(), w.tx.Time, w.policy))
		if !there(w.policy, p, w.tx.Time) {
			return w.drop(p, past == "updated")
		}
	}
	return w.keep(p, past)
}

// add adds what a preference does not have yet, and reports whether that was anything.
func (w *writer) add(p *identityv1.Preference, evidence []*identityv1.PreferenceEvidence) (changed bool) {
	for _, e := range evidence {
		if slices.ContainsFunc(p.GetEvidence(), func(has *identityv1.PreferenceEvidence) bool { return has.GetResource() == e.GetResource() }) {
			continue
		}
		changed = true
		if p.GetSource() == inferred {
			passed := w.tx.Time.Sub(e.GetTime().AsTime())
			p.Strength = strengthen(p.GetStrength(), fade(e.GetWeight(), passed, w.policy.GetHalfLife().AsDuration()))
		}
		p.EvidenceCount++
		p.Evidence = append(p.Evidence, e)
	}
	slices.SortStableFunc(p.GetEvidence(), func(a, b *identityv1.PreferenceEvidence) int {
		return b.GetTime().AsTime().Compare(a.GetTime().AsTime())
	})
	p.Evidence = p.Evidence[:min(kept, len(p.Evidence))]
	return changed
}

// drop forgets a conclusion that evidence has brought to nothing.
func (w *writer) drop(p *identityv1.Preference, was bool) error {
	if !was {
		return nil
	}
	w.changed = true
	_, err := revise.Delete(w.tx, w.preferences, key(p.GetName()), "", w.rules(w.tx))
	return err
}

func (w *writer) keep(p *identityv1.Preference, past string) error {
	if past == "created" {
		if err := w.checkRoom(w.tx, w.customer); err != nil {
			return err
		}
	}
	rec, err := w.preferences.Put(w.tx, p, "")
	if err != nil {
		return err
	}
	w.changed = true
	w.tx.Record(change.Change{
		Resource: p.GetName(), Type: "guildhall.identity.preference." + past + ".v1", ChangedFields: []string{"strength", "evidence"}, Data: told(p),
	})
	w.out = append(w.out, shown(revise.View(rec)))
	return nil
}

// shown returns a preference as lists have it.
func shown(p *identityv1.Preference) *identityv1.Preference {
	p.Evidence = nil
	return p
}
