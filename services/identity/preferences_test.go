package identity_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	statedOne   = identityv1.Preference_SOURCE_STATED
	inferredOne = identityv1.Preference_SOURCE_INFERRED
)

func (p *process) preferences() identityv1.PreferenceServiceClient {
	return identityv1.NewPreferenceServiceClient(p.conn)
}

// prefers writes down what a customer said.
func (p *process) prefers(ctx context.Context, customer, topic string, strength float64) (*identityv1.Preference, error) {
	return p.preferences().CreatePreference(ctx, &identityv1.CreatePreferenceRequest{
		Parent: customer, Preference: &identityv1.Preference{Topic: topic, Strength: strength, Note: "said so"},
	})
}

// did is evidence of a record of a customer.
func did(customer, topic, id string, weight float64) *identityv1.TopicEvidence {
	return &identityv1.TopicEvidence{Topic: topic, Evidence: &identityv1.PreferenceEvidence{Resource: customer + "/orders/" + id, Weight: weight}}
}

func (p *process) evidence(ctx context.Context, customer string, items ...*identityv1.TopicEvidence) ([]*identityv1.Preference, error) {
	resp, err := p.preferences().RecordPreferenceEvidence(ctx, &identityv1.RecordPreferenceEvidenceRequest{Parent: customer, Items: items})
	return resp.GetPreferences(), err
}

// likes returns the topics that a customer likes most, with how much.
func (p *process) likes(ctx context.Context, customer string) string {
	p.t.Helper()
	resp, err := p.preferences().RecommendTopics(ctx, &identityv1.RecommendTopicsRequest{Parent: customer})
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, each := range resp.GetPreferences() {
		all = append(all, fmt.Sprintf("%s %.2f", each.GetTopic(), each.GetStrength()))
	}
	return strings.Join(all, ", ")
}

// listedPreferences returns the topics, or of an organisation the customers, of a list, two on a
// page.
func (p *process) listedPreferences(ctx context.Context, parent, filter string) string {
	p.t.Helper()
	var all []string
	for r := (&identityv1.ListPreferencesRequest{Parent: parent, PageSize: 2, Filter: filter}); ; {
		page, err := p.preferences().ListPreferences(ctx, r)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, each := range page.GetPreferences() {
			if len(each.GetEvidence()) > 0 {
				p.t.Error("a list has evidence")
			}
			if parent == org {
				all = append(all, strings.Split(each.GetName(), "/")[3])
			} else {
				all = append(all, each.GetTopic())
			}
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return strings.Join(all, " ")
		}
	}
}

// TestPreference_isSaidCorrectedAndRemoved: a customer says one thing of a topic, and
// what was concluded gives way to it.
func TestPreference_isSaidCorrectedAndRemoved(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		if _, err := p.evidence(ctx, c, did(c, "hiking", "o1", 0.5)); err != nil {
			t.Fatal(err)
		}
		made, err := p.prefers(ctx, c, "hiking", 0.9)
		if err != nil || made.GetSource() != statedOne || made.GetStrength() != 0.9 || made.GetNote() != "said so" || made.GetExpireTime() != nil || made.GetEvidenceCount() != 1 {
			t.Errorf("made: %v, %v", made, err)
		}
		wantError(t, second(p.prefers(ctx, c, "hiking", 0.9)), errs.Exists, "PREFERENCE_EXISTS")
		wantError(t, second(p.prefers(ctx, c, "Hiking!", 0.9)), errs.Invalid, "PREFERENCE_TOPIC_INVALID")
		wantError(t, second(p.prefers(ctx, c, "tea", 0)), errs.Invalid, "PREFERENCE_STRENGTH_MISSING")
		wantError(t, second(p.prefers(ctx, c, "tea", math.NaN())), errs.Invalid, "VALIDATION_FAILED")
		wantError(t, second(p.prefers(ctx, org+"/customers/nobody", "tea", 1)), errs.NotFound, "CUSTOMER_NOT_FOUND")
		change := &identityv1.UpdatePreferenceRequest{Preference: &identityv1.Preference{Name: made.GetName(), Strength: -1, Etag: "AAAAAAAAAAAAAAAA"}}
		wantError(t, second(p.preferences().UpdatePreference(ctx, change)), errs.Conflict, "ETAG_MISMATCH")
		change.Preference.Etag = made.GetEtag()
		got, err := p.preferences().UpdatePreference(ctx, change)
		if err != nil || got.GetStrength() != -1 || got.GetNote() != "said so" {
			t.Errorf("update: %v, %v", got, err)
		}
		change.Preference.Etag, change.UpdateMask = "", &fieldmaskpb.FieldMask{Paths: []string{"source"}}
		wantError(t, second(p.preferences().UpdatePreference(ctx, change)), errs.Invalid, "UPDATE_MASK_INVALID")
		if got := p.likes(ctx, c); got != "" {
			t.Errorf("what it does not want is recommended: %s", got)
		}
		p.clock.advance(time.Minute)
		if got, err := p.preferences().GetPreference(ctx, &identityv1.GetPreferenceRequest{Name: made.GetName()}); err != nil || got.GetStrength() != -1 {
			t.Errorf("a word fades: %v, %v", got, err)
		}
		if _, err := p.preferences().DeletePreference(ctx, &identityv1.DeletePreferenceRequest{Name: made.GetName()}); err != nil {
			t.Error(err)
		}
		wantError(t, second(p.preferences().GetPreference(ctx, &identityv1.GetPreferenceRequest{Name: made.GetName()})), errs.NotFound, "PREFERENCE_NOT_FOUND")
		if got := strings.Join(about(p.events(ctx, "guildhall.identity.preference."), made.GetName()), " "); got != "preference.created preference.updated preference.updated preference.deleted" {
			t.Errorf("events are %s", got)
		}
	})
}

