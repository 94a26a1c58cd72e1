package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	pending   = identityv1.AccountState_ACCOUNT_STATE_PENDING
	active    = identityv1.AccountState_ACCOUNT_STATE_ACTIVE
	suspended = identityv1.AccountState_ACCOUNT_STATE_SUSPENDED
	deleted   = identityv1.AccountState_ACCOUNT_STATE_DELETED
)

func TestCustomer_createGetUpdate(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		given := &identityv1.Customer{
			Name: "ignored", DisplayName: "Ada", Email: "Ada@example.com", Phone: "+8613800138000", ExternalId: "17850", Country: "China",
			Language: "zh-CN", State: active, Etag: "ignored",
		}
		made, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: "ada", Customer: given})
		if err != nil {
			t.Fatal(err)
		}
		want := &identityv1.Customer{
			Name: org + "/customers/ada", DisplayName: "Ada", Email: "Ada@example.com", Phone: "+8613800138000", ExternalId: "17850",
			Country: "China", Language: "zh-CN", State: pending, Stage: identityv1.LifecycleStage_LIFECYCLE_STAGE_LEAD,
		}
		times := protocmp.IgnoreFields(&identityv1.Customer{}, "create_time", "update_time", "stage_time", "etag")
		if diff := cmp.Diff(want, made, protocmp.Transform(), times); diff != "" {
			t.Errorf("created (-want +got):\n%s", diff)
		}
		got, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: made.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(made, got, protocmp.Transform()); diff != "" {
			t.Errorf("read back (-created +got):\n%s", diff)
		}
		update := func(c *identityv1.Customer, paths ...string) (*identityv1.Customer, error) {
			c.Name = made.GetName()
			return p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		}
		// Without a mask, what is set changes; output-only fields do not.
		if got, err = update(&identityv1.Customer{DisplayName: "Ada L.", State: suspended}); err != nil {
			t.Fatal(err)
		}
		if got.GetDisplayName() != "Ada L." || got.GetEmail() != want.GetEmail() || got.GetState() != pending || got.GetEtag() == made.GetEtag() {
			t.Errorf("after an update without a mask: %v", got)
		}
		// A masked field that is not set is cleared.
		if got, err = update(&identityv1.Customer{}, "phone"); err != nil || got.GetPhone() != "" || got.GetDisplayName() != "Ada L." {
			t.Errorf("after clearing the phone: %v %v", got, err)
		}
		// A star replaces all.
		if got, err = update(&identityv1.Customer{DisplayName: "Ada", Email: want.GetEmail()}, "*"); err != nil || got.GetExternalId() != "" || got.GetCountry() != "" {
			t.Errorf("after replacing all: %v %v", got, err)
		}
		same, err := update(&identityv1.Customer{DisplayName: "Ada"}, "display_name")
		if err != nil || same.GetEtag() != got.GetEtag() {
			t.Errorf("an update that changes nothing changes the etag: %v", err)
		}
		for _, path := range []string{"nonsense", "display_name.x", "state", "create_time"} {
			_, err = update(&identityv1.Customer{}, path)
			wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
		}
		_, err = update(&identityv1.Customer{DisplayName: "x", Etag: made.GetEtag()}, "display_name")
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	})
}

func TestCustomer_uniqueValues(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		create := func(id string, c *identityv1.Customer) error {
			_, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: id, Customer: c})
			return err
		}
		if err := create("one", &identityv1.Customer{Email: "One@example.com", Phone: "+8613800138000", ExternalId: "1"}); err != nil {
			t.Fatal(err)
		}
		wantError(t, create("one", &identityv1.Customer{}), errs.Exists, "CUSTOMER_EXISTS")
		err := create("two", &identityv1.Customer{Email: "oNE@EXAMPLE.com"})
		wantError(t, err, errs.Exists, "EMAIL_TAKEN")
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "customer.email" {
			t.Errorf("the fault is said to be in %v", v)
		}
		wantError(t, create("two", &identityv1.Customer{Phone: "+8613800138000"}), errs.Exists, "PHONE_TAKEN")
		wantError(t, create("two", &identityv1.Customer{ExternalId: "1"}), errs.Exists, "EXTERNAL_ID_TAKEN")
		wantError(t, create("Two", &identityv1.Customer{}), errs.Invalid, "RESOURCE_NAME_INVALID")
		wantError(t, create("two", &identityv1.Customer{Email: "no mail"}), errs.Invalid, "VALIDATION_FAILED")
		wantError(t, create("two", &identityv1.Customer{Phone: "138"}), errs.Invalid, "VALIDATION_FAILED")
		// Staff have their own space, and a deleted customer keeps its values.
		p.staffMember(ctx, "one", &identityv1.StaffMember{DisplayName: "One", Email: "one@example.com"})
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/one"}); err != nil {
			t.Fatal(err)
		}
		wantError(t, create("two", &identityv1.Customer{ExternalId: "1"}), errs.Exists, "EXTERNAL_ID_TAKEN")
	})
}

