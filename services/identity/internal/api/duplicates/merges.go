package duplicates

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/merge"
	"guildhall.dev/services/identity/internal/merger"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/segment"
)

// mayMerge is what lets a caller make one customer of two.
const mayMerge = "identity.customers.merge"

// classAttribute is that of attributes; see classOf for the other fields.
const classAttribute = "attribute"

// merges implements MergeService.
type merges struct{ server }

// MergeCustomers makes two accounts one, or says what that would come to.
func (s merges) MergeCustomers(ctx context.Context, req *identityv1.MergeCustomersRequest) (*identityv1.MergeRecord, error) {
	ids, err := account.CustomerPattern.Parse("name", req.GetName())
	if err != nil {
		return nil, err
	}
	if err := account.CustomerPattern.Check("duplicate", req.GetDuplicate()); err != nil {
		return nil, err
	}
	if resource.Parent(req.GetName()) != resource.Parent(req.GetDuplicate()) {
		return nil, errs.NotFoundName("CUSTOMER_NOT_FOUND", req.GetDuplicate())
	}
	if err := s.May(ctx, mayMerge, req.GetDuplicate()); err != nil {
		return nil, err
	}
	seen, err := s.both(ctx, req.GetName(), req.GetDuplicate())
	if err != nil {
		return nil, err
	}
	if err := checkSeen(req, seen); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	asked := merger.Asked{
		Survivor: req.GetName(), Duplicate: req.GetDuplicate(), Etag: req.GetEtag(), DuplicateEtag: req.GetDuplicateEtag(),
		Chosen: req.GetDuplicateFields(), Reason: req.GetReason(), Actor: caller.Name,
	}
	if req.GetValidateOnly() {
		m, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.MergeRecord, error) {
			return view(s.Merger.Rehearse(r, asked))
		})
		return withhold(m, seen), err
	}
	m, moved, err := api.Permitted(ctx, s.Centres, req, func(tx *change.Tx, permit segment.Permit) (*identityv1.MergeRecord, error) {
		id, err := tx.IDOr("merge_record_id", req.GetMergeRecordId())
		if err != nil {
			return nil, err
		}
		asked.Name = merge.Pattern.Format(ids[0], id)
		return view(s.Merger.Begin(tx, asked, permit))
	})
	if moved {
		m, err = api.Heard(ctx, s.Centres, m, err)
	}
	m, err = api.Everywhere(ctx, s.Centres, req.GetDuplicate(), m, err)
	return withhold(m, seen), err
}

// both returns what is hidden from the caller of two customers, whom it has to see.
func (s merges) both(ctx context.Context, survivor, duplicate string) (map[string]api.Hidden, error) {
	names := slices.Compact(slices.Sorted(slices.Values([]string{survivor, duplicate})))
	seen, err := s.Seen(ctx, mayGet, names, classes()...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := seen[name]; !ok {
			return nil, errs.NotFoundName("CUSTOMER_NOT_FOUND", name)
		}
	}
	return seen, nil
}

// classes are the classes of data that a merge brings below another customer.
func classes() []string {
	return []string{classContact, classIdentity, classAttribute, classNote, "purchase", "feedback", "message", "device"}
}

// classOfPath returns the class of data that a field of a customer is of, "" of none.
func classOfPath(path string) string {
	switch path {
	case "email", "phone":
		return classContact
	case "display_name", "external_id":
		return classIdentity
	}
	if strings.HasPrefix(path, "attributes.") {
		return classAttribute
	}
	return ""
}

// checkSeen refuses to choose what the caller does not see of either, and a merge that
// would show it on the survivor what it does not see of the duplicate.
func checkSeen(req *identityv1.MergeCustomersRequest, seen map[string]api.Hidden) error {
	survivor, duplicate := seen[req.GetName()], seen[req.GetDuplicate()]
	for _, path := range req.GetDuplicateFields() {
		if class := classOfPath(path); survivor[class] || duplicate[class] {
			return restricted("duplicate_fields", class)
		}
	}
	for _, class := range classes() {
		if duplicate[class] && !survivor[class] {
			return restricted("duplicate", class)
		}
	}
	return nil
}

func restricted(field, class string) error {
	const reason, text = "FIELD_RESTRICTED", "your organisation keeps a part of this data from you, so you can neither choose it nor bring it to where you see it; ask somebody who sees both customers in full"
	return errs.New(errs.Denied, reason, text, errs.Meta("data_class", class), errs.Field(field, reason, text))
}