// TestPreferenceEvidence_countsOnceAndFades: what a customer did strengthens less each
// time, the same record counts once, and without more of it the conclusion is gone.
func TestPreferenceEvidence_countsOnceAndFades(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		old := did(c, "tea", "o0", 0.8)
		old.Evidence.Time = timestamppb.New(p.clock.now().Add(-180 * 24 * time.Hour))
		for range 2 {
			got, err := p.evidence(ctx, c, did(c, "hiking", "o1", 0.5), did(c, "hiking", "o2", 0.5), old)
			if err != nil || len(got) != 2 || got[0].GetTopic() != "hiking" || got[0].GetEvidenceCount() != 2 || got[0].GetSource() != inferredOne {
				t.Fatalf("recorded: %v, %v", got, err)
			}
		}
		if got := p.likes(ctx, c); got != "hiking 0.75, tea 0.40" {
			t.Errorf("it likes %s", got)
		}
		p.clock.advance(180 * 24 * time.Hour)
		ctx = p.relogin()
		if got := p.likes(ctx, c); got != "hiking 0.38, tea 0.20" {
			t.Errorf("half a year later it likes %s", got)
		}
		if _, err := p.evidence(ctx, c, did(c, "hiking", "o3", -0.375)); err != nil {
			t.Error(err)
		}
		p.clock.advance(361 * 24 * time.Hour) // tea is below 0.05
		ctx = p.relogin()
		if got := p.listedPreferences(ctx, c, ""); got != "" {
			t.Errorf("left are %s", got)
		}
		p.close()
		next := p.start(config()) // it sweeps at its start
		next.until(func() bool { return next.rowsOf("preferences") == 0 })
	})
}

func TestPreferenceEvidence_refusesWhatIsNone(t *testing.T) {
	p := newHost(t, testkit.Engines()[0]).start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	other := p.add(ctx, "c2", &identityv1.Customer{}).GetName()
	late := did(c, "tea", "o1", 1)
	late.Evidence.Time = timestamppb.New(p.clock.now().AddDate(0, 0, 2))
	for name, item := range map[string]*identityv1.TopicEvidence{
		"another customer's":     did(other, "tea", "o1", 1),
		"another organization's": did("organizations/other/customers/c1", "tea", "o1", 1),
		"of no weight":           did(c, "tea", "o1", 0),
		"of the future":          late,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.evidence(ctx, c, did(c, "hiking", "o9", 1), item)
			wantError(t, err, errs.Invalid, "PREFERENCE_EVIDENCE_INVALID")
		})
	}
	if got := p.listedPreferences(ctx, c, ""); got != "" {
		t.Errorf("a half of a refused request stays: %s", got)
	}
	var many []*identityv1.TopicEvidence
	for i := range 100 {
		many = append(many, did(c, fmt.Sprint("t", i), "o1", 1))
	}
	for i := range 2 {
		for _, each := range many {
			each.Topic = fmt.Sprint(each.GetTopic(), "-", i)
		}
		if _, err := p.evidence(ctx, c, many...); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, second(p.prefers(ctx, c, "one-more", 1)), errs.Exhausted, "PREFERENCE_LIMIT")
	_, err := p.evidence(ctx, c, did(c, "one-more", "o1", 1))
	wantError(t, err, errs.Exhausted, "PREFERENCE_LIMIT")
}

