package identity_test

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// moveSubject is what the sisters answer: each has one record of everybody.
func (s *permission) moveSubject(method string, req *subjectv1.MoveSubjectRequest, reply *subjectv1.MoveSubjectResponse) error {
	if s.still > 0 {
		s.still--
		return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "half of it is done")
	}
	service := strings.Split(method, ".")[1]
	way := " > "
	if req.GetUndo() {
		way = " < "
	}
	s.moved = append(s.moved, service+" "+shortOf(req.GetFrom())+way+shortOf(req.GetTo()))
	reply.Receipt = &subjectv1.MoveReceipt{
		Service: service, Merge: req.GetMerge(), From: req.GetFrom(), To: req.GetTo(), Undone: req.GetUndo(),
		Kinds: []*subjectv1.MovedKind{{Kind: "things", Count: 1}}, CompleteTime: timestamppb.New(orderDay),
	}
	return nil
}

// stayPut lets so many moves fail.
func (s *permission) stayPut(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.still = n
}

// movedBy returns what the sisters moved, in order, each once.
func (s *permission) movedBy() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(s.moved))), ", ")
}

// shortOf returns the last segment of a name.
func shortOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (p *process) merges() identityv1.MergeServiceClient {
	return identityv1.NewMergeServiceClient(p.conn)
}

// asksMerge is a request to merge c2 into c1.
func asksMerge(fields ...string) *identityv1.MergeCustomersRequest {
	return &identityv1.MergeCustomersRequest{Name: org + "/customers/c1", Duplicate: org + "/customers/c2", DuplicateFields: fields, MergeRecordId: "m1"}
}

// merged merges c2 into c1 and waits until all has moved.
func (p *process) merged(ctx context.Context, fields ...string) *identityv1.MergeRecord {
	p.t.Helper()
	m, err := p.merges().MergeCustomers(ctx, asksMerge(fields...))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.comes(ctx, m.GetName(), identityv1.MergeRecord_STATE_MERGED)
}

// undone undoes a merge and waits until all is back.
func (p *process) undone(ctx context.Context, name string) *identityv1.MergeRecord {
	p.t.Helper()
	if _, err := p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: name}); err != nil {
		p.t.Fatal(err)
	}
	return p.comes(ctx, name, identityv1.MergeRecord_STATE_UNDONE)
}

// comes waits until a merge is in a state.
func (p *process) comes(ctx context.Context, name string, state identityv1.MergeRecord_State) (m *identityv1.MergeRecord) {
	p.t.Helper()
	p.until(func() bool {
		m = p.mergeRecord(ctx, name)
		return m.GetState() == state
	})
	return m
}

