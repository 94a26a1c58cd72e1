package segment

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/expression"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
)

// Explain says why a customer is in a segment of its organisation, or is not.
// The error is NotFound (SEGMENT_NOT_FOUND).
func (b *Book) Explain(r kv.Reader, segment string, a *storev1.Account, now time.Time) (*identityv1.ExplainSegmentMembershipResponse, error) {
	s, err := b.Get(r, segment)
	if err != nil {
		return nil, err
	}
	member, found, err := b.members.Find(r, key(memberName(segment, a.GetName())))
	if err != nil {
		return nil, err
	}
	out := &identityv1.ExplainSegmentMembershipResponse{Member: found, Membership: member.Value, Kind: s.GetKind()}
	if s.GetKind() != ruled {
		return out, nil
	}
	out.Rule, out.Revision = s.GetRule(), s.GetRevision()
	l, defs, err := b.language(r, resource.Parent(segment))
	if err != nil {
		return nil, err
	}
	customer := facts(a)
	_, due := run(l, s.GetRule(), customer, now)
	if !due.IsZero() {
		out.DueTime = timestamppb.New(due)
	}
	parts, err := l.Parts(s.GetRule())
	if err != nil {
		return nil, err
	}
	hidden := personal(defs)
	for _, p := range parts {
		out.Parts = append(out.Parts, part(l, p, customer, hidden, now))
	}
	return out, nil
}

// personal returns the variables of attributes whose values are personal data.
func personal(defs attribute.Definitions) map[string]bool {
	all := make(map[string]bool)
	for id, def := range defs {
		if def.GetPersonalData() {
			all["customer.attributes."+attribute.Variable(id)] = true
		}
	}
	return all
}

func part(l *expression.Language, p expression.Part, customer map[string]any, hidden map[string]bool, now time.Time) *identityv1.ExplainSegmentMembershipResponse_Part {
	outcome, _ := run(l, p.Text, customer, now)
	out := &identityv1.ExplainSegmentMembershipResponse_Part{Expression: p.Text, Depth: int32(p.Depth), Outcome: outcome}
	for _, variable := range p.Variables {
		in := &identityv1.ExplainSegmentMembershipResponse_Input{Variable: variable, Hidden: hidden[variable]}
		if !in.GetHidden() {
			in.Value = lookUp(customer, variable)
		}
		out.Inputs = append(out.Inputs, in)
	}
	return out
}

// lookUp returns the value of a variable as in "customer.country"; nil for none.
func lookUp(customer map[string]any, variable string) *structpb.Value {
	var at any = map[string]any{"customer": customer}
	for name := range strings.SplitSeq(variable, ".") {
		fields, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = fields[name]
	}
	switch v := at.(type) {
	case string:
		return structpb.NewStringValue(v)
	case float64:
		return structpb.NewNumberValue(v)
	case bool:
		return structpb.NewBoolValue(v)
	case time.Time:
		return structpb.NewStringValue(v.UTC().Format(time.RFC3339Nano))
	case []string:
		list := &structpb.ListValue{}
		for _, item := range v {
			list.Values = append(list.Values, structpb.NewStringValue(item))
		}
		return structpb.NewListValue(list)
	}
	return nil
}