// TestProfilingChoice_endsConclusions: with an opt-out all conclusions go, and the
// evidence of what the customer said; what it said stays, and nothing comes back.
func TestProfilingChoice_endsConclusions(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		made, tokens := p.customer(ctx, &identityv1.Customer{Email: "c1@example.com"})
		c, self := made.GetName(), with(tokens)
		if _, err := p.prefers(self, c, "tea", 0.6); err != nil {
			t.Fatal(err)
		}
		if _, err := p.evidence(ctx, c, did(c, "hiking", "o1", 0.5), did(c, "tea", "o2", 0.5)); err != nil {
			t.Fatal(err)
		}
		choose := func(out bool) (*identityv1.ProfilingChoice, error) {
			return p.preferences().UpdateProfilingChoice(self, &identityv1.UpdateProfilingChoiceRequest{
				ProfilingChoice: &identityv1.ProfilingChoice{Name: c + "/profilingChoice", OptedOut: out},
				UpdateMask:      &fieldmaskpb.FieldMask{Paths: []string{"opted_out"}},
			})
		}
		got, err := choose(true)
		if err != nil || !got.GetOptedOut() || got.GetActor() != c || got.GetName() != c+"/profilingChoice" {
			t.Errorf("the choice is %v, %v", got, err)
		}
		again, err := choose(true)
		if err != nil || again.GetEtag() != got.GetEtag() {
			t.Errorf("again: %v, %v", again, err)
		}
		if got := p.likes(ctx, c); got != "tea 0.60" {
			t.Errorf("it likes %s", got)
		}
		_, err = p.evidence(ctx, c, did(c, "hiking", "o3", 0.5))
		wantError(t, err, errs.Precondition, "PROFILING_OPTED_OUT")
		if _, err := choose(false); err != nil {
			t.Error(err)
		}
		if got := p.listedPreferences(self, c, ""); got != "tea" {
			t.Errorf("left are %s", got)
		}
		tea, err := p.preferences().ListPreferences(ctx, &identityv1.ListPreferencesRequest{Parent: c, Filter: `source = "STATED"`})
		if err != nil || len(tea.GetPreferences()) != 1 || tea.GetPreferences()[0].GetEvidenceCount() != 0 {
			t.Errorf("what it said: %v, %v", tea, err)
		}
		if got := strings.Join(about(p.events(ctx, "guildhall.identity.profiling_choice."), c+"/profilingChoice"), " "); got != "profiling_choice.updated profiling_choice.updated" {
			t.Errorf("events are %s", got)
		}
	})
}

// TestListPreferences_ofATopic: an organisation finds who likes a topic, and nothing
// without saying which.
func TestListPreferences_ofATopic(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for i := range 3 {
			c := p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{}).GetName()
			if _, err := p.prefers(ctx, c, "hiking", 1); err != nil {
				t.Fatal(err)
			}
			if _, err := p.prefers(ctx, c, fmt.Sprint("tea-", i), 1); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.listedPreferences(ctx, org, `topic = "hiking"`); got != "c0 c1 c2" {
			t.Errorf("of hiking are %s", got)
		}
		if got := p.listedPreferences(ctx, org, `topic = "hiking" AND source = "INFERRED"`); got != "" {
			t.Errorf("of whom it was concluded are %s", got)
		}
		if got := p.listedPreferences(ctx, org+"/customers/c1", `topic = "tea-1"`); got != "tea-1" {
			t.Errorf("of tea is %s", got)
		}
		_, err := p.preferences().ListPreferences(ctx, &identityv1.ListPreferencesRequest{Parent: org})
		wantError(t, err, errs.Invalid, "FILTER_INVALID")
		_, err = p.preferences().ListPreferences(ctx, &identityv1.ListPreferencesRequest{Parent: org + "/customers/nobody"})
		wantError(t, err, errs.NotFound, "CUSTOMER_NOT_FOUND")
	})
}

