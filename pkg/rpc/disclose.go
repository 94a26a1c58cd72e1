package rpc

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/errs"
)

// reasonRestricted refuses to work with a field that the caller does not see in
// full.
const reasonRestricted = "FIELD_RESTRICTED"

// view is one call of a caller whose organisation restricts classes of data.
// What a call asks for passes it before the handler runs, and what it returns
// after. It is read-only.
//
// It begins with the check that admitted the call, which says whether there are
// field policies at all: where there are none, no call comes here. So a policy
// holds for every call that begins after it has returned, like a revocation.
type view struct {
	s         *server
	c         *call
	shape     *shape
	resources []string
	filtered  []string
}

// viewOf returns the view for a call on the resources with the request. Denied
// (FIELD_RESTRICTED) when the request filters by, changes or has revealed what
// the caller does not see in full: a filter tells by its matches what a mask
// hides, and who sends back a masked value would overwrite what he never saw.
func (s *server) viewOf(ctx context.Context, c *call, resources []string, request proto.Message) (*view, error) {
	v := &view{s: s, c: c, shape: s.shapes.of(c.method), resources: resources}
	uses := v.shape.uses(request.ProtoReflect())
	if len(uses) == 0 || len(resources) == 0 {
		return v, nil
	}
	var classes []string
	var asked []string
	for _, u := range uses {
		classes, asked = append(classes, u.class), append(asked, u.on(c, resources)...)
		if u.selects {
			v.filtered = append(v.filtered, u.class)
		}
	}
	sights, err := v.disclose(ctx, each(classes), each(asked))
	if err != nil {
		return nil, err
	}
	for _, u := range uses {
		for _, on := range u.on(c, resources) {
			if !sights.of(u.class, on).Full() {
				return nil, errs.New(errs.Denied, reasonRestricted,
					"your organisation keeps a part of this data from you, so you can neither search by it nor change it; leave the field out",
					errs.Meta("data_class", u.class), errs.Meta("resource", on), errs.Field(u.field, reasonRestricted, u.what))
			}
		}
	}
	return v, nil
}

// each returns names sorted, each once.
func each(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// shown runs the handler of a unary call of a restricted caller.
func (s *server) shown(ctx context.Context, c *call, resources []string, request proto.Message, handler grpc.UnaryHandler) (any, error) {
	v, err := s.viewOf(ctx, c, resources, request)
	if err != nil {
		return nil, err
	}
	answer, err := handler(ctx, request)
	if err != nil {
		return nil, err
	}
	return v.show(ctx, answer)
}

// show returns what the caller may see of a message.
func (v *view) show(ctx context.Context, m any) (any, error) {
	message, err := protoOf(m)
	if err != nil {
		return nil, err
	}
	plan := v.s.shapes.plans.Of(message.ProtoReflect().Descriptor())
	if plan == nil {
		return m, nil
	}
	r := datamask.Reading{
		Plan: plan, Message: message, Organization: v.c.caller.Organization(), Around: v.c.caller.Organization(), Filtered: v.filtered,
	}
	if len(v.resources) == 1 {
		r.Around = v.resources[0]
	}
	resources := r.Resources()
	if len(resources) == 0 {
		return m, nil
	}
	sights, err := v.disclose(ctx, plan.Classes, resources)
	if err != nil {
		return nil, err
	}
	shown, masked := r.Apply(func(class int, on string) datamask.Sight { return sights.of(plan.Classes[class], on) })
	v.s.masked.record(ctx, masked)
	return shown, nil
}

// sights are answers about classes and resources.
type sights struct {
	classes   []string // sorted
	resources map[string]int
	all       []datamask.Sight
}

// of returns how the caller sees the class on the resource: not at all, when it
// was not asked.
func (s sights) of(class, on string) datamask.Sight {
	i, known := slices.BinarySearch(s.classes, class)
	at, asked := s.resources[on]
	if !known || !asked {
		return datamask.Sight{}
	}
	return s.all[at*len(s.classes)+i]
}

func (v *view) disclose(ctx context.Context, classes, resources []string) (sights, error) {
	if v.s.cfg.Discloser == nil {
		return sights{}, errors.New("field policies restrict the caller, and the server has nobody to ask about them")
	}
	all, err := v.s.cfg.Discloser.Disclose(ctx, authz.Disclosure{Caller: v.c.caller, Classes: classes, Resources: resources})
	if err != nil {
		return sights{}, err
	}
	s := sights{classes: classes, resources: make(map[string]int, len(resources)), all: all}
	for i, name := range resources {
		s.resources[name] = i
	}
	return s, nil
}

// mayAsk looks at a message from the client of a stream; see viewOf.
func (g *guardedStream) mayAsk(message proto.Message) error {
	g.mu.Lock()
	restricted, resources := g.restricted, slices.Clone(g.allowed)
	g.mu.Unlock()
	if !restricted {
		return nil
	}
	_, err := g.s.viewOf(g.ctx, g.c, resources, message)
	return err
}

// show returns what the caller may see of a message that the stream sends, as
// of now: the answer is asked for each message anew.
func (g *guardedStream) show(m any) (any, error) {
	g.mu.Lock()
	restricted, resources := g.restricted, slices.Clone(g.allowed)
	g.mu.Unlock()
	if !restricted {
		return m, nil
	}
	return (&view{s: g.s, c: g.c, shape: g.s.shapes.of(g.c.method), resources: resources}).show(g.ctx, m)
}

// restrict takes over what a check said of field policies, that began when
// there had been as many changes as before. One that something has overtaken
// does not lift what a later one said.
func (g *guardedStream) restrict(restricted bool, before int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.restricted = restricted || g.restricted && g.changes != before
}
