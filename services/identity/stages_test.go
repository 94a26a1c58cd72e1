package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestTransitionStage_movesWithAReason(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		made := p.add(ctx, "c1", &identityv1.Customer{})
		if made.GetStage() != stageLead || made.GetStageTime() == nil {
			t.Errorf("a new customer is %v since %v", made.GetStage(), made.GetStageTime())
		}
		c := made.GetName()
		req := &identityv1.TransitionStageRequest{Name: c, Stage: stageProspect, Reason: "asked for a price", Etag: made.GetEtag(), RequestId: "r1"}
		moved, err := p.stages().TransitionStage(ctx, req)
		if err != nil || moved.GetStage() != stageProspect || moved.GetEtag() == made.GetEtag() {
			t.Fatalf("moved to %v, %v", moved, err)
		}
		if again, err := p.stages().TransitionStage(ctx, req); err != nil || again.GetEtag() != moved.GetEtag() {
			t.Errorf("the retry: %v, %v", again, err)
		}
		req.Reason = "another"
		wantError(t, second(p.stages().TransitionStage(ctx, req)), errs.Invalid, "REQUEST_ID_REUSED")
		req.RequestId, req.Stage = "", stageCustomer
		wantError(t, second(p.stages().TransitionStage(ctx, req)), errs.Conflict, "ETAG_MISMATCH")
		wantError(t, p.transition(ctx, c, stageAtRisk), errs.Precondition, "STAGE_MOVE_FORBIDDEN")
		for range 2 { // the second time it is there
			if err := p.transition(ctx, c, stageCustomer); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.journey(ctx, c); got != "PROSPECT-CUSTOMER MANUAL, LEAD-PROSPECT MANUAL" {
			t.Errorf("its moves are %s", got)
		}
		resp, err := p.stages().ListStageTransitions(ctx, &identityv1.ListStageTransitionsRequest{Parent: c})
		if err != nil || resp.GetStageTransitions()[1].GetReason() != "asked for a price" || resp.GetStageTransitions()[1].GetActor() != admin {
			t.Errorf("the first move is %v, %v", resp, err)
		}
		if got := about(p.events(ctx, "guildhall.identity.stage."), c); len(got) != 2 {
			t.Errorf("events are %v", got)
		}
		if got := p.report(ctx); got != "CUSTOMER 1, LEAD-PROSPECT 1 1.00 0s, PROSPECT-CUSTOMER 1 1.00 0s" {
			t.Errorf("the report is %s", got)
		}
		// Somebody was mistaken, which cannot be once it has bought.
		if err := p.transition(ctx, c, stageProspect); err != nil {
			t.Errorf("back without a purchase: %v", err)
		}
		_ = p.transition(ctx, c, stageCustomer)
		p.order(ctx, c, bought("1", 0, 1))
		wantError(t, p.transition(ctx, c, stageProspect), errs.Precondition, "STAGE_HAS_PURCHASES")
	})
}

