package authzen

import (
	"context"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/gateway/internal/task"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Evaluation answers whether a subject may do one thing (section 6).
func (a *API) Evaluation(ctx context.Context, r *Request) (any, error) {
	o, err := readBody(r.Body)
	if err != nil {
		return nil, err
	}
	return a.evaluate(ctx, r, o)
}

func (a *API) evaluate(ctx context.Context, r *Request, o object) (*decision, error) {
	q, err := a.question(ctx, r.Organization, o.part)
	if err != nil {
		return nil, err
	}
	answer, err := a.cfg.Checks.Check(ctx, &permissionv1.CheckRequest{Parent: r.Organization, Query: q.query})
	if err != nil {
		return nil, err
	}
	return a.judge(r).decide(ctx, q, answer.GetResult())
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

// question is a question as it was asked, and as the permission service is
// asked it.
type question struct {
	who, what, on entity
	context       *structpb.Struct
	query         *permissionv1.CheckQuery
	// approval is the id of the approval that it was asked with.
	approval    string
	hasApproval bool
}

// question reads a complete question.
func (a *API) question(ctx context.Context, organization string, read reader) (*question, error) {
	var parts [len(questionParts)]entity
	for i, name := range questionParts {
		var err error
		if parts[i], err = read(name); err != nil {
			return nil, err
		}
	}
	q := &question{who: parts[0], what: parts[1], on: parts[2], context: parts[3].properties}
	k, err := a.kindOf(ctx, organization, q.on)
	if err != nil {
		return nil, err
	}
	q.query = &permissionv1.CheckQuery{
		Subject:    a.names.subject(organization, q.who),
		Permission: k.permission(q.what),
		Resource:   k.resource(organization, q.on),
		Attributes: attributes(q.who, q.what, q.on, q.context),
	}
	if q.approval, q.hasApproval = approvalOf(q.context); q.hasApproval {
		q.query.Approval, _ = task.Name(organization, q.approval)
	}
	return q, nil
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
