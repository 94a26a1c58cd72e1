package segment

import (
	"strings"
	"time"

	"cel.dev/cel-go/common/types"

	"guildhall.dev/pkg/expression"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/tag"
)

// What a run of a rule comes to, for short.
const (
	isTrue  = identityv1.ExplainSegmentMembershipResponse_OUTCOME_TRUE
	isFalse = identityv1.ExplainSegmentMembershipResponse_OUTCOME_FALSE
	failed  = identityv1.ExplainSegmentMembershipResponse_OUTCOME_FAILED
)

// run returns what a rule comes to for a customer, and the moment at which it
// may become something else by time alone; zero is never. Whether a rule is run
// costs no more than its bound: see package expression.
func run(l *expression.Language, rule string, customer map[string]any, now time.Time) (identityv1.ExplainSegmentMembershipResponse_Outcome, time.Time) {
	program, err := l.Program(rule)
	if err != nil {
		return failed, time.Time{} // another version may have let it pass
	}
	c := &clock{now: now}
	result, _, err := program.Eval(map[string]any{"customer": customer, "now": c})
	switch {
	case err != nil:
		return failed, c.due
	case result == types.True:
		return isTrue, c.due
	default:
		return isFalse, c.due
	}
}

// facts returns what rules see of a customer. What has no value is not there,
// but for texts, which are empty.
func facts(a *storev1.Account) map[string]any {
	tags := make([]string, len(a.GetTags()))
	for i, name := range a.GetTags() {
		tags[i] = tag.Short(name)
	}
	attributes := make(map[string]any, len(a.GetAttributes()))
	for id, stored := range a.GetAttributes() {
		if v := native(attribute.Value(stored)); v != nil {
			attributes[attribute.Variable(id)] = v
		}
	}
	return map[string]any{
		"id":          a.GetName()[strings.LastIndexByte(a.GetName(), '/')+1:],
		"state":       strings.TrimPrefix(a.GetState().String(), "ACCOUNT_STATE_"),
		"country":     a.GetCountry(),
		"language":    a.GetLanguage(),
		"create_time": a.GetCreateTime().AsTime(),
		"has_email":   a.GetEmail() != "",
		"has_phone":   a.GetPhone() != "",
		"tags":        tags,
		"attributes":  attributes,
	}
}

// native returns a value as rules see it; nil for none.
func native(v *identityv1.AttributeValue) any {
	switch kind := v.GetKind().(type) {
	case *identityv1.AttributeValue_StringValue:
		return kind.StringValue
	case *identityv1.AttributeValue_NumberValue:
		return kind.NumberValue
	case *identityv1.AttributeValue_BoolValue:
		return kind.BoolValue
	case *identityv1.AttributeValue_EnumValue:
		return kind.EnumValue
	case *identityv1.AttributeValue_DateValue:
		if day, err := time.Parse(time.DateOnly, kind.DateValue); err == nil {
			return day
		}
	}
	return nil
}

// deleted reports whether an account is in no segment any more.
func deleted(a *storev1.Account) bool {
	switch a.GetState() {
	case identityv1.AccountState_ACCOUNT_STATE_DELETED, identityv1.AccountState_ACCOUNT_STATE_ERASED, identityv1.AccountState_ACCOUNT_STATE_MERGED:
		return true
	}
	return false
}