func TestTransitionStage_badInput(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	for field, r := range map[string]*identityv1.TransitionStageRequest{
		"reason": {Name: c, Stage: stageProspect},
		"stage":  {Name: c, Reason: "x"},
		"name":   {Name: org + "/staff/x", Stage: stageProspect, Reason: "x"},
	} {
		err := second(p.stages().TransitionStage(ctx, r))
		if v := errs.From(err).Violations; !errs.Is(err, errs.Invalid) || len(v) == 0 || v[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	wantError(t, p.transition(ctx, c+"x", stageProspect), errs.NotFound, "CUSTOMER_NOT_FOUND")
	if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil {
		t.Fatal(err)
	}
	wantError(t, p.transition(ctx, c, stageProspect), errs.Precondition, "ILLEGAL_STATE")
}

func TestStages_purchasesMoveCustomers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.add(ctx, "off", &identityv1.Customer{})
		p.order(ctx, org+"/customers/off", bought("0", 0, 1))
		if got := p.stageOf(ctx, org+"/customers/off"); got != "LEAD" {
			t.Errorf("where nothing moves by itself it is %s", got)
		}
		p.follow(ctx, true, 0, 0)
		c := p.add(ctx, "c1", &identityv1.Customer{ExternalId: "1"}).GetName()
		back := p.boughtAgo("1", time.Hour)
		back.Lines[0].Quantity = -1
		p.order(ctx, c, back)
		if got := p.stageOf(ctx, c); got != "LEAD" {
			t.Errorf("after a return it is %s", got)
		}
		first := p.order(ctx, c, p.boughtAgo("2", 900*oneDay))
		if got := p.journey(ctx, c); got != "LEAD-CUSTOMER PURCHASE" {
			t.Errorf("after an old purchase: %s", got)
		}
		resp, err := p.stages().ListStageTransitions(ctx, &identityv1.ListStageTransitionsRequest{Parent: c})
		if m := resp.GetStageTransitions()[0]; err != nil || m.GetOrder() != first.GetName() || m.GetActor() != "services/identity" {
			t.Errorf("the move is %v, %v", m, err)
		}
		if err := p.transition(ctx, c, stageLapsed); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(time.Hour)
		ctx = p.asAdminAgain()
		p.order(ctx, c, p.boughtAgo("3", 2*time.Hour)) // told of late
		if got := p.stageOf(ctx, c); got != "LAPSED" {
			t.Errorf("after a purchase from before it lapsed it is %s", got)
		}
		p.order(ctx, c, p.boughtAgo("4", time.Minute))
		p.order(ctx, c, p.boughtAgo("5", time.Minute))
		if got := p.journey(ctx, c); got != "LAPSED-WON_BACK PURCHASE, CUSTOMER-LAPSED MANUAL, LEAD-CUSTOMER PURCHASE" {
			t.Errorf("its moves are %s", got)
		}
	})
}

// TestStages_anImportMovesOnce however often it is run.
func TestStages_anImportMovesOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.follow(ctx, true, 0, 0)
		c := p.add(ctx, "c1", &identityv1.Customer{ExternalId: "1"}).GetName()
		file := []string{
			"external_id,customer_external_id,order_time,quantity,unit_price,product",
			"R,1,2026-01-01T00:00:00Z,-1,1,a", "A,1,2026-01-02T00:00:00Z,1,1,a", "B,1,2025-01-02T00:00:00Z,2,1,a",
		}
		run := func(options *identityv1.ImportOrdersOptions) {
			t.Helper()
			options.Parent, options.Source, options.Currency = org, "shop", "GBP"
			if err := importOrders(ctx, p, options, []byte(strings.Join(file, "\n")), func(*identityv1.ImportOrdersResponse) {}); err != nil {
				t.Fatal(err)
			}
		}
		run(&identityv1.ImportOrdersOptions{DryRun: true})
		if got := p.journey(ctx, c); got != "" {
			t.Errorf("a dry run moves: %s", got)
		}
		for range 2 {
			run(&identityv1.ImportOrdersOptions{})
			if got := p.journey(ctx, c); got != "LEAD-CUSTOMER PURCHASE" {
				t.Errorf("its moves are %s", got)
			}
		}
		if err := p.transition(ctx, c, stageAtRisk); err != nil {
			t.Fatal(err)
		}
		run(&identityv1.ImportOrdersOptions{})
		if got := p.stageOf(ctx, c); got != "AT_RISK" {
			t.Errorf("the file again makes it %s", got)
		}
	})
}

