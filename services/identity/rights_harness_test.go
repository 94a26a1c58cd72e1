package identity_test

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// The kinds and states of requests, for short.
const (
	erasure = identityv1.DataSubjectRequest_KIND_ERASE
	rectify = identityv1.DataSubjectRequest_KIND_RECTIFY
)

// erase is what the sisters answer: each the same receipt each time, of two records
// of a kind that only it has.
func (s *permission) erase(method, subject string, reply *subjectv1.EraseSubjectResponse) error {
	if s.erased == nil {
		s.erased = map[string]int{}
	}
	s.erased[subject]++
	if s.failed > 0 {
		s.failed--
		return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "half of it is done")
	}
	service := strings.Split(method, ".")[1] // "/guildhall.groupchat.v1.…"
	kind := map[string]string{"permission": "grants", "groupchat": "messages", "feedback": "responses"}[service]
	reply.Receipt = &subjectv1.ErasureReceipt{
		Service: service, Subject: subject, Kinds: []*subjectv1.ErasedKind{{Kind: kind, Count: 2}},
		CompleteTime: timestamppb.New(orderDay), Digest: "d",
	}
	return nil
}

// failErasures lets so many erasures fail.
func (s *permission) failErasures(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = n
}

func (p *process) rights() identityv1.DataSubjectRequestServiceClient {
	return identityv1.NewDataSubjectRequestServiceClient(p.conn)
}

func (p *process) legalHolds() identityv1.LegalHoldServiceClient {
	return identityv1.NewLegalHoldServiceClient(p.conn)
}

// ask makes a request for a customer.
func (p *process) ask(ctx context.Context, customer string, kind identityv1.DataSubjectRequest_Kind, note string) (*identityv1.DataSubjectRequest, error) {
	return p.rights().CreateDataSubjectRequest(ctx, &identityv1.CreateDataSubjectRequestRequest{
		Parent: customer, DataSubjectRequest: &identityv1.DataSubjectRequest{Kind: kind, Note: note},
	})
}

// grace sets how long erasures wait.
func (p *process) grace(ctx context.Context, d *durationpb.Duration) {
	p.t.Helper()
	if _, err := p.rights().UpdateDataSubjectPolicy(ctx, &identityv1.UpdateDataSubjectPolicyRequest{
		DataSubjectPolicy: &identityv1.DataSubjectPolicy{Name: org + "/dataSubjectPolicy", GracePeriod: d},
	}); err != nil {
		p.t.Fatal(err)
	}
}

// asked returns a request as it is now.
func (p *process) asked(ctx context.Context, name string) *identityv1.DataSubjectRequest {
	p.t.Helper()
	q, err := p.rights().GetDataSubjectRequest(ctx, &identityv1.GetDataSubjectRequestRequest{Name: name})
	if err != nil {
		p.t.Fatal(err)
	}
	return q
}

// hold puts a hold on a customer.
func (p *process) hold(ctx context.Context, customer string, until *timestamppb.Timestamp) *identityv1.LegalHold {
	p.t.Helper()
	h, err := p.legalHolds().CreateLegalHold(ctx, &identityv1.CreateLegalHoldRequest{
		Parent: org, LegalHold: &identityv1.LegalHold{Customer: customer, Reason: "case Lovelace", ExpireTime: until},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// relogin logs the administrator in once more.
func (p *process) relogin() context.Context {
	p.t.Helper()
	tokens, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword})
	if err != nil {
		p.t.Fatal(err)
	}
	return with(tokens)
}

// gone returns the error of a look at a customer.
func (p *process) gone(ctx context.Context, name string) error {
	return second(p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: name}))
}

// erased reports whether a customer is a tombstone.
func (p *process) erased(ctx context.Context, name string) bool {
	c, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: name})
	return err == nil && c.GetState() == identityv1.AccountState_ACCOUNT_STATE_ERASED
}

// holding returns, for each text, the tables of a process that was closed that hold
// it, looked at through the seal: in keys and in values.
func (p *process) holding(texts ...string) map[string][]string {
	p.t.Helper()
	store, where := p.ring.Wrap(p.reopen()), map[string][]string{}
	for _, text := range texts {
		if found := servetest.Holding(p.t, store, p.tables, text); len(found) > 0 {
			where[text] = found
		}
	}
	return where
}
