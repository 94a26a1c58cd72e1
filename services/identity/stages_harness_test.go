package identity_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	stageLead     = identityv1.LifecycleStage_LIFECYCLE_STAGE_LEAD
	stageProspect = identityv1.LifecycleStage_LIFECYCLE_STAGE_PROSPECT
	stageCustomer = identityv1.LifecycleStage_LIFECYCLE_STAGE_CUSTOMER
	stageAtRisk   = identityv1.LifecycleStage_LIFECYCLE_STAGE_AT_RISK
	stageLapsed   = identityv1.LifecycleStage_LIFECYCLE_STAGE_LAPSED
)

const oneDay = 24 * time.Hour

func (p *process) stages() identityv1.StageServiceClient {
	return identityv1.NewStageServiceClient(p.conn)
}

// transition moves a customer by hand.
func (p *process) transition(ctx context.Context, customer string, to identityv1.LifecycleStage) error {
	return second(p.stages().TransitionStage(ctx, &identityv1.TransitionStageRequest{Name: customer, Stage: to, Reason: "they called"}))
}

// follow sets what moves customers by itself.
func (p *process) follow(ctx context.Context, purchases bool, risk, lapse time.Duration) {
	p.t.Helper()
	set := &identityv1.StagePolicy{Name: org + "/stagePolicy", FollowPurchases: purchases, AtRiskAfter: durationpb.New(risk), LapsedAfter: durationpb.New(lapse)}
	if _, err := p.stages().UpdateStagePolicy(ctx, &identityv1.UpdateStagePolicyRequest{StagePolicy: set}); err != nil {
		p.t.Fatal(err)
	}
}

// stageOf returns a customer's stage as filters spell it.
func (p *process) stageOf(ctx context.Context, customer string) string {
	p.t.Helper()
	c, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: customer})
	if err != nil {
		p.t.Fatal(err)
	}
	return stageName(c.GetStage())
}

func stageName(s identityv1.LifecycleStage) string {
	return strings.TrimPrefix(s.String(), "LIFECYCLE_STAGE_")
}

// journey returns "FROM-TO CAUSE" of a customer's moves, the newest first.
func (p *process) journey(ctx context.Context, customer string) string {
	p.t.Helper()
	var all []string
	for r := (&identityv1.ListStageTransitionsRequest{Parent: customer, PageSize: 1}); ; {
		resp, err := p.stages().ListStageTransitions(ctx, r)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, m := range resp.GetStageTransitions() {
			all = append(all, fmt.Sprintf("%s-%s %s", stageName(m.GetFromStage()), stageName(m.GetToStage()), strings.TrimPrefix(m.GetCause().String(), "STAGE_CAUSE_")))
		}
		if r.PageToken = resp.GetNextPageToken(); r.PageToken == "" {
			return strings.Join(all, ", ")
		}
	}
}

// boughtAgo is an order of so long ago.
func (p *process) boughtAgo(number string, ago time.Duration) *identityv1.Order {
	o := bought(number, 0, 1)
	o.OrderTime = timestamppb.New(p.clock.now().Add(-ago))
	return o
}

// report returns "STAGE n" of who is in a stage, and "FROM-TO n share mean" of the
// moves of the last days.
func (p *process) report(ctx context.Context) string {
	p.t.Helper()
	rep, err := p.stages().GetStageReport(ctx, &identityv1.GetStageReportRequest{Name: org + "/stageReport"})
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, c := range rep.GetCounts() {
		if c.GetCustomerCount() != 0 {
			all = append(all, fmt.Sprintf("%s %d", stageName(c.GetStage()), c.GetCustomerCount()))
		}
	}
	for _, f := range rep.GetFlows() {
		all = append(all, fmt.Sprintf("%s-%s %d %.2f %s", stageName(f.GetFromStage()), stageName(f.GetToStage()),
			f.GetTransitionCount(), f.GetShare(), f.GetMeanTimeInStage().AsDuration()))
	}
	return strings.Join(all, ", ")
}