// long: one customer after the other through the same months.
func TestStages_timeMovesCustomers(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			p.follow(ctx, true, 30*oneDay, 90*oneDay)
			ids := []string{"buys", "idle", "old", "byhand", "gone", "back", "lead"}
			names := map[string]string{}
			for _, id := range ids {
				names[id] = p.add(ctx, id, &identityv1.Customer{}).GetName()
			}
			for _, id := range []string{"buys", "idle", "gone", "back"} {
				p.order(ctx, names[id], p.boughtAgo(id, oneDay))
			}
			p.order(ctx, names["old"], p.boughtAgo("old", 800*oneDay))
			for _, id := range []string{"gone", "back"} {
				if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: names[id]}); err != nil {
					t.Fatal(err)
				}
			}
			_ = p.transition(ctx, names["byhand"], stageProspect)
			later := func(d time.Duration, want map[string]string) {
				t.Helper()
				p.clock.advance(d)
				p.close() // a start sweeps at once
				p = h.start(config())
				ctx = p.asAdminAgain()
				for id, stages := range want {
					p.until(func() bool { return p.stageOf(ctx, names[id]) == stages })
				}
			}
			if _, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: names["back"]}); err != nil {
				t.Fatal(err)
			}
			later(oneDay, map[string]string{"old": "LAPSED", "idle": "CUSTOMER"})
			if err := p.transition(ctx, names["byhand"], stageCustomer); err != nil {
				t.Fatal(err)
			}
			p.clock.advance(20 * oneDay)
			ctx = p.asAdminAgain()
			p.order(ctx, names["buys"], p.boughtAgo("buys2", oneDay))
			later(9*oneDay, map[string]string{"idle": "AT_RISK", "back": "AT_RISK", "buys": "CUSTOMER", "byhand": "CUSTOMER", "lead": "LEAD"})
			later(2*oneDay, map[string]string{"byhand": "AT_RISK", "buys": "CUSTOMER"})
			if err := p.transition(ctx, names["byhand"], stageCustomer); err != nil {
				t.Fatal(err)
			}
			later(60*oneDay, map[string]string{"idle": "LAPSED", "buys": "AT_RISK", "byhand": "AT_RISK"})
			if got := p.journey(ctx, names["idle"]); got != "AT_RISK-LAPSED INACTIVITY, CUSTOMER-AT_RISK INACTIVITY, LEAD-CUSTOMER PURCHASE" {
				t.Errorf("its moves are %s", got)
			}
			p.order(ctx, names["idle"], p.boughtAgo("idle2", time.Minute))
			if got := p.stageOf(ctx, names["idle"]); got != "WON_BACK" {
				t.Errorf("it bought again and is %s", got)
			}
			later(31*oneDay, map[string]string{"idle": "AT_RISK"})
		})
	}
}

func TestStageReport_countsAndConverts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for _, id := range []string{"a", "b", "c", "d"} {
			p.add(ctx, id, &identityv1.Customer{})
		}
		p.clock.advance(2 * time.Hour)
		ctx = p.asAdminAgain()
		for id, to := range map[string]identityv1.LifecycleStage{"a": stageProspect, "b": stageProspect, "c": stageCustomer} {
			if err := p.transition(ctx, org+"/customers/"+id, to); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := p.report(ctx), "LEAD 1, PROSPECT 2, CUSTOMER 1, LEAD-PROSPECT 2 0.67 2h0m0s, LEAD-CUSTOMER 1 0.33 2h0m0s"; got != want {
			t.Errorf("the report is %s, want %s", got, want)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/a"}); err != nil {
			t.Fatal(err)
		}
		if got := p.report(ctx); !strings.HasPrefix(got, "LEAD 1, PROSPECT 1, CUSTOMER 1, LEAD-PROSPECT 2") {
			t.Errorf("without a deleted one: %s", got)
		}
		if _, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: org + "/customers/a"}); err != nil {
			t.Fatal(err)
		}
		if got := p.report(ctx); !strings.HasPrefix(got, "LEAD 1, PROSPECT 2, CUSTOMER 1,") {
			t.Errorf("with it again: %s", got)
		}
		before, err := p.stages().GetStageReport(ctx, &identityv1.GetStageReportRequest{Name: org + "/stageReport", StartDate: "2020-01-01", EndDate: "2020-12-31"})
		if err != nil || len(before.GetFlows()) != 0 || before.GetStartDate() != "2020-01-01" {
			t.Errorf("of other days: %v, %v", before, err)
		}
		_, err = p.stages().GetStageReport(ctx, &identityv1.GetStageReportRequest{Name: org + "/stageReport", StartDate: "2020-01-01"})
		wantError(t, err, errs.Invalid, "STAGE_REPORT_DATES_INVALID")
		var ids []string
		resp, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: `stage = "PROSPECT"`})
		for _, c := range resp.GetCustomers() {
			ids = append(ids, strings.TrimPrefix(c.GetName(), org+"/customers/"))
		}
		if err != nil || strings.Join(ids, " ") != "a b" {
			t.Errorf("the prospects are %v, %v", ids, err)
		}
	})
}

