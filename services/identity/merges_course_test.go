package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestUndoMerge_leavesWhatHasChangedSince: fields with other values, a word about a
// consent, what came to the survivor, and contacts that somebody else has.
func TestUndoMerge_leavesWhatHasChangedSince(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, second := p.two(ctx)
		m := p.merged(ctx, "display_name")
		if err := p.rewrite(ctx, &identityv1.Customer{Name: first, DisplayName: "Countess", Phone: "+8613900139000"}); err != nil {
			t.Fatal(err)
		}
		p.add(ctx, "thief", &identityv1.Customer{Phone: "+8613800138000"})
		p.order(ctx, first, bought("N-7", 5, 1))
		p.interaction(ctx, first, spoke("later", 4))
		u := p.undone(ctx, m.GetName())
		if got := strings.Join(u.GetKeptFields(), " "); got != "display_name phone duplicate.phone" {
			t.Errorf("kept: %s", got)
		}
		one, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: first})
		if err != nil || one.GetDisplayName() != "Countess" || one.GetPhone() != "+8613900139000" || one.GetExternalId() != "" {
			t.Errorf("the survivor: %v, %v", one, err)
		}
		two, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: second})
		if err != nil || two.GetPhone() != "" || two.GetExternalId() != "K-1" || two.GetEmail() != "countess@example.com" {
			t.Errorf("the duplicate: %v, %v", two, err)
		}
		if got := p.spoken(ctx, first, "") + "; " + p.spoken(ctx, second, ""); got != "later lamps; oil" {
			t.Errorf("spoken: %s", got)
		}
	})
}

// TestMergeCustomers_theStricterConsentHolds whichever account said it, and whenever.
func TestMergeCustomers_theStricterConsentHolds(t *testing.T) {
	for what, c := range map[string]struct{ first, second, want string }{
		"taken back on the duplicate, before": {"grant", "withdraw", "WITHDRAWN"},
		"taken back on the survivor":          {"withdraw", "grant", "WITHDRAWN"},
		"agreed to on the duplicate alone":    {"", "grant", "GRANTED"},
		"agreed to on the survivor alone":     {"grant", "", "GRANTED"},
	} {
		t.Run(what, func(t *testing.T) {
			p := newHost(t, "bolt").start(config())
			ctx := p.asAdmin()
			p.purpose(ctx, "newsletter", identityv1.LawfulBasis_LAWFUL_BASIS_CONSENT)
			first, second := p.add(ctx, "c1", &identityv1.Customer{Email: "a@example.com"}).GetName(), p.add(ctx, "c2", &identityv1.Customer{}).GetName()
			say := func(customer, word string) {
				var err error
				switch word {
				case "grant":
					_, err = p.consents().GrantConsent(ctx, agrees(customer, "newsletter"))
				case "withdraw":
					_, err = p.consents().WithdrawConsent(ctx, &identityv1.WithdrawConsentRequest{
						Parent: customer, Purpose: newsletter, Channels: []identityv1.ContactChannel{email}, Evidence: "letter",
					})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			say(second, c.second)
			say(first, c.first) // later
			p.merged(ctx)
			if got := p.holds(ctx, first); got != "newsletter-email "+c.want {
				t.Errorf("what holds: %s", got)
			}
			if got := p.blocked(ctx, first, email); (got == "") != (c.want == "GRANTED") {
				t.Errorf("blocked: %q", got)
			}
			if got := strings.Count(p.said(ctx, first), "staff"); got != len(strings.Fields(c.first+" "+c.second)) {
				t.Errorf("%d records are kept", got)
			}
		})
	}
}

// TestMerge_goesOnAfterARestart: what is left of it, a service that was away too; and it
// can be undone before.
func TestMerge_goesOnAfterARestart(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			first, second := p.two(ctx)
			p.permission.stayPut(1000)
			m, err := p.merges().MergeCustomers(ctx, asksMerge())
			if err != nil {
				t.Fatal(err)
			}
			p.until(func() bool { return p.spoken(ctx, first, "") == "oil lamps" })
			_, err = p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: first, Duplicate: p.add(ctx, "c3", &identityv1.Customer{}).GetName()})
			wantError(t, err, errs.Precondition, "MERGE_RUNNING")
			if p.mergeRecord(ctx, m.GetName()).GetState() != identityv1.MergeRecord_STATE_MOVING {
				t.Error("it is complete without the other services")
			}
			p.close()
			p = h.start(config())
			ctx = p.relogin()
			p.comes(ctx, m.GetName(), identityv1.MergeRecord_STATE_MERGED)
			p.permission.stayPut(1000)
			if _, err := p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: m.GetName()}); err != nil {
				t.Fatal(err)
			}
			p.until(func() bool { return p.spoken(ctx, first, "")+p.spoken(ctx, second, "") == "lampsoil" })
			p.close()
			p = h.start(config())
			p.comes(p.relogin(), m.GetName(), identityv1.MergeRecord_STATE_UNDONE)
		})
	}
}

