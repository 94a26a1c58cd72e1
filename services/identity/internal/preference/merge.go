package preference

import (
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how preferences become another customer's: those of topics of which that one
// has none, and of one who does not want to be profiled only what it said.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.Preference]{
		Name: "preferences", Table: b.preferences,
		Of: func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub: func(name string, _ *timestamppb.Timestamp) *identityv1.Preference {
			return &identityv1.Preference{Name: name}
		},
		Rename: func(p *identityv1.Preference, name string) { p.Name = name },
		Give: func(p *identityv1.Preference, from, to string) {
			for _, e := range p.GetEvidence() {
				e.Resource = shift.Below(e.GetResource(), from, to)
			}
		},
		Stays: func(r kv.Reader, p *identityv1.Preference, to string) (bool, error) {
			if choice, err := b.Choices.Of(r, to); err != nil || choice.GetOptedOut() && p.GetSource() == inferred {
				return err == nil, err
			}
			_, has, err := b.preferences.FindBy(r, byTopic, topicPrefix(organizationOf(p), p.GetTopic()).With(kv.String(to)))
			return has, err
		},
	}.Kind()
}

// OptsOut reports whether a survivor is not to be profiled any more because its
// duplicate is not.
func (b *Book) OptsOut(r kv.Reader, survivor, duplicate string) (bool, error) {
	other, err := b.Choices.Of(r, duplicate)
	if err != nil || !other.GetOptedOut() {
		return false, err
	}
	own, err := b.Choices.Of(r, survivor)
	return !own.GetOptedOut(), err
}

// OptOut makes a customer one who does not want to be profiled, as an actor says.
func (b *Book) OptOut(tx *change.Tx, customer, actor string) error {
	return b.opt(tx, customer, actor, true)
}

// OptBack takes back an OptOut of a time, unless somebody has chosen since.
func (b *Book) OptBack(tx *change.Tx, customer, actor string, since time.Time) error {
	choice, err := b.Choices.Of(tx, customer)
	if err != nil || !choice.GetOptedOut() || !choice.GetUpdateTime().AsTime().Equal(since) {
		return err
	}
	return b.opt(tx, customer, actor, false)
}

func (b *Book) opt(tx *change.Tx, customer, actor string, out bool) error {
	asked := &identityv1.ProfilingChoice{Name: customer + "/profilingChoice", OptedOut: out}
	_, err := b.Choose(tx, asked, &fieldmaskpb.FieldMask{Paths: []string{"opted_out"}}, actor)
	return err
}
