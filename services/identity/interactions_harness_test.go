package identity_test

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	aCall  = identityv1.Interaction_KIND_CALL
	aVisit = identityv1.Interaction_KIND_VISIT
	aMail  = identityv1.Interaction_KIND_MAIL

	reached  = identityv1.Interaction_OUTCOME_REACHED
	followUp = identityv1.Interaction_OUTCOME_FOLLOW_UP
)

func (p *process) interactions() identityv1.InteractionServiceClient {
	return identityv1.NewInteractionServiceClient(p.conn)
}

// noon is when interactions of tests are, a day earlier or later.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// spoke is a call about something, some days after noon.
func spoke(subject string, day int) *identityv1.Interaction {
	return &identityv1.Interaction{
		Kind: aCall, Direction: identityv1.Interaction_DIRECTION_INBOUND, StartTime: timestamppb.New(noon.AddDate(0, 0, day)),
		Duration: durationpb.New(3 * time.Minute), Outcome: reached, Subject: subject, Note: "said: " + subject,
	}
}

// from is an interaction as a source has it.
func from(source, id string, i *identityv1.Interaction) *identityv1.Interaction {
	i.Source, i.ExternalId = source, id
	return i
}

func (p *process) interaction(ctx context.Context, customer string, i *identityv1.Interaction) *identityv1.Interaction {
	p.t.Helper()
	made, err := p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: customer, Interaction: i})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// spoken returns the subjects of a list, two on a page.
func (p *process) spoken(ctx context.Context, parent, filter string) string {
	p.t.Helper()
	var all []string
	for r := (&identityv1.ListInteractionsRequest{Parent: parent, PageSize: 2, Filter: filter}); ; {
		page, err := p.interactions().ListInteractions(ctx, r)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, i := range page.GetInteractions() {
			all = append(all, i.GetSubject())
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			return strings.Join(all, " ")
		}
	}
}

// lockAfter sets when interactions are locked.
func (p *process) lockAfter(ctx context.Context, d time.Duration) {
	p.t.Helper()
	if _, err := p.interactions().UpdateInteractionPolicy(ctx, &identityv1.UpdateInteractionPolicyRequest{
		InteractionPolicy: &identityv1.InteractionPolicy{Name: org + "/interactionPolicy", LockAfter: durationpb.New(d)},
	}); err != nil {
		p.t.Fatal(err)
	}
}

// reviewed reviews an interaction.
func (p *process) reviewed(ctx context.Context, name string, score int32) (*identityv1.Interaction, error) {
	return p.interactions().ReviewInteraction(ctx, &identityv1.ReviewInteractionRequest{Name: name, Score: score, Note: "tone"})
}

// noted changes the note of an interaction.
func (p *process) noted(ctx context.Context, name, note string) error {
	return second(p.interactions().UpdateInteraction(ctx, &identityv1.UpdateInteractionRequest{Interaction: &identityv1.Interaction{Name: name, Note: note}}))
}
