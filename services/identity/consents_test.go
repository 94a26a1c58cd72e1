package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestConsents_customersDoBothThemselves(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.purpose(ctx, "newsletter", onConsent)
		made, tokens := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
		c, self := made.GetName(), with(tokens)
		if got := p.blocked(ctx, c, email); got != "NO_CONSENT" {
			t.Errorf("before anybody asked: %q", got)
		}
		ask := agrees(c, "newsletter")
		ask.Evidence, ask.Language, ask.RequestId = "", "en", "r1"
		resp, err := p.consents().GrantConsent(self, ask)
		if err != nil || len(resp.GetConsents()) != 1 || resp.GetConsents()[0].GetName() != c+"/consents/newsletter-email" {
			t.Fatalf("granted %v, %v", resp, err)
		}
		if again, err := p.consents().GrantConsent(self, ask); err != nil || again.GetConsents()[0].GetEtag() != resp.GetConsents()[0].GetEtag() {
			t.Errorf("the retry: %v, %v", again, err)
		}
		ask.Language = ""
		wantError(t, second(p.consents().GrantConsent(self, ask)), errs.Invalid, "REQUEST_ID_REUSED")
		if got := p.blocked(ctx, c, email); got != "" {
			t.Errorf("after it agreed: %q", got)
		}
		if got := p.blocked(ctx, c, sms); got != "NO_CONSENT" {
			t.Errorf("over another channel: %q", got)
		}
		for range 2 { // all of it, and the second time it is withdrawn
			if _, err := p.consents().WithdrawConsent(self, &identityv1.WithdrawConsentRequest{Parent: c}); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.blocked(ctx, c, email); got != "WITHDRAWN" {
			t.Errorf("after it took that back: %q", got)
		}
		if got := p.holds(self, c); got != "newsletter-email WITHDRAWN, newsletter-sms WITHDRAWN" {
			t.Errorf("it holds that %s", got)
		}
		if got := p.said(self, c); got != "SMS WITHDRAWN self, EMAIL WITHDRAWN self, EMAIL GRANTED self" {
			t.Errorf("it said %s", got)
		}
		if got := about(p.events(ctx, "guildhall.identity.consent."), c+"/consents/newsletter-email"); strings.Join(got, " ") != "consent.granted consent.withdrawn" {
			t.Errorf("events are %v", got)
		}
	})
}

// TestConsents_theLatestWordCounts by when it was said, and not when it was recorded.
func TestConsents_theLatestWordCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.purpose(ctx, "newsletter", onConsent)
		c := p.add(ctx, "c1", &identityv1.Customer{Email: "ada@example.com"}).GetName()
		at := func(ago time.Duration) *timestamppb.Timestamp { return timestamppb.New(p.clock.now().Add(-ago)) }
		withdraw := func(when *timestamppb.Timestamp) {
			t.Helper()
			if _, err := p.consents().WithdrawConsent(ctx, &identityv1.WithdrawConsentRequest{
				Parent: c, Purpose: newsletter, Channels: []identityv1.ContactChannel{email}, Evidence: "call", ConsentTime: when,
			}); err != nil {
				t.Fatal(err)
			}
		}
		grant := func(when *timestamppb.Timestamp, want string) {
			t.Helper()
			r := agrees(c, "newsletter")
			r.ConsentTime = when
			if _, err := p.consents().GrantConsent(ctx, r); err != nil {
				t.Fatal(err)
			}
			if got := p.blocked(ctx, c, email); got != want {
				t.Errorf("blocked is %q, want %q", got, want)
			}
		}
		withdraw(at(time.Hour))
		grant(at(2*time.Hour), "WITHDRAWN")
		grant(at(time.Hour), "WITHDRAWN") // of one moment the stricter
		grant(at(time.Minute), "")
		withdraw(at(time.Minute))
		if got := p.blocked(ctx, c, email); got != "WITHDRAWN" {
			t.Errorf("of one moment the stricter: %q", got)
		}
		if got := p.said(ctx, c); strings.Count(got, "GRANTED staff") != 3 || strings.Count(got, "WITHDRAWN staff") != 2 {
			t.Errorf("all is on record: %s", got)
		}
	})
}

