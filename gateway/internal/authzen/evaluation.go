package authzen

import (
	"context"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Evaluation answers whether a subject may do one thing (section 6).
func (a *API) Evaluation(ctx context.Context, organization string, body []byte) (any, error) {
	o, err := readBody(body)
	if err != nil {
		return nil, err
	}
	return a.evaluate(ctx, organization, o)
}

func (a *API) evaluate(ctx context.Context, organization string, o object) (*decision, error) {
	query, err := a.query(ctx, organization, o.part)
	if err != nil {
		return nil, err
	}
	answer, err := a.cfg.Checks.Check(ctx, &permissionv1.CheckRequest{Parent: organization, Query: query})
	if err != nil {
		return nil, err
	}
	return decided(answer.GetResult()), nil
}

// reader returns one part of a question, by the name of its member.
type reader func(name string) (entity, error)

// part returns a part of a question: an entity, or the context as the
// properties of one.
func (o object) part(name string) (entity, error) {
	if name == surroundings {
		values, err := o.values(name, name)
		return entity{properties: values}, err
	}
	return o.entity(name, false)
}

// query reads a complete question.
func (a *API) query(ctx context.Context, organization string, read reader) (*permissionv1.CheckQuery, error) {
	var parts [len(questionParts)]entity
	for i, name := range questionParts {
		var err error
		if parts[i], err = read(name); err != nil {
			return nil, err
		}
	}
	who, what, on := parts[0], parts[1], parts[2]
	k, err := a.kindOf(ctx, organization, on)
	if err != nil {
		return nil, err
	}
	return &permissionv1.CheckQuery{
		Subject:    a.names.subject(organization, who),
		Permission: k.permission(what),
		Resource:   k.resource(organization, on),
		Attributes: attributes(who, what, on, parts[3].properties),
	}, nil
}

// kindOf returns the kind of a resource, nil when its type is unknown: one of
// the suite's, else one that the organisation has declared.
func (a *API) kindOf(ctx context.Context, organization string, e entity) (*kind, error) {
	if k := a.names.resources[e.kind]; k != nil {
		return k, nil
	}
	return a.types.find(ctx, organization, e.kind)
}

// attributes returns what conditions may look at; nil when nothing was sent.
// The three members of the context that conditions know as request.address,
// request.message_type and request.customer_level are also passed as these.
func attributes(who, what, on entity, context *structpb.Struct) *permissionv1.Attributes {
	if who.properties == nil && what.properties == nil && on.properties == nil && context == nil {
		return nil
	}
	return &permissionv1.Attributes{
		Address:       short(context, "address", 64),
		MessageType:   short(context, "message_type", 63),
		CustomerLevel: short(context, "customer_level", 63),
		Subject:       who.properties,
		Resource:      on.properties,
		Action:        what.properties,
		Context:       context,
	}
}

// short returns a member that is a string of at most so many runes, else "":
// the context is free-form, and what is no address is simply no address.
func short(context *structpb.Struct, name string, most int) string {
	text := context.GetFields()[name].GetStringValue()
	if utf8.RuneCountInString(text) > most {
		return ""
	}
	return text
}
