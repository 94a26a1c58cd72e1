package identity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

const (
	toSee  = identityv1.DataSubjectRequest_KIND_ACCESS
	isDone = identityv1.DataSubjectRequest_STATE_FULFILLED
)

// export is what the sisters answer: of permission two grants of any customer, one on
// a page; of the others one record.
func (s *permission) export(method string, req *subjectv1.ExportSubjectRequest, reply *subjectv1.ExportSubjectResponse) error {
	if !strings.Contains(method, "permission") {
		reply.Records = []*subjectv1.ExportedRecord{{Kind: "words", Json: `{"text":"said in ` + strings.Split(method, ".")[1] + `"}`}}
		return nil
	}
	if s.failed > 0 {
		s.failed--
		return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "the other page will come")
	}
	grant := func(id string) []*subjectv1.ExportedRecord {
		return []*subjectv1.ExportedRecord{{Kind: "grants", Json: fmt.Sprintf(`{"name":%q,"subject":%q}`, id, req.GetSubject())}}
	}
	switch req.GetPageToken() {
	case "":
		reply.Records, reply.NextPageToken = grant("g1"), "second"
		s.failed++ // once
	case "second":
		reply.Records = grant("g2")
	}
	return nil
}

// download returns the records that a request brought together, as text.
func (p *process) download(ctx context.Context, request string) (records []string, err error) {
	stream, err := p.rights().DownloadSubjectData(ctx, &identityv1.DownloadSubjectDataRequest{Name: request})
	for err == nil {
		var resp *identityv1.DownloadSubjectDataResponse
		if resp, err = stream.Recv(); err == nil {
			text, jsonErr := resp.GetRecord().MarshalJSON()
			if jsonErr != nil {
				p.t.Fatal(jsonErr)
			}
			records = append(records, resp.GetService()+" "+resp.GetKind()+" "+string(text))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return records, err
}

// collected waits until what a request asks for is put together.
func (p *process) collected(ctx context.Context, request string) (q *identityv1.DataSubjectRequest) {
	p.t.Helper()
	p.until(func() bool {
		q = p.asked(ctx, request)
		return q.GetAccess().GetReadyTime() != nil
	})
	return q
}

// rowsOf counts the rows of tables.
func (p *process) rowsOf(tables ...string) (n int) {
	p.t.Helper()
	if err := p.raw.View(context.Background(), func(r kv.Reader) error {
		n = 0
		for _, table := range tables {
			for _, err := range r.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				n++
			}
		}
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// TestDownloadSubjectData_hasAllOfOneCustomer: what there is in every service, of
// nobody else, to who has proven lately who they are, and for as long as it says.
//
// long: all that there is of one customer, and the ways to it that are shut.
func TestDownloadSubjectData_hasAllOfOneCustomer(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada Lovelace", Email: "ada@example.com"})
		other, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Another", Email: "other@example.com"})
		for i := range 3 {
			p.order(ctx, c.GetName(), bought(fmt.Sprint("N-", i), i, 4))
			p.order(ctx, other.GetName(), bought(fmt.Sprint("M-", i), i, 4))
		}
		p.purpose(ctx, "newsletter", onConsent)
		p.grant(ctx, c.GetName(), "newsletter")
		asAda := with(tokens)
		q, err := p.ask(asAda, c.GetName(), toSee, "")
		if err != nil || q.GetAccess() == nil {
			t.Fatalf("the request is %v, %v", q, err)
		}
		q = p.collected(ctx, q.GetName())
		if q.GetState() != isDone || q.GetAccess().GetExpireTime().AsTime().Sub(q.GetAccess().GetReadyTime().AsTime()) != 14*24*time.Hour {
			t.Errorf("the request is %v", q)
		}
		records, err := p.download(asAda, q.GetName())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(records, "\n")
		for _, want := range []string{"identity customers ", "Ada Lovelace", "ada@example.com", "N-0", "N-1", "N-2", "lantern", "identity consents ", "form 7", "identity sessions ",
			"identity deliveries ", "identity timeline_events ", "identity data_subject_requests ", "groupchat words ", "said in feedback", `permission grants {"name":"g1"`, `permission grants {"name":"g2"`} {
			if !strings.Contains(text, want) {
				t.Errorf("there is no %q in what was put together:\n%s", want, text)
			}
		}
		for _, not := range []string{"M-", "Another", "other@example.com", "etag"} {
			if strings.Contains(text, not) {
				t.Errorf("there is %q in what was put together", not)
			}
		}
		var says []string
		for _, part := range q.GetAccess().GetParts() {
			says = append(says, fmt.Sprint(part.GetService(), " ", part.GetKind(), " ", part.GetCount()))
		}
		if got := strings.Join(says, ", "); !strings.Contains(got, "identity orders 3") || !strings.Contains(got, "permission grants 2") {
			t.Errorf("there is said to be %s", got)
		}
		_, err = p.download(with(p.later(tokens)), q.GetName())
		wantError(t, err, errs.Unauthenticated, "STEP_UP_REQUIRED")
		_, err = p.download(p.relogin(), c.GetName()+"/dataSubjectRequests/none")
		wantError(t, err, errs.NotFound, "DATA_SUBJECT_REQUEST_NOT_FOUND")
		_, err = p.download(p.relogin(), "organizations/other/customers/c1/dataSubjectRequests/none")
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		p.clock.advance(14 * 24 * time.Hour)
		_, err = p.download(p.relogin(), q.GetName())
		wantError(t, err, errs.Precondition, "SUBJECT_DATA_EXPIRED")
	})
}

// TestDownloadSubjectData_staffHandItOver: what was asked by letter is put together
// once it is known who asks, and who has given it to the customer says so.
func TestDownloadSubjectData_staffHandItOver(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"}).GetName()
	q, err := p.ask(ctx, c, toSee, "by letter")
	if err != nil || q.GetAccess() != nil {
		t.Fatalf("before it is known who asks: %v, %v", q, err)
	}
	_, err = p.download(ctx, q.GetName())
	wantError(t, err, errs.Precondition, "SUBJECT_DATA_NOT_READY")
	if _, err := p.rights().VerifyIdentityOfDataSubject(ctx, &identityv1.VerifyIdentityOfDataSubjectRequest{
		Name: q.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_CONTACT,
	}); err != nil {
		t.Fatal(err)
	}
	if q = p.collected(ctx, q.GetName()); q.GetState() != identityv1.DataSubjectRequest_STATE_IN_PROGRESS {
		t.Errorf("before anybody handed it over it is %s", q.GetState())
	}
	if records, err := p.download(ctx, q.GetName()); err != nil || len(records) == 0 {
		t.Errorf("staff get %v, %v", records, err)
	}
	if q, err = p.rights().FulfilDataSubjectRequest(ctx, &identityv1.FulfilDataSubjectRequestRequest{Name: q.GetName(), Answer: "sent"}); err != nil || q.GetState() != isDone {
		t.Errorf("handed over: %v, %v", q, err)
	}
	// The next one takes its place; and one that is refused is not to be had.
	next, err := p.ask(ctx, c, toSee, "once more")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.rights().VerifyIdentityOfDataSubject(ctx, &identityv1.VerifyIdentityOfDataSubjectRequest{
		Name: next.GetName(), Proof: identityv1.DataSubjectRequest_PROOF_CONTACT,
	}); err != nil {
		t.Fatal(err)
	}
	p.collected(ctx, next.GetName())
	_, err = p.download(ctx, q.GetName())
	wantError(t, err, errs.Precondition, "SUBJECT_DATA_EXPIRED")
	if _, err := p.download(ctx, next.GetName()); err != nil {
		t.Errorf("the newer one: %v", err)
	}
	if _, err := p.rights().RefuseDataSubjectRequest(ctx, &identityv1.RefuseDataSubjectRequestRequest{
		Name: next.GetName(), Refusal: identityv1.DataSubjectRequest_REFUSAL_IDENTITY_NOT_PROVEN,
	}); err != nil {
		t.Fatal(err)
	}
	_, err = p.download(ctx, next.GetName())
	wantError(t, err, errs.Precondition, "SUBJECT_DATA_EXPIRED")
}

// TestTakeout_goesAwayInTime: what was put together is nowhere any more once it is
// past its time, once nobody asks for it, and once the customer is erased.
func TestTakeout_goesAwayInTime(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			p.grace(ctx, durationpb.New(0))
			kept, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
			q, err := p.ask(with(tokens), kept.GetName(), toSee, "")
			if err != nil {
				t.Fatal(err)
			}
			p.collected(ctx, q.GetName())
			gone, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Eve"})
			if q, err = p.ask(with(tokens), gone.GetName(), toSee, ""); err != nil {
				t.Fatal(err)
			}
			p.collected(ctx, q.GetName())
			erase, err := p.ask(with(tokens), gone.GetName(), erasure, "")
			if err != nil {
				t.Fatal(err)
			}
			p.until(func() bool { return p.asked(ctx, erase.GetName()).GetState() == isDone })
			_, err = p.download(ctx, q.GetName())
			wantError(t, err, errs.Precondition, "SUBJECT_DATA_EXPIRED")
			p.permission.failErasures(1000) // and exports
			loser, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Bob"})
			if q, err = p.ask(with(tokens), loser.GetName(), toSee, ""); err != nil {
				t.Fatal(err)
			}
			takeouts := func() int { return p.rowsOf("takeouts", "takeout_pages") }
			p.until(func() bool { return takeouts() == 6+4 }) // five pages and what is known of them; three, and the same
			if _, err := p.rights().WithdrawDataSubjectRequest(ctx, &identityv1.WithdrawDataSubjectRequestRequest{Name: q.GetName()}); err != nil {
				t.Fatal(err)
			}
			p.until(func() bool { return takeouts() == 6 })
			p.close()
			h.clock.advance(14 * 24 * time.Hour)
			p = h.start(config())
			p.relogin()
			p.until(func() bool { return p.rowsOf("takeouts", "takeout_pages") == 0 })
		})
	}
}