func TestConsents_newTexts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first := p.purpose(ctx, "newsletter", onConsent)
		made, tokens := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
		c, self := made.GetName(), with(tokens)
		p.grant(ctx, c, "newsletter")
		update := func(set *identityv1.ConsentPurpose, mask ...string) (*identityv1.ConsentPurpose, error) {
			set.Name = newsletter
			return p.consents().UpdateConsentPurpose(ctx, &identityv1.UpdateConsentPurposeRequest{ConsentPurpose: set, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
		}
		next, err := update(&identityv1.ConsentPurpose{Texts: texts("We write more."), Etag: first.GetEtag()}, "texts")
		if err != nil || next.GetTextVersion() != 2 {
			t.Fatalf("another text is %v, %v", next, err)
		}
		if got := p.blocked(ctx, c, email); got != "" {
			t.Errorf("the text before counts: %q", got)
		}
		if _, err := update(&identityv1.ConsentPurpose{OldestValidVersion: 2}, "oldest_valid_version"); err != nil {
			t.Fatal(err)
		}
		if got := p.blocked(ctx, c, email); got != "TEXT_OUTDATED" {
			t.Errorf("the text before counts no more: %q", got)
		}
		wantError(t, second(p.consents().GrantConsent(self, agrees(c, "newsletter"))), errs.Precondition, "CONSENT_VERSION_OUTDATED")
		again := agrees(c, "newsletter")
		again.TextVersion = 2
		if _, err := p.consents().GrantConsent(self, again); err != nil || p.blocked(ctx, c, email) != "" {
			t.Errorf("to the new text: %v", err)
		}
		list, err := p.consents().ListConsentTexts(ctx, &identityv1.ListConsentTextsRequest{Parent: newsletter, PageSize: 1})
		if err != nil || len(list.GetConsentTexts()) != 1 || list.GetConsentTexts()[0].GetVersion() != 2 || list.GetNextPageToken() == "" {
			t.Errorf("the texts are %v, %v", list, err)
		}
		_, err = update(&identityv1.ConsentPurpose{Etag: first.GetEtag(), Retired: true}, "retired")
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = update(&identityv1.ConsentPurpose{OldestValidVersion: 3}, "oldest_valid_version")
		wantError(t, err, errs.Invalid, "CONSENT_VERSION_UNKNOWN")
		_, err = update(&identityv1.ConsentPurpose{LawfulBasis: onInterest}, "lawful_basis")
		wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
		if _, err := update(&identityv1.ConsentPurpose{Retired: true}, "retired"); err != nil || p.blocked(ctx, c, email) != "PURPOSE_RETIRED" {
			t.Errorf("retired: %v", err)
		}
		again.TextVersion, again.Channels = 2, []identityv1.ContactChannel{sms}
		wantError(t, second(p.consents().GrantConsent(self, again)), errs.Precondition, "CONSENT_PURPOSE_RETIRED")
		if _, err := p.consents().WithdrawConsent(self, &identityv1.WithdrawConsentRequest{Parent: c, Purpose: newsletter}); err != nil {
			t.Errorf("withdrawn from a retired one: %v", err)
		}
	})
}

