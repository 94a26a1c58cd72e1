package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// ingest tells of items and returns "RESULT reason field" of each, on lines.
func (p *process) ingest(ctx context.Context, items ...*identityv1.IngestedInteraction) string {
	p.t.Helper()
	resp, err := p.interactions().IngestInteractions(ctx, &identityv1.IngestInteractionsRequest{Parent: org, Items: items})
	if err != nil {
		p.t.Fatal(err)
	}
	var lines []string
	for _, r := range resp.GetResults() {
		if (r.GetInteraction() == "") != (r.GetResult() == identityv1.IngestedInteractionResult_RESULT_FAILED) {
			p.t.Errorf("the result is %v", r)
		}
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(r.GetResult().String(), "RESULT_")+" "+r.GetReason()+" "+r.GetField()))
	}
	return strings.Join(lines, "\n")
}

// TestIngestInteractions_eachItemByItself: what came before changes nothing, and what
// is refused stops nothing.
//
// long: one batch of all that there can be.
func TestIngestInteractions_eachItemByItself(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{ExternalId: "K-1"}).GetName()
		d := p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		dead := p.add(ctx, "c3", &identityv1.Customer{ExternalId: "K-3"}).GetName()
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: dead}); err != nil {
			t.Fatal(err)
		}
		left := p.staffMember(ctx, "left", &identityv1.StaffMember{DisplayName: "left"}).GetName()
		if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: left}); err != nil {
			t.Fatal(err)
		}
		of := func(customer string, i *identityv1.Interaction) *identityv1.IngestedInteraction {
			return &identityv1.IngestedInteraction{Customer: customer, Interaction: i}
		}
		known := func(id string, i *identityv1.Interaction) *identityv1.IngestedInteraction {
			return &identityv1.IngestedInteraction{CustomerExternalId: id, Interaction: i}
		}
		theirs := from("pbx", "3", spoke("by who left", 2))
		theirs.Staff = left
		first := of(c, from("pbx", "1", spoke("one", 0)))
		amended := proto.CloneOf(first)
		amended.Interaction.Note = "otherwise"
		elsewhere := proto.CloneOf(first)
		elsewhere.Customer = d
		long := from("pbx", "9", spoke(strings.Repeat("x", 201), 0))
		late := from("pbx", "9", spoke("x", 0))
		late.StartTime = dated(p.clock.now().AddDate(0, 0, 2))
		batch := []*identityv1.IngestedInteraction{
			first, known("K-1", from("pbx", "2", spoke("two", 1))), of(c, theirs), first, amended, elsewhere,
			of(c, from("mail", "1", spoke("another source", 3))), of(c, spoke("no source", 0)), of(c, long), of(c, late), of(c, nil),
			{Interaction: from("pbx", "9", spoke("x", 0))}, known("K-9", from("pbx", "9", spoke("x", 0))), known("K-3", from("pbx", "9", spoke("x", 0))),
			of("organizations/other/customers/c1", from("pbx", "9", spoke("x", 0))), of(c+"x", from("pbx", "9", spoke("x", 0))),
		}
		rest := `CREATED
CREATED
CREATED
UNCHANGED
FAILED INTERACTION_CONFLICT interaction.external_id
FAILED INTERACTION_CONFLICT interaction.external_id
CREATED
FAILED INTERACTION_SOURCE_INVALID source
FAILED VALIDATION_FAILED subject
FAILED INTERACTION_TIME_INVALID interaction.start_time
FAILED VALIDATION_FAILED kind
FAILED CUSTOMER_MISSING customer
FAILED CUSTOMER_NOT_FOUND
FAILED ILLEGAL_STATE
FAILED PARENT_MISMATCH customer
FAILED CUSTOMER_NOT_FOUND`
		if got := p.ingest(ctx, batch...); got != rest {
			t.Errorf("at first:\n%s\nwant\n%s", got, rest)
		}
		if got, want := p.ingest(ctx, batch...), strings.ReplaceAll(rest, "CREATED", "UNCHANGED"); got != want {
			t.Errorf("again:\n%s\nwant\n%s", got, want)
		}
		if got := p.spoken(ctx, org, ""); got != "another source by who left two one" {
			t.Errorf("there is %q", got)
		}
		events := p.events(ctx, "guildhall.identity.interaction.")
		if len(events) != 4 {
			t.Errorf("there are %d events", len(events))
		}
	})
}

