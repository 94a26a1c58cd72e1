package timelines

import (
	"context"
	"slices"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/interaction"
	"guildhall.dev/services/identity/internal/task"
)

// How much of each there is in a view; see CustomerView.
const (
	mostConsents     = 50
	lastInteractions = 5
	lastEvents       = 20
	mostOpen         = 100
	complaintEvents  = 200
)

// part is a part of a view.
type part struct {
	// field is its name, and need what a caller has to hold to have it.
	field string
	need  api.Question
	// read sets it.
	read func(r kv.Reader, v *identityv1.CustomerView) error
}

// GetCustomerView returns what the caller may know of a customer. A deleted one can be
// viewed until it is purged.
func (s server) GetCustomerView(ctx context.Context, req *identityv1.GetCustomerViewRequest) (*identityv1.CustomerView, error) {
	customer := req.GetName()
	if err := account.CustomerPattern.Check("name", customer); err != nil {
		return nil, err
	}
	v := &identityv1.CustomerView{Name: customer}
	events := part{field: "timeline_events", need: api.Question{Permission: "identity.timelineEvents.list", Resource: customer}}
	granted, err := s.granted(ctx, append(s.parts(customer), events), v)
	if err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		if _, err := s.Accounts.Get(r, customer); err != nil {
			return err
		}
		v.Open = &identityv1.CustomerView_OpenCounts{}
		for _, p := range granted {
			if p.read == nil {
				continue
			}
			if err := p.read(r, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || slices.Contains(v.GetWithheld(), events.field) {
		return v, err
	}
	if v.TimelineEvents, _, err = s.visible(ctx, customer, nil, nil, lastEvents); err != nil {
		return nil, err
	}
	v.Coverage, err = s.coverage(ctx)
	return v, err
}

// granted returns the parts that the caller may have, and names the others in the view.
func (s server) granted(ctx context.Context, parts []part, v *identityv1.CustomerView) (out []part, _ error) {
	questions := make([]api.Question, len(parts))
	for i, p := range parts {
		questions[i] = p.need
	}
	held, err := s.Held(ctx, questions)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if held[p.need] {
			out = append(out, p)
		} else {
			v.Withheld = append(v.Withheld, p.field)
		}
	}
	return out, nil
}

// parts are those that are read of identity's own, in the order of the view's fields.
func (s server) parts(customer string) []part {
	organization := resource.Parent(customer)
	return []part{
		{"customer", api.Question{Permission: "identity.customers.get", Resource: customer}, s.record},
		{"ownership", api.Question{Permission: "identity.ownerships.get", Resource: customer + "/ownership"}, func(r kv.Reader, v *identityv1.CustomerView) (err error) {
			v.Ownership, err = s.OwnershipOf(r, customer)
			return err
		}},
		{"purchases", api.Question{Permission: "identity.purchaseSummaries.get", Resource: customer + "/purchaseSummary"}, func(r kv.Reader, v *identityv1.CustomerView) (err error) {
			v.Purchases, err = s.Orders.Summary(r, customer)
			return err
		}},
		{"consents", api.Question{Permission: "identity.consents.list", Resource: customer}, func(r kv.Reader, v *identityv1.CustomerView) (err error) {
			v.Consents, _, err = s.Consents.List(r, customer, nil, mostConsents)
			return err
		}},
		{"interactions", api.Question{Permission: "identity.interactions.list", Resource: customer}, func(r kv.Reader, v *identityv1.CustomerView) (err error) {
			v.Interactions, _, err = s.Interactions.List(r, interaction.Query{Parent: customer, Limit: lastInteractions})
			return err
		}},
		{"open.task_count", api.Question{Permission: "identity.tasks.list", Resource: organization}, s.tasks},
		{"open.data_subject_request_count", api.Question{Permission: "identity.dataSubjectRequests.list", Resource: customer}, s.requests},
		{"open.complaint_count", api.Question{Permission: "feedback.complaints.list", Resource: customer}, s.complaints},
	}
}

func (s server) record(r kv.Reader, v *identityv1.CustomerView) error {
	rec, err := s.Accounts.Get(r, v.GetName())
	if err == nil {
		v.Customer = api.Customer(rec)
	}
	return err
}

func (s server) tasks(r kv.Reader, v *identityv1.CustomerView) (err error) {
	terms := filter.Terms{{Field: "customer", Op: filter.Equal, Text: v.GetName()}, {Field: "state", Op: filter.Equal, Text: "OPEN"}}
	v.Open.TaskCount, err = count(func(after []byte, limit int) ([]*identityv1.Task, []byte, error) {
		return s.Tasks.List(r, task.Query{Parent: resource.Parent(v.GetName()), Filter: terms, After: after, Limit: limit})
	})
	return err
}

func (s server) requests(r kv.Reader, v *identityv1.CustomerView) (err error) {
	terms := filter.Terms{{Field: "open", Op: filter.Equal, Bool: true}}
	v.Open.DataSubjectRequestCount, err = count(func(after []byte, limit int) ([]*identityv1.DataSubjectRequest, []byte, error) {
		return s.Rights.List(r, v.GetName(), terms, s.Clock(), after, limit)
	})
	return err
}

// complaints counts those that the timeline knows no end of.
func (s server) complaints(r kv.Reader, v *identityv1.CustomerView) error {
	states, err := s.Timeline.States(r, v.GetName(), identityv1.TimelineEvent_KIND_COMPLAINT, complaintEvents)
	for _, state := range states {
		if state != "CLOSED" && state != "WITHDRAWN" && v.GetOpen().GetComplaintCount() < mostOpen {
			v.Open.ComplaintCount++
		}
	}
	return err
}

// count returns how many a list has, at most mostOpen.
func count[T any](list func(after []byte, limit int) ([]T, []byte, error)) (n int32, err error) {
	for after, more := []byte(nil), true; more && n < mostOpen; more = after != nil {
		var some []T
		if some, after, err = list(after, mostOpen-int(n)); err != nil {
			return 0, err
		}
		n += int32(len(some))
	}
	return n, nil
}
