package identity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) segments() identityv1.SegmentServiceClient {
	return identityv1.NewSegmentServiceClient(p.conn)
}

// segment makes a segment: a fixed list without a rule.
func (p *process) segment(ctx context.Context, id, rule string) *identityv1.Segment {
	p.t.Helper()
	s := &identityv1.Segment{DisplayName: id, Kind: identityv1.Segment_KIND_FIXED, Rule: rule}
	if rule != "" {
		s.Kind = identityv1.Segment_KIND_RULE
	}
	made, err := p.segments().CreateSegment(ctx, &identityv1.CreateSegmentRequest{Parent: org, SegmentId: id, Segment: s})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// add makes a customer of an id.
func (p *process) add(ctx context.Context, id string, c *identityv1.Customer) *identityv1.Customer {
	p.t.Helper()
	made, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: id, Customer: c})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// members returns the ids of a segment's members, in order.
func (p *process) members(ctx context.Context, segment string) string {
	p.t.Helper()
	var ids []string
	for token := ""; ; {
		resp, err := p.segments().ListSegmentMembers(ctx, &identityv1.ListSegmentMembersRequest{Parent: segment, PageSize: 2, PageToken: token})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, m := range resp.GetSegmentMembers() {
			ids = append(ids, strings.TrimPrefix(m.GetCustomer(), org+"/customers/"))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return strings.Join(ids, " ")
		}
	}
}

// evaluated waits until the evaluation of a segment is done.
func (p *process) evaluated(ctx context.Context, segment string) *identityv1.SegmentEvaluation {
	p.t.Helper()
	var e *identityv1.SegmentEvaluation
	p.until(func() bool {
		var err error
		e, err = p.segments().GetSegmentEvaluation(ctx, &identityv1.GetSegmentEvaluationRequest{Name: segment + "/evaluation"})
		if err != nil {
			p.t.Fatal(err)
		}
		return e.GetState() == identityv1.SegmentEvaluation_STATE_DONE
	})
	return e
}

// moves returns "+c1 CAUSE revision" of a segment's history.
func (p *process) moves(ctx context.Context, segment, customer string) string {
	p.t.Helper()
	resp, err := p.segments().ListSegmentMembershipChanges(ctx, &identityv1.ListSegmentMembershipChangesRequest{Parent: segment, Customer: customer})
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, c := range resp.GetSegmentMembershipChanges() {
		sign := "-"
		if c.GetJoined() {
			sign = "+"
		}
		all = append(all, fmt.Sprint(sign, strings.TrimPrefix(c.GetCustomer(), org+"/customers/"), " ",
			strings.TrimPrefix(c.GetCause().String(), "MEMBERSHIP_CAUSE_"), " ", c.GetRevision()))
	}
	return strings.Join(all, ", ")
}

// upload imports a file and returns the results of its lines.
func (p *process) upload(ctx context.Context, csv string) []*identityv1.ImportCustomersResponse {
	p.t.Helper()
	out, err := p.imported(ctx, csv)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// imported is upload with what the import ended with.
func (p *process) imported(ctx context.Context, csv string) (out []*identityv1.ImportCustomersResponse, _ error) {
	p.t.Helper()
	stream, err := p.customers().ImportCustomers(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, req := range []*identityv1.ImportCustomersRequest{
		{Content: &identityv1.ImportCustomersRequest_Options{Options: &identityv1.ImportOptions{Parent: org}}},
		{Content: &identityv1.ImportCustomersRequest_Data{Data: []byte(csv)}},
	} {
		if err := stream.Send(req); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		p.t.Fatal(err)
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, resp)
	}
}

// rewrite sets the fields of a customer that are not empty.
func (p *process) rewrite(ctx context.Context, c *identityv1.Customer) error {
	return second(p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: c}))
}

// list adds a customer to a fixed list.
func (p *process) list(ctx context.Context, segment, customer string) error {
	return second(p.segments().CreateSegmentMember(ctx, &identityv1.CreateSegmentMemberRequest{
		Parent: segment, SegmentMember: &identityv1.SegmentMember{Customer: customer},
	}))
}

// rerule gives a segment another rule.
func (p *process) rerule(ctx context.Context, segment, rule, request string) error {
	return second(p.segments().UpdateSegment(ctx, &identityv1.UpdateSegmentRequest{
		Segment: &identityv1.Segment{Name: segment, Rule: rule}, RequestId: request,
	}))
}
