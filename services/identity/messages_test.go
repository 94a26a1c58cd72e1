package identity_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) deliveries() identityv1.DeliveryServiceClient {
	return identityv1.NewDeliveryServiceClient(p.conn)
}

func (p *process) templates() identityv1.MessageTemplateServiceClient {
	return identityv1.NewMessageTemplateServiceClient(p.conn)
}

// TestCreateInvitation_goesToTheContactAlone: who invites needs no code, and sees
// none unless it asks.
func TestCreateInvitation_goesToTheContactAlone(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: "Ada@example.com", Language: "zh-CN"}})
		if err != nil {
			t.Fatal(err)
		}
		invite := func(account string, show bool) *identityv1.Invitation {
			t.Helper()
			i, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: account, ShowCode: show})
			if err != nil {
				t.Fatal(err)
			}
			return i
		}
		i := invite(c.GetName(), false)
		if i.GetCode() != "" || i.GetDelivery() == "" {
			t.Errorf("the invitation is %v", i)
		}
		got := p.awaitMail("INVITATION", "Ada@example.com")
		if got.Delivery != i.GetDelivery() || got.Channel != "EMAIL" || got.Language != "zh-CN" || !strings.Contains(got.Text, "7天内有效") {
			t.Errorf("the mail is %+v", got)
		}
		tokens, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: codeIn(got), Password: goodPassword})
		if err != nil || tokens.GetAccount() != c.GetName() {
			t.Fatalf("the code of the mail: %v", err)
		}
		if shown := invite(c.GetName(), true); shown.GetCode() == "" || shown.GetDelivery() == "" {
			t.Errorf("asked for, the code is not shown: %v", shown)
		}
		phone, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Phone: "+8613800138000"}})
		if err != nil {
			t.Fatal(err)
		}
		if invite(phone.GetName(), false).GetCode() != "" || p.awaitMail("INVITATION", "+8613800138000").Channel != "SMS" {
			t.Error("who has a phone alone gets no SMS")
		}
		if bo := p.staffMember(ctx, "bo", &identityv1.StaffMember{DisplayName: "Bo"}); invite(bo.GetName(), false).GetCode() == "" {
			t.Error("of an account without a contact nobody has the code")
		}
	})
}

// TestASVS_6_3_7_whosePasswordChangesIsTold, but not by whom, nor at the first.
func TestASVS_6_3_7_whosePasswordChangesIsTold(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, tokens := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	if _, err := p.auth().ChangePassword(with(tokens), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: "another that nobody guesses"}); err != nil {
		t.Fatal(err)
	}
	got := p.awaitMail("PASSWORD_CHANGED", "ada@example.com")
	if !strings.Contains(got.Text, p.clock.now().UTC().Format("2006-01-02")) || strings.Contains(got.Text, "nobody guesses") {
		t.Errorf("the mail says %q", got.Text)
	}
	p.accept(ctx, c.GetName())
	resp, err := p.deliveries().ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org, Filter: `kind = PASSWORD_CHANGED AND account = "` + c.GetName() + `"`})
	if err != nil || len(resp.GetDeliveries()) != 2 {
		t.Errorf("told %d times (%v), want 2: by the change, and by the invitation, and not when it first had one", len(resp.GetDeliveries()), err)
	}
}

// TestDelivery_saysNothingOfWhatItBrings: in no answer, no log, no event and no
// entry, and after it is sent nowhere in the store.
func TestDelivery_saysNothingOfWhatItBrings(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: "ada@example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName(), RequestId: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		code := codeIn(p.awaitMail("INVITATION", "ada@example.com"))
		d := p.awaitSent(ctx, i.GetDelivery())
		list, err := p.deliveries().ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org})
		if err != nil || len(list.GetDeliveries()) != 1 || !cmp.Equal(list.GetDeliveries()[0], d, protocmp.Transform()) {
			t.Errorf("the list is %v (%v), want %v", list, err, d)
		}
		if d.GetTargetHint() != "a***@example.com" || d.GetAccount() != c.GetName() || d.GetProvider() != "file" {
			t.Errorf("the delivery is %v", d)
		}
		for where, text := range map[string]string{"the delivery": d.String(), "the log": p.log.String()} {
			if strings.Contains(text, code) || strings.Contains(text, "ada@example.com") {
				t.Errorf("%s says %q", where, text)
			}
		}
		p.close()
		if where := p.below(code); len(where) > 0 {
			t.Errorf("below the seal the code is still in %v", where)
		}
	})
}

