package authz

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/datamask"
)

// Disclosure is a question: how does the caller see these classes of data on
// each of these resources?
type Disclosure struct {
	Caller authn.Caller
	// Classes and Resources: at least one of each, without duplicates.
	Classes, Resources []string
}

// Known returns what conditions of grants may look at in the answer: what is
// known of the running call. Nil is nothing.
func (d Disclosure) Known(ctx context.Context) *permissionv1.Attributes { return attributesOf(ctx) }

// Discloser answers from field policies and grants. It is safe for concurrent
// use.
type Discloser interface {
	// Disclose returns one sight for each class on the first resource, in the
	// order asked, then on the next. When it cannot know, the error is
	// Unavailable (PERMISSION_UNAVAILABLE) and nothing may be shown.
	Disclose(ctx context.Context, d Disclosure) ([]datamask.Sight, error)
}

// disclosedAtOnce is how many resources one question to the permission service
// has; see DiscloseRequest.
const disclosedAtOnce = 1000

// RemoteDiscloser returns a Discloser that asks the permission service over
// conn. Like Remote it fails closed.
func RemoteDiscloser(conn grpc.ClientConnInterface) Discloser {
	return &discloser{client: permissionv1.NewFieldPolicyServiceClient(conn)}
}

type discloser struct {
	client permissionv1.FieldPolicyServiceClient
}

func (r *discloser) Disclose(ctx context.Context, d Disclosure) ([]datamask.Sight, error) {
	bounded, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	all := make([]datamask.Sight, 0, len(d.Classes)*len(d.Resources))
	for resources := range slices.Chunk(d.Resources, disclosedAtOnce) {
		answer, err := r.client.Disclose(bounded, &permissionv1.DiscloseRequest{
			Parent: d.Caller.Organization(), Subject: d.Caller.Name, Session: d.Caller.Session,
			DataClasses: d.Classes, Resources: resources, Attributes: d.Known(ctx),
		})
		if err == nil && len(answer.GetSights()) != len(d.Classes)*len(resources) {
			err = errors.New("the permission service answered another number of sights")
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, unknowable(err)
		}
		for _, s := range answer.GetSights() {
			all = append(all, datamask.Sight{Visibility: s.GetVisibility(), Mask: s.GetMask(), Key: s.GetHashKey()})
		}
	}
	return all, nil
}