func TestCheckContactable_deniesByDefault(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for id, basis := range map[string]identityv1.LawfulBasis{"newsletter": onConsent, "feedback": onInterest, "parcel": onContract} {
			p.purpose(ctx, id, basis)
		}
		c := p.add(ctx, "c1", &identityv1.Customer{Email: "ada@example.com"}).GetName()
		for purpose, want := range map[string]string{"newsletter": "NO_CONSENT", "feedback": "", "parcel": ""} {
			if got := p.blockedFor(ctx, c, org+"/consentPurposes/"+purpose, email); got != want {
				t.Errorf("%s without a word: %q, want %q", purpose, got, want)
			}
		}
		if got := p.blockedFor(ctx, c, org+"/consentPurposes/parcel", sms); got != "NO_ADDRESS" {
			t.Errorf("without a number: %q", got)
		}
		if got := p.blockedFor(ctx, c, org+"/consentPurposes/parcel", call); got != "NO_CHANNEL" {
			t.Errorf("over a channel that there is not: %q", got)
		}
		if _, err := p.consents().WithdrawConsent(ctx, &identityv1.WithdrawConsentRequest{Parent: c, Evidence: "call"}); err != nil {
			t.Fatal(err)
		}
		if got := p.holds(ctx, c); got != "feedback-email WITHDRAWN, feedback-sms WITHDRAWN, newsletter-email WITHDRAWN, newsletter-sms WITHDRAWN" {
			t.Errorf("of all purposes it withdrew %s", got)
		}
		if got := p.blockedFor(ctx, c, org+"/consentPurposes/feedback", email); got != "WITHDRAWN" {
			t.Errorf("after an objection: %q", got)
		}
		_, err := p.consents().WithdrawConsent(ctx, &identityv1.WithdrawConsentRequest{Parent: c, Purpose: org + "/consentPurposes/parcel", Evidence: "x"})
		wantError(t, err, errs.Precondition, "CONSENT_NOT_ASKED")
		if got := p.count("guildhall.identity.contacts.blocked", attribute.String("reason", "withdrawn")); got != 1 {
			t.Errorf("withdrawn blocked %d contacts", got)
		}
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c}); err != nil || p.blocked(ctx, c, email) != "SUSPENDED" {
			t.Errorf("suspended: %v", err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil || p.blocked(ctx, c, email) != "NO_CUSTOMER" {
			t.Errorf("deleted: %v", err)
		}
		wantError(t, second(p.consents().GrantConsent(ctx, agrees(c, "newsletter"))), errs.Precondition, "ILLEGAL_STATE")
	})
}

func TestBatchCheckContactable(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.purpose(ctx, "newsletter", onConsent)
		var names []string
		for i := range 4 {
			c := p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{Email: fmt.Sprintf("c%d@example.com", i)})
			names = append(names, c.GetName())
			if i%2 == 0 {
				p.grant(ctx, c.GetName(), "newsletter")
			}
		}
		names = append(names, org+"/customers/nobody", names[0])
		resp, err := p.consents().BatchCheckContactable(ctx, &identityv1.BatchCheckContactableRequest{Parent: org, Names: names, Purpose: newsletter, Channel: email})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, d := range resp.GetDecisions() {
			if d.GetCustomer() != names[i] {
				t.Errorf("decision %d is of %s", i, d.GetCustomer())
			}
			got = append(got, strings.TrimPrefix(d.GetBlock().String(), "BLOCK_"))
		}
		if want := "UNSPECIFIED NO_CONSENT UNSPECIFIED NO_CONSENT NO_CUSTOMER UNSPECIFIED"; strings.Join(got, " ") != want {
			t.Errorf("blocked: %v, want %s", got, want)
		}
		_, err = p.consents().BatchCheckContactable(ctx, &identityv1.BatchCheckContactableRequest{
			Parent: org, Names: []string{"organizations/other/customers/c1"}, Purpose: newsletter, Channel: email,
		})
		wantError(t, err, errs.Invalid, "PARENT_MISMATCH")
		_, err = p.consents().BatchCheckContactable(ctx, &identityv1.BatchCheckContactableRequest{Parent: org, Names: names, Purpose: newsletter + "x", Channel: email})
		wantError(t, err, errs.NotFound, "CONSENT_PURPOSE_NOT_FOUND")
	})
}

