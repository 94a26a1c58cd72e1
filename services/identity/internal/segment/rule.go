package segment

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/expression"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
)

// maxLanguages is how many sets of definitions have their rules compiled at a
// time.
const maxLanguages = 256

// languages are the languages of rules, one for each set of attributes: a rule
// is checked against the types that an organisation has defined.
type languages struct {
	mu     sync.Mutex
	byDefs map[string]*expression.Language
}

func newLanguages() *languages { return &languages{byDefs: make(map[string]*expression.Language)} }

func (l *languages) of(defs attribute.Definitions) (*expression.Language, error) {
	var mark strings.Builder
	for _, id := range slices.Sorted(maps.Keys(defs)) {
		fmt.Fprintf(&mark, "%s:%d ", id, defs[id].GetType())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.byDefs[mark.String()]; known != nil {
		return known, nil
	}
	made, err := newLanguage(defs)
	if err != nil {
		return nil, fmt.Errorf("segment: the language of rules: %w", err)
	}
	for other := range l.byDefs {
		if len(l.byDefs) < maxLanguages {
			break
		}
		delete(l.byDefs, other) // any: the order of a map is random
	}
	l.byDefs[mark.String()] = made
	return made, nil
}

// language returns the language of an organisation's rules.
func (b *Book) language(r kv.Reader, organization string) (*expression.Language, attribute.Definitions, error) {
	defs, err := b.attributes.All(r, organization)
	if err != nil {
		return nil, nil, err
	}
	l, err := b.languages.of(defs)
	return l, defs, err
}

// checkRule refuses a rule that cannot be one, and one of a fixed list.
func (b *Book) checkRule(r kv.Reader, organization string, kind identityv1.Segment_Kind, rule string) error {
	if kind != ruled {
		if rule != "" {
			return errs.InvalidField("segment.rule", "RULE_INVALID", "a fixed list has no rule; leave it empty")
		}
		return nil
	}
	l, _, err := b.language(r, organization)
	if err != nil {
		return err
	}
	_, err = l.Program(rule)
	return err
}

// The types of the two variables.
const (
	customerType   = "guildhall.identity.Customer"
	attributesType = "guildhall.identity.Attributes"
)

func newLanguage(defs attribute.Definitions) (*expression.Language, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	clock := cel.OpaqueType(clockName)
	return expression.New(expression.Config{
		Options: []cel.EnvOption{
			cel.CustomTypeProvider(&provider{Provider: registry, fields: map[string]map[string]*types.FieldType{
				customerType: customerFields(), attributesType: attributeFields(defs),
			}}),
			cel.Variable("customer", cel.ObjectType(customerType)),
			cel.Variable("now", clock),
			cel.Function("passed", cel.MemberOverload("clock_passed_timestamp",
				[]*cel.Type{clock, cel.TimestampType}, cel.BoolType, cel.BinaryBinding(passed))),
		},
		Field: "segment.rule", Invalid: "RULE_INVALID", TooCostly: "RULE_TOO_COSTLY",
	})
}

// provider knows the two types besides those of the language.
type provider struct {
	types.Provider
	fields map[string]map[string]*types.FieldType
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, found := p.fields[name]; found {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if fields, found := p.fields[name]; found {
		return slices.Sorted(maps.Keys(fields)), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if fields, found := p.fields[name]; found {
		t, found := fields[field]
		return t, found
	}
	return p.Provider.FindStructFieldType(name, field)
}

func customerFields() map[string]*types.FieldType {
	return map[string]*types.FieldType{
		"id": field("id", cel.StringType), "state": field("state", cel.StringType),
		"country": field("country", cel.StringType), "language": field("language", cel.StringType),
		"create_time": field("create_time", cel.TimestampType),
		"has_email":   field("has_email", cel.BoolType), "has_phone": field("has_phone", cel.BoolType),
		"tags":       field("tags", cel.ListType(cel.StringType)),
		"attributes": field("attributes", cel.ObjectType(attributesType)),
	}
}

func attributeFields(defs attribute.Definitions) map[string]*types.FieldType {
	all := make(map[string]*types.FieldType)
	for id, def := range defs {
		name := attribute.Variable(id)
		switch def.GetType() {
		case identityv1.AttributeDefinition_TYPE_NUMBER:
			all[name] = field(name, cel.DoubleType)
		case identityv1.AttributeDefinition_TYPE_BOOL:
			all[name] = field(name, cel.BoolType)
		case identityv1.AttributeDefinition_TYPE_DATE:
			all[name] = field(name, cel.TimestampType)
		default:
			all[name] = field(name, cel.StringType)
		}
	}
	return all
}

// field is a field of the maps that rules are run on. One that is not there is
// a failure and not an empty value.
func field(name string, of *types.Type) *types.FieldType {
	get := func(object any) (any, bool) {
		m, _ := object.(map[string]any)
		value, found := m[name]
		return value, found
	}
	return &types.FieldType{
		Type:  of,
		IsSet: func(object any) bool { _, found := get(object); return found },
		GetFrom: func(object any) (any, error) {
			value, found := get(object)
			if !found {
				return nil, errors.New("the customer has no " + name)
			}
			return value, nil
		},
	}
}

// clockName is the type of now. It can do one thing, so that there is no way to
// write a rule that time changes unnoticed.
const clockName = "guildhall.identity.Clock"

// clock is the present time in one run of a rule. It notes the first moment of
// those that the run asked for and that have not come: until then the rule comes
// to the same, for what it did not ask for did not count.
type clock struct {
	now time.Time
	due time.Time // zero is never
}

func passed(at, moment ref.Val) ref.Val {
	c, ok := at.(*clock)
	t, okMoment := moment.(types.Timestamp)
	if !ok || !okMoment {
		return types.NewErr("passed needs a timestamp")
	}
	if !c.now.Before(t.Time) {
		return types.True
	}
	if c.due.IsZero() || t.Time.Before(c.due) {
		c.due = t.Time
	}
	return types.False
}

// ConvertToNative implements ref.Val.
func (c *clock) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("the present time is no value")
}

// ConvertToType implements ref.Val.
func (c *clock) ConvertToType(ref.Type) ref.Val { return types.NewErr("the present time is no value") }

// Equal implements ref.Val.
func (c *clock) Equal(ref.Val) ref.Val { return types.NewErr("the present time is no value") }

// Type implements ref.Val.
func (c *clock) Type() ref.Type { return cel.OpaqueType(clockName) }

// Value implements ref.Val.
func (c *clock) Value() any { return c }
