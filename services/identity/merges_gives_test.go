package identity_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestMergeCustomers_givesNobodyWhatTheyDoNotHold: the survivor comes to be on a list, or
// in a segment by its rule, that holds more than the caller; and an undo takes it off one
// to which more is denied.
func TestMergeCustomers_givesNobodyWhatTheyDoNotHold(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, second := p.two(ctx)
		list, rule := org+"/segments/vip", p.segment(ctx, "british", `customer.country == "UK"`).GetName()
		p.evaluated(ctx, rule)
		for _, target := range []string{list, rule} {
			p.permission.set(false, target)
			_, err := p.merges().MergeCustomers(ctx, asksMerge())
			wantError(t, err, errs.Denied, "TARGET_EXCEEDS_CALLER")
		}
		p.permission.set(false)
		m := p.merged(ctx)
		if got := p.members(ctx, rule) + " " + p.members(ctx, list); got != "c1 c1" {
			t.Errorf("in the segments: %s", got)
		}
		for _, target := range []string{denied(list), denied(rule), list, rule} {
			p.permission.set(false, target)
			_, err := p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: m.GetName()})
			wantError(t, err, errs.Denied, "TARGET_EXCEEDS_CALLER")
		}
		if p.gone(ctx, first) != nil || p.gone(ctx, second) == nil {
			t.Error("something was undone")
		}
		p.permission.set(false)
		p.undone(ctx, m.GetName())
		if got := p.members(ctx, rule) + " " + p.members(ctx, list); got != "c2 c2" {
			t.Errorf("in the segments after the undo: %s", got)
		}
	})
}

// TestPurge_ofASurvivorTakesWhoWasMergedIntoIt with the merge; their names are nobody's.
func TestPurge_ofASurvivorTakesWhoWasMergedIntoIt(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			first, second := p.two(ctx)
			m := p.merged(ctx)
			if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: first}); err != nil {
				t.Fatal(err)
			}
			wantError(t, p.gone(ctx, second), errs.NotFound, "CUSTOMER_MERGED")
			p.close()
			h.clock.advance(31 * 24 * time.Hour)
			p = h.start(config())
			ctx = p.relogin()
			p.until(func() bool { return errs.ReasonOf(p.gone(ctx, first)) == "CUSTOMER_NOT_FOUND" })
			wantError(t, p.gone(ctx, second), errs.NotFound, "CUSTOMER_NOT_FOUND")
			_, err := p.merges().GetMergeRecord(ctx, &identityv1.GetMergeRecordRequest{Name: m.GetName()})
			wantError(t, err, errs.NotFound, "MERGE_RECORD_NOT_FOUND")
			for _, id := range []string{"c1", "c2"} {
				_, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: id, Customer: &identityv1.Customer{}})
				wantError(t, err, errs.Exists, "CUSTOMER_EXISTS")
			}
			if got := about(p.events(ctx, "guildhall.identity.account.purged"), second); len(got) != 1 {
				t.Errorf("told of the duplicate's purge: %v", got)
			}
		})
	}
}

// TestDownloadSubjectData_hasWhatWasMerged: what moved, and what the duplicate was.
func TestDownloadSubjectData_hasWhatWasMerged(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	first, _ := p.two(ctx)
	p.merged(ctx)
	asFirst := with(p.accept(ctx, first))
	q, err := p.ask(asFirst, first, identityv1.DataSubjectRequest_KIND_ACCESS, "")
	if err != nil {
		t.Fatal(err)
	}
	p.collected(ctx, q.GetName())
	records, err := p.download(asFirst, q.GetName())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(records, "\n")
	for _, want := range []string{"merged_customers", "countess@example.com", "N-2", "said: oil"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in\n%s", want, all)
		}
	}
}

// TestMergeCustomers_movesPreferences of topics that are new to the survivor; and who did
// not want to be profiled is not on the survivor either, until it is undone.
func TestMergeCustomers_movesPreferences(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, second := p.add(ctx, "c1", &identityv1.Customer{}).GetName(), p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		client := identityv1.NewPreferenceServiceClient(p.conn)
		for customer, topics := range map[string]string{first: "tea", second: "tea chess"} {
			for _, topic := range strings.Fields(topics) {
				if _, err := client.CreatePreference(ctx, &identityv1.CreatePreferenceRequest{Parent: customer, Preference: &identityv1.Preference{Topic: topic, Strength: 0.5}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := client.UpdateProfilingChoice(ctx, &identityv1.UpdateProfilingChoiceRequest{ProfilingChoice: &identityv1.ProfilingChoice{Name: second + "/profilingChoice", OptedOut: true}}); err != nil {
			t.Fatal(err)
		}
		topics := func(customer string) string {
			resp, err := client.ListPreferences(ctx, &identityv1.ListPreferencesRequest{Parent: customer})
			if err != nil {
				t.Fatal(err)
			}
			choice, err := client.GetProfilingChoice(ctx, &identityv1.GetProfilingChoiceRequest{Name: customer + "/profilingChoice"})
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, p := range resp.GetPreferences() {
				out = append(out, p.GetTopic())
			}
			slices.Sort(out)
			if choice.GetOptedOut() {
				out = append(out, "out")
			}
			return strings.Join(out, " ")
		}
		m := p.merged(ctx)
		if got := topics(first); got != "chess tea out" || !m.GetOptsOutSurvivor() {
			t.Errorf("merged: %s", got)
		}
		p.undone(ctx, m.GetName())
		if got := topics(first) + "; " + topics(second); got != "tea; chess tea out" {
			t.Errorf("undone: %s", got)
		}
	})
}

// TestMerge_timelinesBecomeOne: what happened to the duplicate stands in the survivor's
// timeline, where it happened and as it is called now, and what is told of it late goes
// there too; what was the duplicate's goes back.
func TestMerge_timelinesBecomeOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, other := p.two(ctx)
		if got := p.line(ctx, first, "kind = ORDER", 10); got != "ORDER:created" {
			t.Fatalf("before: %s", got)
		}
		m := p.merged(ctx)
		if got := p.line(ctx, first, "kind = ORDER", 2); got != "ORDER:created ORDER:created ORDER:created" {
			t.Errorf("orders: %s", got)
		}
		events, err := p.timelines().ListTimelineEvents(ctx, &identityv1.ListTimelineEventsRequest{Parent: first})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events.GetTimelineEvents() {
			if strings.Contains(e.GetName()+e.GetResource(), other+"/") {
				t.Errorf("an event is still the duplicate's: %v", e)
			}
		}
		if got := p.line(ctx, first, "kind = ACCOUNT", 10); !strings.Contains(got, "ACCOUNT:merged=MERGED") {
			t.Errorf("of accounts: %s", got)
		}
		p.tell(p.sister("groupchat"), "guildhall.groupchat.member.created.v1", org+"/groups/g1/members/x", noon, &groupchatv1.MemberChanged{Account: other})
		p.until(func() bool { return p.line(ctx, first, "kind = GROUP_MEMBERSHIP", 10) != "" })
		p.undone(ctx, m.GetName())
		if got, back := p.line(ctx, first, "kind = ORDER", 10), p.line(ctx, other, "kind = ORDER", 10); got != "ORDER:created" || back != "ORDER:created ORDER:created" {
			t.Errorf("undone: %s, and back: %s", got, back)
		}
	})
}