func TestIngestInteractions_refusesWhatIsNoBatch(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	var many []*identityv1.IngestedInteraction
	for range 201 {
		many = append(many, &identityv1.IngestedInteraction{})
	}
	for _, items := range [][]*identityv1.IngestedInteraction{nil, many} {
		err := second(p.interactions().IngestInteractions(ctx, &identityv1.IngestInteractionsRequest{Parent: org, Items: items}))
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	}
}

// TestInteractions_goWithTheirCustomer: a legal hold keeps them, an export gives them
// out without what is about the staff, and an erasure leaves nothing of them.
func TestInteractions_goWithTheirCustomer(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.grace(ctx, durationpb.New(0))
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
		asked := from("pbx", "N-4711", spoke("Countess", 0))
		asked.NextStep = "Baroness"
		made, err := p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: c.GetName(), Interaction: asked, RequestId: "kept-answer"})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 203 { // more than one transaction forgets
			if got := p.ingest(ctx, &identityv1.IngestedInteraction{Customer: c.GetName(), Interaction: from("pbx", fmt.Sprint(n), spoke("Countess", n%40))}); got != "CREATED" {
				t.Fatal(got)
			}
		}
		_, asBob := p.colleague(ctx, "bob")
		if _, err := p.interactions().ReviewInteraction(asBob, &identityv1.ReviewInteractionRequest{Name: made.GetName(), Score: 2, Note: "Marquess"}); err != nil {
			t.Fatal(err)
		}
		h := p.hold(ctx, c.GetName(), nil)
		wantError(t, second(p.interactions().DeleteInteraction(ctx, &identityv1.DeleteInteractionRequest{Name: made.GetName()})), errs.Precondition, "LEGAL_HOLD")
		_, err = p.interactions().UpdateInteraction(ctx, &identityv1.UpdateInteractionRequest{
			Interaction: &identityv1.Interaction{Name: made.GetName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"note"}},
		})
		wantError(t, err, errs.Precondition, "LEGAL_HOLD")
		if _, err := p.legalHolds().LiftLegalHold(ctx, &identityv1.LiftLegalHoldRequest{Name: h.GetName()}); err != nil {
			t.Fatal(err)
		}
		q, err := p.ask(with(tokens), c.GetName(), toSee, "")
		if err != nil {
			t.Fatal(err)
		}
		p.collected(ctx, q.GetName())
		records, err := p.download(with(tokens), q.GetName())
		text := strings.Join(records, "\n")
		if err != nil || strings.Count(text, "identity interactions ") != 204 || strings.Contains(text, "Baroness") || strings.Contains(text, "Marquess") {
			t.Errorf("given out: %d of %d bytes, %v", strings.Count(text, "identity interactions "), len(text), err)
		}
		if q, err = p.ask(with(tokens), c.GetName(), erasure, ""); err != nil {
			t.Fatal(err)
		}
		p.until(func() bool { return p.asked(ctx, q.GetName()).GetState() == isDone })
		wantError(t, second(p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: c.GetName(), Interaction: spoke("x", 0)})), errs.Precondition, "ILLEGAL_STATE")
		if n := p.rowsOf("interactions"); n != 0 {
			t.Errorf("%d interactions are left", n)
		}
		total := p.summary(ctx, org).GetTotal()
		if total.GetInteractionCount() != 204 || total.GetReviewCount() != 1 {
			t.Errorf("the organisation's are %v", total)
		}
		p.close()
		if left := p.holding("Countess", "Baroness", "Marquess", "N-4711"); len(left) > 0 {
			t.Errorf("what is left, and where: %v", left)
		}
	})
}

