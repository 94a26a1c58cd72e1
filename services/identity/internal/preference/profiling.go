package preference

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// ChoicePattern is the form of the name of a customer's choice.
const ChoicePattern = resource.Pattern("organizations/{organization}/customers/{customer}/profilingChoice")

func choices() *revise.Setting[*identityv1.ProfilingChoice] {
	return revise.NewSetting(revise.SettingConfig[*identityv1.ProfilingChoice]{
		Table: "profiling_choices", ID: "profilingChoice",
		Rules: revise.Rules[*identityv1.ProfilingChoice]{
			Event: "guildhall.identity.profiling_choice", Fields: []string{"opted_out", "actor"},
			Data: func(c *identityv1.ProfilingChoice) proto.Message {
				return &identityv1.ProfilingChoiceChanged{Customer: revise.ParentOf(c.GetName()), OptedOut: c.GetOptedOut()}
			},
		},
	})
}

// Choose changes the masked fields of a customer's choice to those of asked, as an actor
// says; with an opt-out goes what was concluded before. Errors are Conflict
// (ETAG_MISMATCH), and Invalid for a mask of other fields.
func (b *Book) Choose(tx *change.Tx, asked *identityv1.ProfilingChoice, mask *fieldmaskpb.FieldMask, actor string) (*identityv1.ProfilingChoice, error) {
	paths, err := fieldmask.Paths(mask, asked, "opted_out")
	if err != nil {
		return nil, err
	}
	customer := revise.ParentOf(asked.GetName())
	rec, _, err := b.Choices.Find(tx, kv.Key{kv.String(customer)})
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(asked.GetEtag()); err != nil {
		return nil, err
	}
	if len(paths) == 0 || rec.Value.GetOptedOut() == asked.GetOptedOut() {
		tx.Unchanged()
		return b.Choices.Of(tx, customer)
	}
	asked = proto.CloneOf(asked)
	asked.Actor = actor
	chosen, err := b.Choices.Update(tx, asked, &fieldmaskpb.FieldMask{Paths: []string{"opted_out", "actor"}})
	if err != nil || !chosen.GetOptedOut() {
		return chosen, err
	}
	return chosen, b.withdraw(tx, customer)
}

// withdraw removes what was concluded of a customer, and the evidence of what it said.
func (b *Book) withdraw(tx *change.Tx, customer string) error {
	for rec, err := range b.preferences.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return err
		}
		p := rec.Value
		if p.GetSource() == inferred {
			if _, err := revise.Delete(tx, b.preferences, key(p.GetName()), "", b.rules(tx)); err != nil {
				return err
			}
			continue
		}
		if len(p.GetEvidence()) == 0 {
			continue
		}
		if _, err := b.preferences.Modify(tx, key(p.GetName()), "", func(p *identityv1.Preference) error {
			p.Evidence, p.EvidenceCount = nil, 0
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
