package api

import (
	"context"
	"errors"
	"slices"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// askedAtOnce is how many questions one call of permission has; see BatchCheckRequest.
const askedAtOnce = 1000

// Hidden are the classes of data that a caller does not see in full of a resource.
// Nil hides nothing.
type Hidden map[string]bool

// Seen returns those of some resources on which the caller holds a permission, and
// what of these classes of data is hidden from it there: for a handler that says
// something about resources that the call is not made on. The suite's own services
// see all. The error is Unavailable (PERMISSION_UNAVAILABLE) when there is no answer.
func (c *Centres) Seen(ctx context.Context, permission string, resources []string, classes ...string) (map[string]Hidden, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]Hidden, len(resources))
	if caller.Kind() == authn.System {
		for _, name := range resources {
			seen[name] = nil
		}
		return seen, nil
	}
	questions := make([]Question, len(resources))
	for i, name := range resources {
		questions[i] = Question{permission, name}
	}
	results, err := c.askAll(ctx, caller, questions)
	if err != nil {
		return nil, err
	}
	var restricted []string
	for i, result := range results {
		if !result.GetAllowed() {
			continue
		}
		seen[resources[i]] = nil
		if result.GetRestricted() {
			restricted = append(restricted, resources[i])
		}
	}
	return seen, c.hide(ctx, caller, seen, restricted, classes)
}

// Question is whether the caller holds a permission on a resource.
type Question struct{ Permission, Resource string }

// Held returns those of some questions that are answered yes, asked as Seen does. The
// suite's own services hold all. The error is Unavailable (PERMISSION_UNAVAILABLE) when
// there is no answer.
func (c *Centres) Held(ctx context.Context, questions []Question) (map[Question]bool, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	held := make(map[Question]bool, len(questions))
	var results []*permissionv1.CheckResult
	if caller.Kind() != authn.System {
		if results, err = c.askAll(ctx, caller, questions); err != nil {
			return nil, err
		}
	}
	for i, q := range questions {
		held[q] = results == nil || results[i].GetAllowed()
	}
	return held, nil
}

// askAll asks permission the questions of a caller, and returns the answers in their
// order.
func (c *Centres) askAll(ctx context.Context, caller authn.Caller, questions []Question) (out []*permissionv1.CheckResult, _ error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for some := range slices.Chunk(questions, askedAtOnce) {
		results, err := c.askEach(bounded, caller, some)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, unasked(err)
		}
		out = append(out, results...)
	}
	return out, nil
}

func (c *Centres) askEach(ctx context.Context, caller authn.Caller, questions []Question) ([]*permissionv1.CheckResult, error) {
	req := &permissionv1.BatchCheckRequest{Parent: caller.Organization()}
	known := authz.Request{Caller: caller}.Known(ctx)
	for _, q := range questions {
		req.Queries = append(req.Queries, &permissionv1.CheckQuery{
			Subject: caller.Name, Permission: q.Permission, Resource: q.Resource, Session: caller.Session, Attributes: known, Filtering: true,
		})
	}
	answer, err := c.Checks.BatchCheck(ctx, req)
	if err == nil && len(answer.GetResults()) != len(questions) {
		err = errors.New("the permission service answered another number of checks")
	}
	return answer.GetResults(), err
}

// hide adds what field policies hide of the resources that some restrict.
func (c *Centres) hide(ctx context.Context, caller authn.Caller, seen map[string]Hidden, restricted, classes []string) error {
	if len(restricted) == 0 {
		return nil
	}
	sights, err := c.Discloser.Disclose(ctx, authz.Disclosure{Caller: caller, Classes: classes, Resources: restricted})
	if err != nil {
		return err
	}
	for i, name := range restricted {
		seen[name] = make(Hidden, len(classes))
		for j, class := range classes {
			seen[name][class] = !sights[i*len(classes)+j].Full()
		}
	}
	return nil
}