// withhold takes the fields out of what differs of which a value is hidden from the
// caller on either. Values themselves are masked with the customers.
func withhold(m *identityv1.MergeRecord, seen map[string]api.Hidden) *identityv1.MergeRecord {
	if m == nil {
		return nil
	}
	survivor, duplicate := seen[m.GetSurvivor()], seen[m.GetDuplicate()]
	hidden := func(path string) bool {
		class := classOfPath(strings.TrimPrefix(path, "duplicate."))
		return survivor[class] || duplicate[class]
	}
	out := proto.CloneOf(m)
	for _, paths := range []*[]string{&out.DifferingFields, &out.DuplicateFields, &out.KeptFields} {
		*paths = slices.DeleteFunc(*paths, hidden)
	}
	if survivor[classNote] || duplicate[classNote] {
		out.Reason = ""
	}
	return out
}

// view returns the API's view of a merge.
func view(k merge.Known, err error) (*identityv1.MergeRecord, error) {
	if err != nil {
		return nil, err
	}
	out := proto.CloneOf(k.Record)
	out.Etag = k.Etag
	customer := func(a *storev1.Account) *identityv1.Customer {
		if a == nil {
			return nil
		}
		return api.Customer(kv.Record[*storev1.Account]{Value: a})
	}
	out.FormerSurvivor, out.MergedSurvivor, out.FormerDuplicate = customer(k.GetFormer()), customer(k.GetResult()), customer(k.GetDuplicate())
	return out, nil
}

// GetMergeRecord returns a merge.
func (s merges) GetMergeRecord(ctx context.Context, req *identityv1.GetMergeRecordRequest) (*identityv1.MergeRecord, error) {
	m, _, err := s.get(ctx, req.GetName())
	return m, err
}

// get returns a merge, which is not there for who does not see both customers, and what
// is hidden of these.
func (s merges) get(ctx context.Context, name string) (*identityv1.MergeRecord, map[string]api.Hidden, error) {
	if err := merge.Pattern.Check("name", name); err != nil {
		return nil, nil, err
	}
	m, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.MergeRecord, error) { return view(s.Merges.Get(r, name)) })
	if err != nil {
		return nil, nil, err
	}
	seen, err := s.both(ctx, m.GetSurvivor(), m.GetDuplicate())
	if errs.Is(err, errs.NotFound) {
		err = errs.NotFoundName("MERGE_RECORD_NOT_FOUND", name)
	}
	if err != nil {
		return nil, nil, err
	}
	return withhold(m, seen), seen, nil
}

// ListMergeRecords returns a page of merges, the newest first.
func (s merges) ListMergeRecords(ctx context.Context, req *identityv1.ListMergeRecordsRequest) (*identityv1.ListMergeRecordsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := merge.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListMergeRecords", func(r kv.Reader, after []byte, limit int) ([]merge.Known, []byte, error) {
		return s.Merges.List(r, req.GetParent(), terms, after, limit)
	}, req.GetFilter())
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, k := range found {
		names[k.Record.GetSurvivor()], names[k.Record.GetDuplicate()] = true, true
	}
	resp := &identityv1.ListMergeRecordsResponse{NextPageToken: next}
	if len(names) == 0 {
		return resp, nil
	}
	seen, err := s.Seen(ctx, mayGet, slices.Sorted(maps.Keys(names)), classes()...)
	if err != nil {
		return nil, err
	}
	for _, k := range found {
		_, one := seen[k.Record.GetSurvivor()]
		_, other := seen[k.Record.GetDuplicate()]
		if m, err := view(k, nil); err == nil && one && other {
			resp.MergeRecords = append(resp.MergeRecords, withhold(m, seen))
		}
	}
	return resp, nil
}

// UndoMerge makes two accounts of one again. The duplicate has left its segments, and
// must not act before permission has heard that.
func (s merges) UndoMerge(ctx context.Context, req *identityv1.UndoMergeRequest) (*identityv1.MergeRecord, error) {
	m, seen, err := s.get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	for _, customer := range []string{m.GetSurvivor(), m.GetDuplicate()} {
		if err := s.May(ctx, mayMerge, customer); err != nil {
			return nil, err
		}
	}
	if err := s.InStep(ctx); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	undone, moved, err := api.Permitted(ctx, s.Centres, req, func(tx *change.Tx, permit segment.Permit) (*identityv1.MergeRecord, error) {
		return view(s.Merger.Undo(tx, req.GetName(), req.GetEtag(), caller.Name, permit))
	})
	if moved {
		undone, err = api.Heard(ctx, s.Centres, undone, err)
	}
	undone, err = api.Everywhere(ctx, s.Centres, m.GetDuplicate(), undone, err)
	return withhold(undone, seen), err
}