func TestCustomer_requestID(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	req := &identityv1.CreateCustomerRequest{Parent: org, RequestId: "r1", Customer: &identityv1.Customer{DisplayName: "Ada"}}
	first, err := p.customers().CreateCustomer(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.customers().CreateCustomer(ctx, req)
	if err != nil || again.GetName() != first.GetName() {
		t.Errorf("the retry returns %v, %v", again, err)
	}
	req.Customer.DisplayName = "Bob"
	_, err = p.customers().CreateCustomer(ctx, req)
	wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
}

// TestAccount_states walks the table of legal moves.
func TestAccount_states(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		do := map[string]func(name string) (identityv1.AccountState, error){
			"disable": func(name string) (identityv1.AccountState, error) {
				c, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: name})
				return c.GetState(), err
			},
			"enable": func(name string) (identityv1.AccountState, error) {
				c, err := p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: name})
				return c.GetState(), err
			},
			"delete": func(name string) (identityv1.AccountState, error) {
				c, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: name})
				return c.GetState(), err
			},
			"undelete": func(name string) (identityv1.AccountState, error) {
				c, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: name})
				return c.GetState(), err
			},
		}
		for _, c := range []struct {
			before []string // moves that lead to the state, "accept" first if any
			move   string
			want   identityv1.AccountState
			reason string
		}{
			{nil, "disable", suspended, ""},
			{nil, "enable", 0, "ILLEGAL_STATE"},
			{nil, "delete", deleted, ""},
			{nil, "undelete", 0, "NOT_DELETED"},
			{[]string{"disable"}, "enable", pending, ""},
			{[]string{"disable"}, "disable", 0, "ILLEGAL_STATE"},
			{[]string{"disable"}, "delete", deleted, ""},
			{[]string{"disable", "delete"}, "undelete", suspended, ""},
			{[]string{"delete"}, "delete", deleted, ""},
			{[]string{"delete"}, "disable", 0, "ILLEGAL_STATE"},
			{[]string{"delete"}, "enable", 0, "ILLEGAL_STATE"},
			{[]string{"delete"}, "undelete", pending, ""},
			{[]string{"accept"}, "disable", suspended, ""},
			{[]string{"accept", "disable"}, "enable", active, ""},
			{[]string{"accept", "delete"}, "undelete", active, ""},
		} {
			t.Run(strings.Join(append(slices.Clone(c.before), c.move), "_"), func(t *testing.T) {
				made, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{DisplayName: "x"}})
				if err != nil {
					t.Fatal(err)
				}
				for _, move := range c.before {
					if move == "accept" {
						p.accept(ctx, made.GetName())
						continue
					}
					if _, err := do[move](made.GetName()); err != nil {
						t.Fatalf("%s: %v", move, err)
					}
				}
				got, err := do[c.move](made.GetName())
				if got != c.want || errs.ReasonOf(err) != c.reason {
					t.Errorf("%s gives %v, %v; want %v %s", c.move, got, err, c.want, c.reason)
				}
			})
		}
	})
}

func TestAccount_suspensionAndDeletionEndSessionsAndTellTheFeed(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		name := c.GetName()
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		_, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
		wantError(t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
		if _, err := p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		second, err := login(p, name, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		gone, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if kept := gone.GetPurgeTime().AsTime().Sub(gone.GetDeleteTime().AsTime()); kept != 30*24*time.Hour {
			t.Errorf("a deleted account is kept for %s", kept)
		}
		if _, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		events := p.events(ctx)
		want := []string{"PENDING", "ACTIVE", "SUSPENDED", "ACTIVE", "DELETED", "ACTIVE"}
		for i := range want {
			want[i] = "account.state_changed " + want[i]
		}
		if diff := cmp.Diff(want, about(events, name)); diff != "" {
			t.Errorf("events of the account (-want +got):\n%s", diff)
		}
		for _, s := range []string{tokens.GetSession(), second.GetSession()} {
			if got := about(events, s); len(got) != 1 || got[0] != "session.ended" {
				t.Errorf("events of session %s: %v", s, got)
			}
		}
	})
}

func TestAccount_purgeRemovesAllOfIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com", Phone: "+8613800138000", ExternalId: "1", Country: "China"})
		p.enroll(with(tokens))
		p.order(ctx, c.GetName(), bought("1", 0, 1))
		if err := p.transition(ctx, c.GetName(), stageCustomer); err != nil {
			t.Fatal(err)
		}
		p.purpose(ctx, "newsletter", identityv1.LawfulBasis_LAWFUL_BASIS_CONSENT)
		p.grant(ctx, c.GetName(), "newsletter")
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c.GetName()}); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(30 * 24 * time.Hour)
		p.close() // a restart sweeps at once
		after := p.host.start(config())
		tokens, err := login(after, admin, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		ctx = with(tokens)
		deadline := time.Now().Add(10 * time.Second)
		for {
			_, err := after.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: c.GetName()})
			if errs.Is(err, errs.NotFound) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the account is not purged: %v", err)
			}
		}
		_, err = after.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: c.GetName()})
		wantError(t, err, errs.NotFound, "CUSTOMER_NOT_FOUND")
		for _, table := range []string{"customers", "customers__email", "customers__phone", "customers__external_id", "customers__state", "customers__country", "customers__live", "customers__purge", "customers__likeness_v1",
			"orders", "orders__external_id", "orders__time", "orders__type", "purchase_summaries",
			"stage_transitions", "stage_clocks", "stage_clocks__idle", "consents", "consent_records", "factors", "factor_proofs", "recovery_codes"} {
			err := after.raw.View(context.Background(), func(r kv.Reader) error {
				for item, err := range r.Scan(table, kv.Range{}) {
					if err != nil {
						return err
					}
					t.Errorf("table %s still holds %q", table, item.Key)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// Its name is nobody's any more; its values are free again.
		_, err = after.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{
			Parent: org, CustomerId: strings.TrimPrefix(c.GetName(), org+"/customers/"), Customer: &identityv1.Customer{DisplayName: "Eve"},
		})
		wantError(t, err, errs.Exists, "CUSTOMER_EXISTS")
		if _, err := after.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: "ada@example.com"}}); err != nil {
			t.Error(err)
		}
	})
}

