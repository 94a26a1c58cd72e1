// Package duplicates serves identity's RPCs about customers who may be one person, and
// who are made one.
//
// Like package records it is a part of package api that stands apart: its handlers
// turn requests into calls of the centres. What they decide is what of the answer is
// the caller's to know, for it is about customers that the call is not made on.
package duplicates

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/duplicate"
	"guildhall.dev/services/identity/internal/organization"
)

// likely is the least score of what is found unless the caller says another one.
const likely = 0.5

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterDuplicateServiceServer(r, server{c})
	identityv1.RegisterMergeServiceServer(r, merges{server{c}})
}

// server implements DuplicateService.
type server struct{ *api.Centres }

// FindDuplicates returns who may be the same person as a customer.
func (s server) FindDuplicates(ctx context.Context, req *identityv1.FindDuplicatesRequest) (*identityv1.FindDuplicatesResponse, error) {
	if err := account.CustomerPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	// What speaks for a pair speaks of both.
	if err := s.May(ctx, mayGet, req.GetName()); err != nil {
		return nil, err
	}
	var pairs []duplicate.Pair
	var common []identityv1.DuplicateEvidence_Field
	if err := s.Store.View(ctx, func(r kv.Reader) (err error) {
		pairs, common, err = s.Duplicates.Of(r, req.GetName())
		return err
	}); err != nil {
		return nil, err
	}
	seen, err := s.look(ctx, pairs, req.GetName())
	if err != nil {
		return nil, err
	}
	resp := &identityv1.FindDuplicatesResponse{}
	for _, field := range common {
		if !hides(seen[req.GetName()], field) {
			resp.CommonFields = append(resp.CommonFields, field)
		}
	}
	for _, p := range pairs {
		if evidence, score := weigh(p, seen); score >= cmp.Or(req.GetMinScore(), likely) {
			resp.Candidates = append(resp.Candidates, &identityv1.DuplicateCandidate{Customer: api.Customer(p.Second), Score: score, Evidence: evidence})
		}
	}
	slices.SortFunc(resp.Candidates, func(a, b *identityv1.DuplicateCandidate) int {
		return cmp.Or(cmp.Compare(b.GetScore(), a.GetScore()), cmp.Compare(a.GetCustomer().GetName(), b.GetCustomer().GetName()))
	})
	return resp, nil
}

// ListDuplicatePairs returns a page of an organisation's pairs.
func (s server) ListDuplicatePairs(ctx context.Context, req *identityv1.ListDuplicatePairsRequest) (*identityv1.ListDuplicatePairsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	pairs, next, err := api.PageOf(ctx, s.Centres, req, "ListDuplicatePairs", func(r kv.Reader, after []byte, limit int) ([]duplicate.Pair, []byte, error) {
		return s.Duplicates.Pairs(r, req.GetParent(), after, limit)
	}, strconv.FormatFloat(req.GetMinScore(), 'g', -1, 64))
	if err != nil {
		return nil, err
	}
	seen, err := s.look(ctx, pairs)
	if err != nil {
		return nil, err
	}
	resp := &identityv1.ListDuplicatePairsResponse{NextPageToken: next}
	for _, p := range pairs {
		if evidence, score := weigh(p, seen); score >= cmp.Or(req.GetMinScore(), likely) {
			resp.DuplicatePairs = append(resp.DuplicatePairs, &identityv1.DuplicatePair{
				First: api.Customer(p.First), Second: api.Customer(p.Second), Score: score, Evidence: evidence,
			})
		}
	}
	return resp, nil
}
