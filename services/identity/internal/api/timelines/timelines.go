// Package timelines serves identity's RPCs about what happened to customers: their
// timelines, and the view of all that is known of one.
//
// Like package orders it is a part of package api that stands apart. What it answers
// is put together of what other RPCs answer, each under a permission of its own; so
// its handlers ask permission for those, all in one question for a page, and leave out
// what is not the caller's to see.
package timelines

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/chronicle"
	"guildhall.dev/services/identity/internal/timeline"
)

// rounds is how often a page that events were left out of is filled up.
const rounds = 4

// Register registers the service of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterTimelineServiceServer(r, server{c})
}

// server implements TimelineService.
type server struct{ *api.Centres }

// ListTimelineEvents returns a page of a customer's events. Those of a deleted customer
// can be read until it is purged.
func (s server) ListTimelineEvents(ctx context.Context, req *identityv1.ListTimelineEventsRequest) (*identityv1.ListTimelineEventsResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := timeline.ParseFilter(req.GetFilter(), s.Followers.Sources())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageBy(ctx, s.Centres, req, "ListTimelineEvents", func(after []byte, limit int) ([]*identityv1.TimelineEvent, []byte, error) {
		return s.visible(ctx, req.GetParent(), terms, after, limit)
	}, req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &identityv1.ListTimelineEventsResponse{TimelineEvents: found, NextPageToken: next}
	resp.Coverage, err = s.coverage(ctx)
	return resp, err
}

func (s server) coverage(ctx context.Context) (out []*identityv1.TimelineCoverage, err error) {
	err = s.Store.View(ctx, func(r kv.Reader) error {
		out, err = s.Followers.Coverage(r)
		return err
	})
	return out, err
}

// visible returns a page of those events of a customer that the caller may see, and
// where to go on behind it, nil at the end. Each round reads what the page has room
// for, so that no position says how many others there are.
func (s server) visible(ctx context.Context, customer string, terms filter.Terms, after []byte, limit int) (out []*identityv1.TimelineEvent, _ []byte, _ error) {
	for range rounds {
		var found []*identityv1.TimelineEvent
		err := s.Store.View(ctx, func(r kv.Reader) (err error) {
			if _, err := s.Accounts.Get(r, customer); err != nil {
				return err
			}
			found, after, err = s.Timeline.List(r, customer, terms, after, limit-len(out))
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		shown, err := s.shown(ctx, found)
		if err != nil {
			return nil, nil, err
		}
		if out = append(out, shown...); after == nil || len(out) == limit {
			break
		}
	}
	return out, after, nil
}

// shown returns those of some events that the caller may see, as it may see them.
func (s server) shown(ctx context.Context, events []*identityv1.TimelineEvent) (out []*identityv1.TimelineEvent, err error) {
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	var questions []api.Question
	known := make(map[api.Question]bool)
	for _, e := range events {
		for _, need := range chronicle.Needs(e) {
			if q := api.Question(need); !known[q] {
				known[q] = true
				questions = append(questions, q)
			}
		}
	}
	held, err := s.Held(ctx, questions)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if caller.Kind() == authn.Customer {
			e = chronicle.Own(e)
		}
		if e != nil && holds(held, chronicle.Needs(e)) {
			out = append(out, e)
		}
	}
	return out, nil
}

// holds reports whether all needs are held. What needs nothing nobody sees.
func holds(held map[api.Question]bool, needs []chronicle.Need) bool {
	for _, need := range needs {
		if !held[api.Question(need)] {
			return false
		}
	}
	return len(needs) > 0
}