func TestCustomers_listByIndex(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for i := range 7 {
			_, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: fmt.Sprint("c", i), Customer: &identityv1.Customer{
				Email: fmt.Sprintf("C%d@example.com", i), ExternalId: fmt.Sprint(i), Phone: fmt.Sprint("+861380013800", i), Country: []string{"China", "France"}[i%2],
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		p.accept(ctx, org+"/customers/c1")
		for _, id := range []string{"c2", "c3"} {
			if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/" + id}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			filter  string
			deleted bool
			want    string
		}{
			{"", false, "c0 c1 c4 c5 c6"},
			{"", true, "c0 c1 c2 c3 c4 c5 c6"},
			{`state = "ACTIVE"`, false, "c1"},
			{`state = PENDING`, true, "c0 c4 c5 c6"},
			{`state = DELETED`, true, "c2 c3"},
			{`state = DELETED`, false, ""},
			{`country = "China"`, false, "c0 c4 c6"},
			{`country = "China"`, true, "c0 c2 c4 c6"},
			{`email = "c4@EXAMPLE.com"`, false, "c4"},
			{`email = "c2@example.com"`, false, ""},
			{`email = "c2@example.com"`, true, "c2"},
			{`email = ""`, true, ""},
			{`phone = "+8613800138005"`, false, "c5"},
			{`external_id = "6"`, false, "c6"},
			{`external_id = "60"`, false, ""},
		} {
			for _, size := range []int32{0, 1, 2} {
				var got []string
				req := &identityv1.ListCustomersRequest{Parent: org, PageSize: size, Filter: c.filter, ShowDeleted: c.deleted}
				for pages := 0; pages < 10; pages++ {
					resp, err := p.customers().ListCustomers(ctx, req)
					if err != nil {
						t.Fatalf("%q: %v", c.filter, err)
					}
					for _, each := range resp.GetCustomers() {
						got = append(got, strings.TrimPrefix(each.GetName(), org+"/customers/"))
					}
					if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
						break
					}
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("filter %q, deleted %v, pages of %d: %v, want %s", c.filter, c.deleted, size, got, c.want)
				}
			}
		}
		for _, filter := range []string{"display_name = xy", "display_name:x", "state = NONE", "state = ACTIVE AND state = PENDING", "email : x", "segment = gold"} {
			_, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: filter})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
		first, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, ShowDeleted: true, PageToken: first.GetNextPageToken()})
		wantError(t, err, errs.Invalid, "PAGE_TOKEN_MISMATCH")
		batch, err := p.customers().BatchGetCustomers(ctx, &identityv1.BatchGetCustomersRequest{Parent: org, Names: []string{org + "/customers/c5", org + "/customers/c0"}})
		if err != nil || len(batch.GetCustomers()) != 2 || batch.GetCustomers()[0].GetExternalId() != "5" {
			t.Errorf("batch get: %v %v", batch, err)
		}
		_, err = p.customers().BatchGetCustomers(ctx, &identityv1.BatchGetCustomersRequest{Parent: org, Names: []string{org + "/customers/c5", org + "/customers/none"}})
		wantError(t, err, errs.NotFound, "CUSTOMER_NOT_FOUND")
	})
}

// TestListAccounts_takesEveryState: who follows identity asks for the accounts of
// each state that there is.
func TestListAccounts_takesEveryState(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.add(ctx, "ada", &identityv1.Customer{DisplayName: "Ada"})
	for n, name := range identityv1.AccountState_name {
		if n == 0 {
			continue
		}
		state := strings.TrimPrefix(name, "ACCOUNT_STATE_")
		found, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, ShowDeleted: true, Filter: "state = " + state})
		if err != nil || (len(found.GetCustomers()) == 1) != (identityv1.AccountState(n) == pending) {
			t.Errorf("customers in state %s are %v, %v", state, found, err)
		}
		if _, err := p.staff().ListStaffMembers(ctx, &identityv1.ListStaffMembersRequest{Parent: org, ShowDeleted: true, Filter: "state = " + state}); err != nil {
			t.Errorf("staff in state %s: %v", state, err)
		}
	}
}