// TestRetryDelivery_asAllChanges: refusals, etags and retries of the call.
func TestRetryDelivery_asAllChanges(t *testing.T) {
	cfg := config()
	cfg.Delivery.Attempts = 1
	h := newHost(t, "bolt")
	if err := os.Mkdir(filepath.Join(h.folder, "outbox.ndjson"), 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	p := h.start(cfg)
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	var d *identityv1.Delivery
	p.await("the message has failed", func() bool {
		resp, err := p.deliveries().ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org, Filter: "state = FAILED"})
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.GetDeliveries()) == 0 {
			return false
		}
		d = resp.GetDeliveries()[0]
		return true
	})
	if d.GetFailure() != identityv1.Delivery_FAILURE_UNAVAILABLE || d.GetAccount() != c.GetName() || p.count("guildhall.identity.delivery.attempts") != 1 {
		t.Errorf("the delivery is %v", d)
	}
	if err := os.Remove(filepath.Join(h.folder, "outbox.ndjson")); err != nil {
		t.Fatal(err)
	}
	chief, _ := other(t, p, ctx)
	retry := func(ctx context.Context, req *identityv1.RetryDeliveryRequest) error {
		return second(p.deliveries().RetryDelivery(ctx, req))
	}
	wantNotFound(t, retry(chief, &identityv1.RetryDeliveryRequest{Name: d.GetName()}))
	wantError(t, retry(ctx, &identityv1.RetryDeliveryRequest{Name: org + "/deliveries/none"}), errs.NotFound, "DELIVERY_NOT_FOUND")
	wantError(t, retry(ctx, &identityv1.RetryDeliveryRequest{Name: "deliveries/x"}), errs.Invalid, "RESOURCE_NAME_INVALID")
	wantError(t, retry(ctx, &identityv1.RetryDeliveryRequest{Name: d.GetName(), Etag: "other"}), errs.Conflict, "ETAG_MISMATCH")
	req := &identityv1.RetryDeliveryRequest{Name: d.GetName(), Etag: d.GetEtag(), RequestId: "r1"}
	for range 2 {
		if err := retry(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	p.awaitMail("INVITATION", "ada@example.com")
	p.awaitSent(ctx, d.GetName())
	wantError(t, retry(ctx, &identityv1.RetryDeliveryRequest{Name: d.GetName()}), errs.Precondition, "ILLEGAL_STATE")
	wantError(t, retry(ctx, &identityv1.RetryDeliveryRequest{Name: d.GetName(), RequestId: "r1"}), errs.Invalid, "REQUEST_ID_REUSED")
}

func TestReportDelivery_aBounceEndsInASuppression(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	d := p.awaitSent(ctx, p.awaitMail("INVITATION", "ada@example.com").Delivery)
	chief, _ := other(t, p, ctx)
	report := func(ctx context.Context, outcome identityv1.ReportDeliveryRequest_Outcome) error {
		return second(p.deliveries().ReportDelivery(ctx, &identityv1.ReportDeliveryRequest{Name: d.GetName(), Outcome: outcome}))
	}
	wantNotFound(t, report(chief, identityv1.ReportDeliveryRequest_OUTCOME_BOUNCED))
	wantError(t, report(ctx, 0), errs.Invalid, "VALIDATION_FAILED")
	if err := report(ctx, identityv1.ReportDeliveryRequest_OUTCOME_BOUNCED); err != nil {
		t.Fatal(err)
	}
	// What is not sent is for the caller to hand over.
	i, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName()})
	if err != nil || i.GetCode() == "" {
		t.Errorf("the invitation is %v (%v), want one with its code", i, err)
	}
	list, err := p.deliveries().ListSuppressions(ctx, &identityv1.ListSuppressionsRequest{Parent: org})
	if err != nil || len(list.GetSuppressions()) != 1 {
		t.Fatalf("suppressions are %v (%v)", list, err)
	}
	name := list.GetSuppressions()[0].GetName()
	wantNotFound(t, second(p.deliveries().DeleteSuppression(chief, &identityv1.DeleteSuppressionRequest{Name: name})))
	if _, err := p.deliveries().DeleteSuppression(ctx, &identityv1.DeleteSuppressionRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	if i, err = p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName()}); err != nil || i.GetCode() != "" {
		t.Errorf("the invitation is %v (%v), want one that is sent", i, err)
	}
}

