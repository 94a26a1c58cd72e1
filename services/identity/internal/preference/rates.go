package preference

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Count counts what a customer made of a recommendation, in the month of the
// transaction, and returns the topic's rate with it. It keeps nothing of the customer.
// The error is Invalid (PREFERENCE_TOPIC_INVALID).
func (b *Book) Count(tx *change.Tx, customer, topic string, outcome identityv1.RecordRecommendationRequest_Outcome) (*identityv1.RecommendationRate, error) {
	if err := checkTopic("topic", topic); err != nil {
		return nil, err
	}
	t := &storev1.RecommendationTally{Organization: resource.Parent(customer), Month: tx.Time.UTC().Format("2006-01"), Topic: topic}
	rec, found, err := b.tallies.Find(tx, tallyKey(t))
	if err != nil {
		return nil, err
	}
	if found {
		t = proto.CloneOf(rec.Value)
	}
	switch outcome {
	case identityv1.RecordRecommendationRequest_OUTCOME_ACCEPTED:
		t.Accepted++
	case identityv1.RecordRecommendationRequest_OUTCOME_DECLINED:
		t.Declined++
	default:
		t.Ignored++
	}
	if _, err := b.tallies.Put(tx, t, ""); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: customer, ChangedFields: []string{"recommendations"}})
	return rate(t), nil
}

// Rates returns a page of an organisation's rates, the latest month first, and where to
// go on behind it, nil at the end.
func (b *Book) Rates(r kv.Reader, organization string, after []byte, limit int) (out []*identityv1.RecommendationRate, next []byte, err error) {
	page, err := b.tallies.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after, Limit: limit})
	for _, rec := range page.Records {
		out = append(out, rate(rec.Value))
	}
	return out, page.Next, err
}

func rate(t *storev1.RecommendationTally) *identityv1.RecommendationRate {
	n := t.GetAccepted() + t.GetDeclined() + t.GetIgnored()
	return &identityv1.RecommendationRate{
		Month: t.GetMonth(), Topic: t.GetTopic(), RecommendationCount: n, AcceptedCount: t.GetAccepted(), DeclinedCount: t.GetDeclined(),
		HitRate: float64(t.GetAccepted()) / float64(n),
	}
}