func TestUndoMerge_stopsOneThatMoves(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	first, second := p.two(ctx)
	before := p.portrait(ctx, first) + p.portrait(ctx, second)
	p.permission.stayPut(1)
	m, err := p.merges().MergeCustomers(ctx, asksMerge())
	if err != nil {
		t.Fatal(err)
	}
	p.undone(ctx, m.GetName())
	if after := p.portrait(ctx, first) + p.portrait(ctx, second); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestMerge_isFinalWhenItsTimeIsOver: nothing is left that an undo would take, and the
// duplicate still leads to the survivor.
func TestMerge_isFinalWhenItsTimeIsOver(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			first, second := p.two(ctx)
			m := p.merged(ctx)
			third := p.add(ctx, "c3", &identityv1.Customer{}).GetName()
			_, err := p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: third, Duplicate: first})
			wantError(t, err, errs.Precondition, "MERGE_NOT_FINAL")
			p.close()
			h.clock.advance(30*24*time.Hour + time.Second)
			p = h.start(config())
			ctx = p.relogin()
			m = p.comes(ctx, m.GetName(), identityv1.MergeRecord_STATE_FINAL)
			_, err = p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: m.GetName()})
			wantError(t, err, errs.Precondition, "MERGE_FINAL")
			if m.GetFormerSurvivor() != nil || m.GetFormerDuplicate() != nil || m.GetMergedSurvivor() != nil || p.rowsOf("merged_rows") != 0 {
				t.Errorf("what is left: %v", m)
			}
			wantError(t, p.gone(ctx, second), errs.NotFound, "CUSTOMER_MERGED")
			p.add(ctx, "c4", &identityv1.Customer{Email: "countess@example.com"}) // it is free
			if _, err := p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: third, Duplicate: first}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestErasure_ofASurvivorErasesWhoWasMergedIntoIt: of neither account is anything left.
func TestErasure_ofASurvivorErasesWhoWasMergedIntoIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.grace(ctx, durationpb.New(0))
		first, second := p.two(ctx)
		asFirst := with(p.accept(ctx, first))
		req := asksMerge("email")
		req.Reason, req.RequestId = "Lovelace is Ada", "kept"
		m, err := p.merges().MergeCustomers(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		p.comes(ctx, m.GetName(), identityv1.MergeRecord_STATE_MERGED)
		q, err := p.ask(asFirst, first, erasure, "")
		if err != nil {
			t.Fatal(err)
		}
		p.until(func() bool {
			return p.asked(ctx, q.GetName()).GetState() == identityv1.DataSubjectRequest_STATE_FULFILLED
		})
		if !p.erased(ctx, first) || !p.erased(ctx, second) {
			t.Errorf("the two: %v, %v", p.gone(ctx, first), p.gone(ctx, second))
		}
		_, err = p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: m.GetName()})
		wantError(t, err, errs.Precondition, "MERGE_FINAL")
		p.permission.mu.Lock()
		if p.permission.erased[second] == 0 {
			t.Error("the other services were not asked to erase the duplicate")
		}
		p.permission.mu.Unlock()
		p.close()
		if left := p.holding("Lovelace", "lovelace", "ada@example.com", "countess@", "13800138000", "K-1", "N-2", "said: oil"); len(left) > 0 {
			t.Errorf("what is left, and where: %v", left)
		}
	})
}

func TestListMergeRecords_pagesFiltersAndShowsWhoIsSeen(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		chief, _ := other(t, p, ctx)
		for i := range 6 {
			p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{})
		}
		var last *identityv1.MergeRecord
		for i := range 3 {
			m, err := p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{
				Name: fmt.Sprint(org, "/customers/c", 2*i), Duplicate: fmt.Sprint(org, "/customers/c", 2*i+1), MergeRecordId: fmt.Sprint("m", i),
			})
			if err != nil {
				t.Fatal(err)
			}
			last = p.comes(ctx, m.GetName(), identityv1.MergeRecord_STATE_MERGED)
		}
		p.undone(ctx, last.GetName())
		list := func(ctx context.Context, parent, filter string) (string, error) {
			var ids []string
			req := &identityv1.ListMergeRecordsRequest{Parent: parent, PageSize: 1, Filter: filter}
			for {
				resp, err := p.merges().ListMergeRecords(ctx, req)
				if err != nil {
					return "", err
				}
				for _, m := range resp.GetMergeRecords() {
					ids = append(ids, shortOf(m.GetName()))
				}
				if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
					return strings.Join(ids, " "), nil
				}
			}
		}
		for filter, want := range map[string]string{
			"": "m2 m1 m0", `state = "MERGED"`: "m1 m0", `state = "UNDONE"`: "m2", `customer = "` + org + `/customers/c3"`: "m1", `customer = "organizations/other/customers/c3"`: "",
		} {
			if got, err := list(ctx, org, filter); got != want || err != nil {
				t.Errorf("%s: %q, %v", filter, got, err)
			}
		}
		p.permission.hide([]string{org + "/customers/c1"}, nil)
		if got, err := list(ctx, org, ""); got != "m2 m1" || err != nil {
			t.Errorf("to who does not see c1: %q, %v", got, err)
		}
		_, err := p.merges().GetMergeRecord(ctx, &identityv1.GetMergeRecordRequest{Name: org + "/mergeRecords/m0"})
		wantError(t, err, errs.NotFound, "MERGE_RECORD_NOT_FOUND")
		p.permission.hide(nil, nil)
		_, err = list(ctx, org, `when = 1`)
		wantError(t, err, errs.Invalid, "FILTER_INVALID")
		_, err = p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: org + "/mergeRecords/m0", Etag: "AAAA"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = p.merges().GetMergeRecord(chief, &identityv1.GetMergeRecordRequest{Name: org + "/mergeRecords/m0"})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: org + "/customers/c4", Duplicate: org + "/customers/c5", MergeRecordId: "m0"})
		wantError(t, err, errs.Exists, "MERGE_RECORD_EXISTS")
	})
}
