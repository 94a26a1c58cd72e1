package preference

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/preferencePolicy")

// What holds where an organisation has not said: half a year, as interests go with the
// seasons, and a strength that nobody would act on.
const (
	DefaultHalfLife    = 180 * 24 * time.Hour
	DefaultForgetBelow = 0.05
)

func policies() *revise.Setting[*identityv1.PreferencePolicy] {
	return revise.NewSetting(revise.SettingConfig[*identityv1.PreferencePolicy]{
		Table: "preference_policies", ID: "preferencePolicy",
		Rules: revise.Rules[*identityv1.PreferencePolicy]{
			Event: "guildhall.identity.preference_policy", Fields: []string{"half_life", "forget_below"},
		},
		Complete: func(p *identityv1.PreferencePolicy) {
			if p.GetHalfLife() == nil {
				p.HalfLife = durationpb.New(DefaultHalfLife)
			}
			if p.GetForgetBelow() == 0 {
				p.ForgetBelow = DefaultForgetBelow
			}
		},
	})
}

// fade returns what is left of a strength after a time in which it halves again and
// again; nothing is gained by what lies ahead.
func fade(strength float64, passed, halfLife time.Duration) float64 {
	return strength * math.Exp2(-max(0, passed.Seconds())/halfLife.Seconds())
}

// strengthen returns what a strength becomes by evidence; see RecordPreferenceEvidence.
func strengthen(strength, weight float64) float64 {
	return max(-1, min(1, strength+weight*(1-math.Abs(strength))))
}

// until returns when a strength of a moment has faded to what is forgotten.
func until(strength float64, at time.Time, p *identityv1.PreferencePolicy) time.Time {
	halvings := math.Log2(math.Abs(strength) / p.GetForgetBelow())
	return at.Add(time.Duration(max(0, halvings) * float64(p.GetHalfLife().AsDuration())))
}

// there reports whether a preference has not faded away.
func there(policy *identityv1.PreferencePolicy, p *identityv1.Preference, now time.Time) bool {
	return p.GetSource() != inferred || now.Before(until(p.GetStrength(), p.GetUpdateTime().AsTime(), policy))
}

// faded returns a preference as strong as it is now.
func faded(policy *identityv1.PreferencePolicy, p *identityv1.Preference, now time.Time) *identityv1.Preference {
	if p.GetSource() != inferred {
		return p
	}
	p = proto.CloneOf(p)
	at := p.GetUpdateTime().AsTime()
	p.ExpireTime = timestamppb.New(until(p.GetStrength(), at, policy))
	p.Strength = fade(p.GetStrength(), now.Sub(at), policy.GetHalfLife().AsDuration())
	return p
}

// refresh makes a conclusion of a time one of now.
func (b *Book) refresh(tx *change.Tx, p *identityv1.Preference, since time.Time) error {
	policy, err := b.Policies.Of(tx, organizationOf(p))
	if err != nil {
		return err
	}
	p.Strength = fade(p.GetStrength(), tx.Time.Sub(since), policy.GetHalfLife().AsDuration())
	p.ExpireTime = timestamppb.New(until(p.GetStrength(), tx.Time, policy))
	return nil
}

// Expired returns up to limit names of conclusions that may have faded away.
func (b *Book) Expired(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.preferences.Due(r, byExpiry, now, limit)
	return revise.Names(due), err
}

// Expire removes a conclusion that has faded away, or looks again when it will have,
// if a longer half-life keeps it. It leaves no trace, as none of its fading does.
func (b *Book) Expire(tx *change.Tx, name string) error {
	tx.Unchanged()
	rec, found, err := b.preferences.Find(tx, key(name))
	if err != nil || !found || rec.Value.GetSource() != inferred {
		return err
	}
	policy, err := b.Policies.Of(tx, organizationOf(rec.Value))
	if err != nil {
		return err
	}
	if !there(policy, rec.Value, tx.Time) {
		_, err = b.preferences.Remove(tx, key(name))
		return err
	}
	_, err = b.preferences.Modify(tx, key(name), "", func(p *identityv1.Preference) error {
		p.ExpireTime = timestamppb.New(until(p.GetStrength(), p.GetUpdateTime().AsTime(), policy))
		return nil
	})
	return err
}