// TestRecommendationRates_countByMonthAndTopic: each outcome counts once, under retry
// too, and the rate says how many were taken.
func TestRecommendationRates_countByMonthAndTopic(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		say := func(topic, id string, outcome identityv1.RecordRecommendationRequest_Outcome) *identityv1.RecommendationRate {
			resp, err := p.preferences().RecordRecommendation(ctx, &identityv1.RecordRecommendationRequest{Parent: c, Topic: topic, Outcome: outcome, RequestId: id})
			if err != nil {
				t.Fatal(err)
			}
			return resp.GetRecommendationRate()
		}
		say("hiking", "11111111-1111-4111-8111-111111111111", identityv1.RecordRecommendationRequest_OUTCOME_ACCEPTED)
		say("hiking", "11111111-1111-4111-8111-111111111111", identityv1.RecordRecommendationRequest_OUTCOME_ACCEPTED)
		say("hiking", "", identityv1.RecordRecommendationRequest_OUTCOME_DECLINED)
		say("hiking", "", identityv1.RecordRecommendationRequest_OUTCOME_IGNORED)
		got := say("hiking", "", identityv1.RecordRecommendationRequest_OUTCOME_IGNORED)
		if got.GetRecommendationCount() != 4 || got.GetAcceptedCount() != 1 || got.GetDeclinedCount() != 1 || got.GetHitRate() != 0.25 {
			t.Errorf("the rate is %v", got)
		}
		say("tea", "", identityv1.RecordRecommendationRequest_OUTCOME_ACCEPTED)
		resp, err := p.preferences().ListRecommendationRates(ctx, &identityv1.ListRecommendationRatesRequest{Parent: org, PageSize: 1})
		if err != nil || len(resp.GetRecommendationRates()) != 1 || resp.GetRecommendationRates()[0].GetTopic() != "tea" || resp.GetNextPageToken() == "" {
			t.Errorf("the rates are %v, %v", resp, err)
		}
		wantError(t, second(p.preferences().ListRecommendationRates(ctx, &identityv1.ListRecommendationRatesRequest{Parent: "organizations/other"})), errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}

// TestPreferencePolicy_countsAtOnce: another half-life is that of what is there too.
func TestPreferencePolicy_countsAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		if _, err := p.evidence(ctx, c, did(c, "hiking", "o1", 0.8)); err != nil {
			t.Fatal(err)
		}
		policy, err := p.preferences().GetPreferencePolicy(ctx, &identityv1.GetPreferencePolicyRequest{Name: org + "/preferencePolicy"})
		if err != nil || policy.GetHalfLife().AsDuration() != 180*24*time.Hour || policy.GetForgetBelow() != 0.05 {
			t.Errorf("the policy is %v, %v", policy, err)
		}
		if _, err := p.preferences().UpdatePreferencePolicy(ctx, &identityv1.UpdatePreferencePolicyRequest{
			PreferencePolicy: &identityv1.PreferencePolicy{Name: org + "/preferencePolicy", HalfLife: durationpb.New(24 * time.Hour)},
		}); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(24 * time.Hour)
		ctx = p.relogin()
		if got := p.likes(ctx, c); got != "hiking 0.40" {
			t.Errorf("a day later it likes %s", got)
		}
	})
}

// TestPreference_tellsACustomerNothingOfStaff: who of them wrote it down, or was told of
// the choice, is theirs.
func TestPreference_tellsACustomerNothingOfStaff(t *testing.T) {
	p := newHost(t, testkit.Engines()[0]).start(config())
	ctx := p.asAdmin()
	made, tokens := p.customer(ctx, &identityv1.Customer{Email: "c1@example.com"})
	c, self := made.GetName(), with(tokens)
	written, err := p.prefers(ctx, c, "chess", 1)
	if err != nil || written.GetCreator() == "" {
		t.Fatalf("written down: %v, %v", written, err)
	}
	got, err := p.preferences().GetPreference(self, &identityv1.GetPreferenceRequest{Name: written.GetName()})
	if err != nil || got.GetCreator() != "" {
		t.Errorf("a customer reads %v, %v", got, err)
	}
	own, err := p.prefers(self, c, "tea", 1)
	if err != nil || own.GetCreator() != c {
		t.Errorf("its own: %v, %v", own, err)
	}
}