func TestMessageTemplate_takesThePlaceOfTheBuiltIn(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		create := func(id string, tpl *identityv1.MessageTemplate) (*identityv1.MessageTemplate, error) {
			return p.templates().CreateMessageTemplate(ctx, &identityv1.CreateMessageTemplateRequest{Parent: org, MessageTemplateId: id, MessageTemplate: tpl})
		}
		ours := &identityv1.MessageTemplate{
			Kind: identityv1.MessageKind_MESSAGE_KIND_INVITATION, Channel: identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL, Language: "en",
			Subject: "Hello from {{organization}}", Text: "Welcome <b>aboard</b>!\n\n{{code}}",
		}
		made, err := create("hello", ours)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, second(create("again", ours)), errs.Exists, "MESSAGE_TEMPLATE_EXISTS")
		bad := &identityv1.MessageTemplate{Kind: ours.GetKind(), Channel: ours.GetChannel(), Language: "zh-CN", Subject: "x", Text: "{{password}}"}
		_, err = create("bad", bad)
		wantError(t, err, errs.Invalid, "MESSAGE_TEMPLATE_INVALID")
		bad.Language = "fr"
		wantError(t, second(create("bad", bad)), errs.Invalid, "VALIDATION_FAILED")

		p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
		got := p.awaitMail("INVITATION", "ada@example.com")
		if got.Subject != "Hello from acme" || !strings.HasPrefix(got.Text, "Welcome <b>aboard</b>!") || !strings.Contains(got.HTML, "Welcome &lt;b&gt;aboard") {
			t.Errorf("the mail is %+v", got)
		}
		update := func(etag string, paths ...string) error {
			made.Subject, made.Etag = "Another", etag
			return second(p.templates().UpdateMessageTemplate(ctx, &identityv1.UpdateMessageTemplateRequest{MessageTemplate: made, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}))
		}
		wantError(t, update("other", "subject"), errs.Conflict, "ETAG_MISMATCH")
		wantError(t, update("", "language"), errs.Invalid, "UPDATE_MASK_INVALID")
		if err := update("", "subject"); err != nil {
			t.Fatal(err)
		}
		preview := func(tpl *identityv1.MessageTemplate) *identityv1.PreviewMessageTemplateResponse {
			t.Helper()
			resp, err := p.templates().PreviewMessageTemplate(ctx, &identityv1.PreviewMessageTemplateRequest{Parent: org, MessageTemplate: tpl})
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		use := &identityv1.MessageTemplate{Kind: ours.GetKind(), Channel: ours.GetChannel(), Language: "en"}
		if resp := preview(use); resp.GetMessageTemplate().GetName() != made.GetName() || resp.GetSubject() != "Another" || !strings.Contains(resp.GetText(), "EXAMPLE") {
			t.Errorf("the preview is %v", resp)
		}
		if _, err := p.templates().DeleteMessageTemplate(ctx, &identityv1.DeleteMessageTemplateRequest{Name: made.GetName()}); err != nil {
			t.Fatal(err)
		}
		if resp := preview(use); resp.GetMessageTemplate().GetName() != "" || resp.GetSubject() != "Your account at acme" {
			t.Errorf("the preview is %v", resp)
		}
		use.Text, use.Subject = "{{code}}{{nothing}}", "x"
		wantError(t, second(p.templates().PreviewMessageTemplate(ctx, &identityv1.PreviewMessageTemplateRequest{Parent: org, MessageTemplate: use})), errs.Invalid, "MESSAGE_TEMPLATE_INVALID")
	})
}

func TestMessageTemplates_pagesTenantsAndPermissions(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	var names []string
	for i, language := range []string{"en", "zh-CN"} {
		for j, channel := range []identityv1.MessageChannel{identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL, identityv1.MessageChannel_MESSAGE_CHANNEL_SMS} {
			tpl := &identityv1.MessageTemplate{Kind: identityv1.MessageKind_MESSAGE_KIND_PASSWORD_CHANGED, Channel: channel, Language: language, Text: "at {{time}}"}
			if j == 0 {
				tpl.Subject = "x"
			}
			made, err := p.templates().CreateMessageTemplate(ctx, &identityv1.CreateMessageTemplateRequest{Parent: org, MessageTemplateId: fmt.Sprintf("t%d%d", i, j), MessageTemplate: tpl})
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, made.GetName())
		}
	}
	var found []string
	for req := (&identityv1.ListMessageTemplatesRequest{Parent: org, PageSize: 3}); ; {
		resp, err := p.templates().ListMessageTemplates(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, tpl := range resp.GetMessageTemplates() {
			found = append(found, tpl.GetName())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if diff := cmp.Diff(names, found); diff != "" {
		t.Errorf("the pages (-want +got):\n%s", diff)
	}
	chief, _ := other(t, p, ctx)
	for call, err := range map[string]error{
		"get":     second(p.templates().GetMessageTemplate(chief, &identityv1.GetMessageTemplateRequest{Name: names[0]})),
		"delete":  second(p.templates().DeleteMessageTemplate(chief, &identityv1.DeleteMessageTemplateRequest{Name: names[0]})),
		"list":    second(p.templates().ListMessageTemplates(chief, &identityv1.ListMessageTemplatesRequest{Parent: org})),
		"preview": second(p.templates().PreviewMessageTemplate(chief, &identityv1.PreviewMessageTemplateRequest{Parent: org, MessageTemplate: &identityv1.MessageTemplate{Kind: 1, Channel: 1, Language: "en"}})),
		"sent":    second(p.deliveries().ListDeliveries(chief, &identityv1.ListDeliveriesRequest{Parent: org})),
		"stopped": second(p.deliveries().ListSuppressions(chief, &identityv1.ListSuppressionsRequest{Parent: org})),
	} {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v, want not found", call, err)
		}
	}
	for _, permission := range []string{"identity.deliveries.list", "identity.messageTemplates.update"} {
		p.checker.forbid(permission)
	}
	wantError(t, second(p.deliveries().ListDeliveries(ctx, &identityv1.ListDeliveriesRequest{Parent: org})), errs.Denied, "PERMISSION_DENIED")
	wantError(t, second(p.templates().UpdateMessageTemplate(ctx, &identityv1.UpdateMessageTemplateRequest{MessageTemplate: &identityv1.MessageTemplate{Name: names[0], Text: "x"}})), errs.Denied, "PERMISSION_DENIED")
}