// summary returns all that is counted of a scope around noon.
func (p *process) summary(ctx context.Context, scope string) *identityv1.InteractionSummary {
	p.t.Helper()
	got, err := p.interactions().SummarizeInteractions(ctx, &identityv1.SummarizeInteractionsRequest{Parent: scope, StartMonth: "2026-01", EndMonth: "2027-01"})
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

// counted is a summary in short: of each month the number, the customers, the reviews
// and their mean.
func counted(s *identityv1.InteractionSummary) string {
	var out []string
	for _, m := range s.GetMonths() {
		out = append(out, fmt.Sprintf("%s %d/%d %d/%g", m.GetMonth(), m.GetCount().GetInteractionCount(), m.GetCount().GetCustomerCount(), m.GetCount().GetReviewCount(), m.GetCount().GetMeanScore()))
	}
	return strings.Join(out, ", ")
}

func TestSummarizeInteractions_followsEachChange(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, d := p.add(ctx, "c1", &identityv1.Customer{}).GetName(), p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		_, asAda := p.colleague(ctx, "ada")
		want := func(step, scope, text string) {
			t.Helper()
			if got := counted(p.summary(ctx, scope)); got != text {
				t.Errorf("%s, of %s: %q, want %q", step, scope, got, text)
			}
		}
		want("before", org, "")
		first := p.interaction(asAda, c, spoke("one", 0))
		two := p.interaction(asAda, c, spoke("two", 1))
		p.interaction(ctx, d, spoke("three", 30))
		want("three", org, "2026-03 2/1 0/0, 2026-04 1/1 0/0")
		want("three", ada, "2026-03 2/0 0/0")
		for name, score := range map[string]int32{first.GetName(): 2, two.GetName(): 5} {
			if err := second(p.reviewed(ctx, name, score)); err != nil {
				t.Fatal(err)
			}
		}
		want("reviewed", ada, "2026-03 2/0 2/3.5")
		want("reviewed", c, "2026-03 2/0 2/3.5")
		two.StartTime, two.Kind, two.Etag = dated(noon.AddDate(0, 1, 0)), aVisit, ""
		if err := second(p.interactions().UpdateInteraction(ctx, &identityv1.UpdateInteractionRequest{Interaction: two})); err != nil {
			t.Fatal(err)
		}
		want("moved", org, "2026-03 1/1 1/2, 2026-04 2/2 1/5")
		total := p.summary(ctx, org).GetTotal()
		if len(total.GetKinds()) != 2 || total.GetKinds()[1].GetKind() != aVisit || total.GetMeanScore() != 3.5 || total.GetInteractionCount() != 3 {
			t.Errorf("all of it is %v", total)
		}
		if got := p.summary(ctx, org).GetMonths()[1].GetCount().GetMeanPerCustomer(); got != 1 {
			t.Errorf("%g for each customer", got)
		}
		if err := second(p.interactions().DeleteInteraction(ctx, &identityv1.DeleteInteractionRequest{Name: first.GetName()})); err != nil {
			t.Fatal(err)
		}
		want("deleted", org, "2026-04 2/2 1/5")
		want("deleted", c, "2026-04 1/0 1/5")
	})
}

func TestSummarizeInteractions_monthsSayWhy(t *testing.T) {
	eachEngineAt(t, time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		got, err := p.interactions().SummarizeInteractions(ctx, &identityv1.SummarizeInteractionsRequest{Parent: org})
		if err != nil || got.GetStartMonth() != "2026-01" || got.GetEndMonth() != "2027-01" {
			t.Errorf("without months: %v, %v", got, err)
		}
		for _, months := range [][2]string{{"2026-13", ""}, {"", "March"}, {"2026-03", "2026-03"}, {"2020-01", "2025-02"}} {
			r := &identityv1.SummarizeInteractionsRequest{Parent: org, StartMonth: months[0], EndMonth: months[1]}
			wantError(t, second(p.interactions().SummarizeInteractions(ctx, r)), errs.Invalid, "INTERACTION_MONTHS_INVALID")
		}
	})
}
