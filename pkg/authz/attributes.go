package authz

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/errs"
)

type attributesKey struct{}

// WithAttributes returns a context for a call of which so much is known: what
// conditions of grants may look at, whoever asks in it. The interceptor of
// pkg/rpc says what it knows itself, the address that the caller comes from;
// the time, permission takes for itself.
func WithAttributes(ctx context.Context, a *permissionv1.Attributes) context.Context {
	return context.WithValue(ctx, attributesKey{}, a)
}

// attributesOf returns what is known of the running call; nil when nothing is.
func attributesOf(ctx context.Context) *permissionv1.Attributes {
	a, _ := ctx.Value(attributesKey{}).(*permissionv1.Attributes)
	return a
}

// Known returns what conditions may look at in the answer to the request:
// what is known of the running call, and before it what the request says. A
// Checker answers from this and not from Attributes alone. Nil is nothing.
func (r Request) Known(ctx context.Context) *permissionv1.Attributes {
	of := attributesOf(ctx)
	switch {
	case r.Attributes == nil:
		return of
	case of == nil:
		return r.Attributes
	}
	both := proto.CloneOf(of)
	proto.Merge(both, r.Attributes)
	return both
}

// attribute returns attributes with the one that the rule varies by.
func (r *Rule) attribute(value string) *permissionv1.Attributes {
	a := &permissionv1.Attributes{}
	a.ProtoReflect().Set(r.varies, protoreflect.ValueOfString(value))
	return a
}

// Each asks check once for each variant of the request: Checker.Which for a
// checker that answers one question at a time.
func Each(ctx context.Context, check func(context.Context, Request) (Answer, error), r Request, variants []*permissionv1.Attributes) ([]Answer, error) {
	answers := make([]Answer, len(variants))
	for i, a := range variants {
		r.Attributes = proto.CloneOf(a)
		answer, err := check(ctx, r)
		if err != nil && !errs.Is(err, errs.Denied) {
			return nil, err
		}
		answers[i] = answer
	}
	return answers, nil
}