// TestCheckContactable_suppressedAddress hears of a bounce.
func TestCheckContactable_suppressedAddress(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.purpose(ctx, "newsletter", onConsent)
	c := p.add(ctx, "c1", &identityv1.Customer{Email: "Ada@example.com"}).GetName()
	p.grant(ctx, c, "newsletter")
	if _, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c}); err != nil {
		t.Fatal(err)
	}
	deliveries := identityv1.NewDeliveryServiceClient(p.conn)
	p.until(func() bool {
		list, err := deliveries.ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org, Filter: `account = "` + c + `"`})
		if err != nil || len(list.GetDeliveries()) == 0 {
			return false
		}
		_, err = deliveries.ReportDelivery(ctx, &identityv1.ReportDeliveryRequest{Name: list.GetDeliveries()[0].GetName(), Outcome: identityv1.ReportDeliveryRequest_OUTCOME_BOUNCED})
		return err == nil
	})
	if got := p.blocked(ctx, c, email); got != "SUPPRESSED" {
		t.Errorf("after a bounce: %q", got)
	}
}

// long: one table of bad input.
func TestConsents_badInput(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.purpose(ctx, "newsletter", onConsent)
	p.purpose(ctx, "parcel", onContract)
	made, tokens := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	c, self := made.GetName(), with(tokens)
	for _, bad := range []struct {
		ctx           context.Context
		change        func(*identityv1.GrantConsentRequest)
		reason, field string
	}{
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Evidence = "" }, "CONSENT_EVIDENCE_MISSING", "evidence"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.TextVersion = 2 }, "CONSENT_VERSION_UNKNOWN", "text_version"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Channels = []identityv1.ContactChannel{call} }, "CONSENT_CHANNEL_UNKNOWN", "channels"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.ConsentTime = timestamppb.New(p.clock.now().Add(time.Hour)) }, "CONSENT_TIME_INVALID", "consent_time"},
		{self, func(r *identityv1.GrantConsentRequest) {
			r.ConsentTime = timestamppb.New(p.clock.now().Add(-time.Hour))
		}, "CONSENT_TIME_INVALID", "consent_time"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Purpose = "newsletter" }, "RESOURCE_NAME_INVALID", "purpose"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Channels = nil }, "", "channels"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.TextVersion = 0 }, "", "text_version"},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Purpose = newsletter + "x" }, "CONSENT_PURPOSE_NOT_FOUND", ""},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Purpose = "organizations/other/consentPurposes/newsletter" }, "CONSENT_PURPOSE_NOT_FOUND", ""},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Purpose = org + "/consentPurposes/parcel" }, "CONSENT_NOT_ASKED", ""},
		{ctx, func(r *identityv1.GrantConsentRequest) { r.Parent += "x" }, "CUSTOMER_NOT_FOUND", ""},
	} {
		r := agrees(c, "newsletter")
		bad.change(r)
		err := second(p.consents().GrantConsent(bad.ctx, r))
		v := errs.From(err).Violations
		if err == nil || bad.reason != "" && errs.ReasonOf(err) != bad.reason || bad.field != "" && (len(v) == 0 || v[0].Field != bad.field) {
			t.Errorf("%s on %s: %v", bad.reason, bad.field, err)
		}
	}
	for field, change := range map[string]func(*identityv1.ConsentPurpose){
		"consent_purpose.display_name": func(c *identityv1.ConsentPurpose) { c.DisplayName = "" },
		"consent_purpose.lawful_basis": func(c *identityv1.ConsentPurpose) { c.LawfulBasis = 0 },
		"consent_purpose.channels":     func(c *identityv1.ConsentPurpose) { c.Channels = nil },
		"consent_purpose.texts":        func(c *identityv1.ConsentPurpose) { delete(c.Texts, "zh-CN") },
	} {
		r := &identityv1.CreateConsentPurposeRequest{Parent: org, ConsentPurposeId: "calls", ConsentPurpose: &identityv1.ConsentPurpose{
			DisplayName: "Calls", LawfulBasis: onConsent, Channels: []identityv1.ContactChannel{call}, Texts: texts("We call you."),
		}}
		change(r.ConsentPurpose)
		err := second(p.consents().CreateConsentPurpose(ctx, r))
		if v := errs.From(err).Violations; errs.ReasonOf(err) != "CONSENT_PURPOSE_INCOMPLETE" || v[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	again := &identityv1.CreateConsentPurposeRequest{Parent: org, ConsentPurposeId: "newsletter", ConsentPurpose: &identityv1.ConsentPurpose{
		DisplayName: "Again", LawfulBasis: onConsent, Channels: []identityv1.ContactChannel{call}, Texts: texts("We call you."),
	}}
	wantError(t, second(p.consents().CreateConsentPurpose(ctx, again)), errs.Exists, "CONSENT_PURPOSE_EXISTS")
}

func TestConsents_ofOtherTenantsAndWithoutPermission(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.purpose(ctx, "newsletter", onConsent)
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	chief, _ := other(t, p, ctx)
	refused(t, p, chief, ctx, func(ctx context.Context) map[string]error {
		purpose := &identityv1.ConsentPurpose{Name: newsletter, Retired: true}
		return map[string]error{
			"consentPurposes.create":     second(p.consents().CreateConsentPurpose(ctx, &identityv1.CreateConsentPurposeRequest{Parent: org, ConsentPurposeId: "x", ConsentPurpose: purpose})),
			"consentPurposes.get":        second(p.consents().GetConsentPurpose(ctx, &identityv1.GetConsentPurposeRequest{Name: newsletter})),
			"consentPurposes.list":       second(p.consents().ListConsentPurposes(ctx, &identityv1.ListConsentPurposesRequest{Parent: org})),
			"consentPurposes.update":     second(p.consents().UpdateConsentPurpose(ctx, &identityv1.UpdateConsentPurposeRequest{ConsentPurpose: purpose})),
			"consentTexts.list":          second(p.consents().ListConsentTexts(ctx, &identityv1.ListConsentTextsRequest{Parent: newsletter})),
			"consents.grant":             second(p.consents().GrantConsent(ctx, agrees(c, "newsletter"))),
			"consents.withdraw":          second(p.consents().WithdrawConsent(ctx, &identityv1.WithdrawConsentRequest{Parent: c, Evidence: "x"})),
			"consents.list":              second(p.consents().ListConsents(ctx, &identityv1.ListConsentsRequest{Parent: c})),
			"consentRecords.list":        second(p.consents().ListConsentRecords(ctx, &identityv1.ListConsentRecordsRequest{Parent: c})),
			"customers.checkContactable": second(p.consents().CheckContactable(ctx, &identityv1.CheckContactableRequest{Name: c, Purpose: newsletter, Channel: email})),
		}
	})
}

// TestConsents_fromWhereACustomerAgreed is on record; where staff sat proves nothing,
// and is theirs.
func TestConsents_fromWhereACustomerAgreed(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.purpose(ctx, "newsletter", onConsent)
	away := identityv1.NewConsentServiceClient(p.connFrom("203.0.113.9"))
	for caller, want := range map[string]string{"staff": "", "the customer": "203.0.113.9"} {
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		as := ctx
		if want != "" {
			as = with(tokens)
		}
		if _, err := away.GrantConsent(as, agrees(c.GetName(), "newsletter")); err != nil {
			t.Fatal(err)
		}
		resp, err := p.consents().ListConsentRecords(ctx, &identityv1.ListConsentRecordsRequest{Parent: c.GetName()})
		if err != nil || len(resp.GetConsentRecords()) != 1 || resp.GetConsentRecords()[0].GetRemoteAddress() != want {
			t.Errorf("of %s is on record %v, %v", caller, resp, err)
		}
	}
}