func (p *process) mergeRecord(ctx context.Context, name string) *identityv1.MergeRecord {
	p.t.Helper()
	m, err := p.merges().GetMergeRecord(ctx, &identityv1.GetMergeRecordRequest{Name: name})
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// kindsMoved returns "kind count" of what a merge moved here.
func kindsMoved(m *identityv1.MergeRecord) string {
	var out []string
	for _, k := range m.GetMoved() {
		out = append(out, k.GetKind()+" "+string(rune('0'+k.GetCount()%10)))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// portrait returns all that staff see of a customer, in lines, without what each write
// changes. Histories that a merge adds to are not in it.
//
// long: one list after the other.
func (p *process) portrait(ctx context.Context, customer string) string {
	p.t.Helper()
	var lines []string
	add := func(err error, all ...proto.Message) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, m := range all {
			m = proto.Clone(m)
			for _, field := range []protoreflect.Name{"etag", "update_time"} {
				if fd := m.ProtoReflect().Descriptor().Fields().ByName(field); fd != nil {
					m.ProtoReflect().Clear(fd)
				}
			}
			text, err := protojson.Marshal(m)
			if err != nil {
				p.t.Fatal(err)
			}
			lines = append(lines, strings.ReplaceAll(string(text), " ", ""))
		}
	}
	c, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: customer})
	add(err, c)
	orders, err := p.orders().ListOrders(ctx, &identityv1.ListOrdersRequest{Parent: customer})
	add(err, messages(orders.GetOrders())...)
	sum, err := p.orders().GetPurchaseSummary(ctx, &identityv1.GetPurchaseSummaryRequest{Name: customer + "/purchaseSummary"})
	add(err, sum)
	spoken, err := p.interactions().ListInteractions(ctx, &identityv1.ListInteractionsRequest{Parent: customer})
	add(err, messages(spoken.GetInteractions())...)
	tally, err := p.interactions().SummarizeInteractions(ctx, &identityv1.SummarizeInteractionsRequest{Parent: customer, StartMonth: "2026-01", EndMonth: "2026-12"})
	add(err, tally)
	holds, err := p.consents().ListConsents(ctx, &identityv1.ListConsentsRequest{Parent: customer})
	add(err, messages(holds.GetConsents())...)
	records, err := p.consents().ListConsentRecords(ctx, &identityv1.ListConsentRecordsRequest{Parent: customer})
	add(err, messages(records.GetConsentRecords())...)
	tasks, err := p.tasks().ListTasks(ctx, &identityv1.ListTasksRequest{Parent: org, Filter: `customer = "` + customer + `"`})
	add(err, messages(tasks.GetTasks())...)
	stages, err := p.stages().ListStageTransitions(ctx, &identityv1.ListStageTransitionsRequest{Parent: customer})
	add(err, messages(stages.GetStageTransitions())...)
	kept, err := p.legalHolds().ListLegalHolds(ctx, &identityv1.ListLegalHoldsRequest{Parent: org, Filter: `customer = "` + customer + `"`})
	add(err, messages(kept.GetLegalHolds())...)
	asked, err := p.rights().ListDataSubjectRequests(ctx, &identityv1.ListDataSubjectRequestsRequest{Parent: customer})
	add(err, messages(asked.GetDataSubjectRequests())...)
	lists, err := p.segments().ListSegmentMemberships(ctx, &identityv1.ListSegmentMembershipsRequest{Parent: customer})
	for _, m := range lists.GetSegmentMemberships() {
		lines = append(lines, "in "+shortOf(strings.TrimSuffix(m.GetName(), "/members/"+shortOf(m.GetName()))))
	}
	add(err)
	return strings.Join(lines, "\n")
}

func messages[T proto.Message](of []T) (out []proto.Message) {
	for _, m := range of {
		out = append(out, m)
	}
	return out
}

// two are the customers c1 and c2 of one person, of whom c2 has everything there is.
func (p *process) two(ctx context.Context) (first, second string) {
	p.t.Helper()
	if _, err := p.tags().CreateTagGroup(ctx, &identityv1.CreateTagGroupRequest{Parent: org, TagGroupId: "loyalty", TagGroup: &identityv1.TagGroup{DisplayName: "Loyalty", Exclusive: true}}); err != nil {
		p.t.Fatal(err)
	}
	tags := map[string]string{}
	for _, id := range []string{"gold", "silver"} {
		made, err := p.tags().CreateTag(ctx, &identityv1.CreateTagRequest{Parent: org + "/tagGroups/loyalty", TagId: id, Tag: &identityv1.Tag{DisplayName: id}})
		if err != nil {
			p.t.Fatal(err)
		}
		tags[id] = made.GetName()
	}
	p.purpose(ctx, "newsletter", identityv1.LawfulBasis_LAWFUL_BASIS_CONSENT)
	owner, _ := p.colleague(ctx, "bob")
	first = p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com", Tags: []string{tags["gold"]}}).GetName()
	second = p.add(ctx, "c2", &identityv1.Customer{
		DisplayName: "Ada Lovelace", Email: "countess@example.com", Phone: "+8613800138000", ExternalId: "K-1", Country: "UK", Tags: []string{tags["silver"]},
	}).GetName()
	if err := p.assign(ctx, second, owner); err != nil {
		p.t.Fatal(err)
	}
	p.order(ctx, first, bought("N-1", 0, 1))
	sale := p.order(ctx, second, bought("N-2", 2, 3))
	back := bought("N-3", 3, -1)
	back.ReturnedOrder = sale.GetName()
	p.order(ctx, second, back)
	p.interaction(ctx, first, spoke("lamps", 0))
	p.interaction(ctx, second, spoke("oil", 1))
	p.task(ctx, "ring", &identityv1.Task{Customer: second})
	p.grant(ctx, first, "newsletter")
	if err := p.transition(ctx, second, identityv1.LifecycleStage_LIFECYCLE_STAGE_PROSPECT); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.ask(ctx, second, rectify, "wrong name"); err != nil {
		p.t.Fatal(err)
	}
	list := p.segment(ctx, "vip", "").GetName()
	if err := p.list(ctx, list, second); err != nil {
		p.t.Fatal(err)
	}
	return first, second
}