func TestStagePolicy_periodsAndEtags(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		name := org + "/stagePolicy"
		first, err := p.stages().GetStagePolicy(ctx, &identityv1.GetStagePolicyRequest{Name: name})
		if err != nil || first.GetFollowPurchases() || first.GetLapsedAfter() != nil || first.GetUpdateTime() != nil {
			t.Fatalf("at first %v, %v", first, err)
		}
		update := func(set *identityv1.StagePolicy, mask ...string) (*identityv1.StagePolicy, error) {
			set.Name = name
			return p.stages().UpdateStagePolicy(ctx, &identityv1.UpdateStagePolicyRequest{StagePolicy: set, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
		}
		set, err := update(&identityv1.StagePolicy{AtRiskAfter: durationpb.New(30 * oneDay)}, "at_risk_after")
		if err != nil || set.GetAtRiskAfter().AsDuration() != 30*oneDay {
			t.Fatalf("set %v, %v", set, err)
		}
		for field, bad := range map[string]*identityv1.StagePolicy{
			"stage_policy.lapsed_after":  {LapsedAfter: durationpb.New(30 * oneDay)},
			"stage_policy.at_risk_after": {AtRiskAfter: durationpb.New(time.Hour)},
		} {
			_, err := update(bad, strings.TrimPrefix(field, "stage_policy."))
			wantError(t, err, errs.Invalid, "STAGE_PERIODS_INVALID")
			if errs.From(err).Violations[0].Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		_, err = update(&identityv1.StagePolicy{Etag: "AAAAAAAAAAAAAAAA", FollowPurchases: true}, "follow_purchases")
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = update(&identityv1.StagePolicy{}, "update_time")
		wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
		same, err := update(&identityv1.StagePolicy{AtRiskAfter: durationpb.New(30 * oneDay)}, "at_risk_after")
		if err != nil || same.GetEtag() != set.GetEtag() {
			t.Errorf("the same again is %v, %v", same, err)
		}
	})
}

func TestStages_ofOtherTenantsAndWithoutPermission(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	chief, _ := other(t, p, ctx)
	calls := func(ctx context.Context) map[string]error {
		return map[string]error{
			"customers.transitionStage": p.transition(ctx, c, stageProspect),
			"stageTransitions.list":     second(p.stages().ListStageTransitions(ctx, &identityv1.ListStageTransitionsRequest{Parent: c})),
			"stageReports.get":          second(p.stages().GetStageReport(ctx, &identityv1.GetStageReportRequest{Name: org + "/stageReport"})),
			"stagePolicies.get":         second(p.stages().GetStagePolicy(ctx, &identityv1.GetStagePolicyRequest{Name: org + "/stagePolicy"})),
			"stagePolicies.update": second(p.stages().UpdateStagePolicy(ctx, &identityv1.UpdateStagePolicyRequest{
				StagePolicy: &identityv1.StagePolicy{Name: org + "/stagePolicy", FollowPurchases: true}})),
		}
	}
	refused(t, p, chief, ctx, calls)
}

// refused wants calls to find nothing elsewhere, and to be denied to who lacks their
// permission, which is their name.
func refused(t *testing.T, p *process, elsewhere, here context.Context, calls func(context.Context) map[string]error) {
	t.Helper()
	for call, err := range calls(elsewhere) {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s from elsewhere: %v, want not found", call, err)
		}
		p.checker.forbid("identity." + call)
	}
	for call, err := range calls(here) {
		if errs.ReasonOf(err) != "PERMISSION_DENIED" {
			t.Errorf("%s without permission: %v", call, err)
		}
	}
}
