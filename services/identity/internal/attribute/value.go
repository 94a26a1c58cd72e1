package attribute

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// The types of attributes, for short.
const (
	text    = identityv1.AttributeDefinition_TYPE_STRING
	number  = identityv1.AttributeDefinition_TYPE_NUMBER
	boolean = identityv1.AttributeDefinition_TYPE_BOOL
	date    = identityv1.AttributeDefinition_TYPE_DATE
	enum    = identityv1.AttributeDefinition_TYPE_ENUM
)

// maxText is the most characters of a text, whatever its definition says.
const maxText = 1000

// reserved are the words that the Common Expression Language keeps for itself.
func reserved() []string {
	return []string{
		"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
		"namespace", "null", "package", "return", "true", "var", "void", "while",
	}
}

// Variable returns how rules spell the attribute of an id.
func Variable(id string) string { return strings.ReplaceAll(id, "-", "_") }

// Check returns nil when a customer may be given the value. Errors, on the
// field, are Invalid: ATTRIBUTE_UNKNOWN, ATTRIBUTE_RETIRED, and
// ATTRIBUTE_VALUE_INVALID with what the definition wants.
func (d Definitions) Check(field, id string, v *identityv1.AttributeValue) error {
	def, found := d[id]
	if !found {
		return errs.InvalidField(field, "ATTRIBUTE_UNKNOWN", "there is no attribute of this id; define it first")
	}
	if def.GetRetired() {
		return errs.InvalidField(field, "ATTRIBUTE_RETIRED", "the attribute is retired and takes no new values")
	}
	if wants := fault(def, v); wants != "" {
		return errs.InvalidField(field, "ATTRIBUTE_VALUE_INVALID", wants)
	}
	return nil
}

// fault returns what is wrong with a value; "" for nothing.
func fault(def *identityv1.AttributeDefinition, v *identityv1.AttributeValue) string {
	switch kind := v.GetKind().(type) {
	case *identityv1.AttributeValue_StringValue:
		most := int(def.GetMaxLength())
		if most == 0 {
			most = maxText
		}
		if def.GetType() == text && utf8.RuneCountInString(kind.StringValue) > most {
			return fmt.Sprintf("send a text of at most %d characters", most)
		}
		return unless(def.GetType() == text, def)
	case *identityv1.AttributeValue_NumberValue:
		if def.GetType() == number && !numberWithin(def, kind.NumberValue) {
			return "send a number" + numberBounds(def)
		}
		return unless(def.GetType() == number, def)
	case *identityv1.AttributeValue_BoolValue:
		return unless(def.GetType() == boolean, def)
	case *identityv1.AttributeValue_DateValue:
		if def.GetType() == date && !dateWithin(def, kind.DateValue) {
			return "send a day as in \"2026-01-31\"" + dateBounds(def)
		}
		return unless(def.GetType() == date, def)
	case *identityv1.AttributeValue_EnumValue:
		if def.GetType() == enum && !slices.Contains(def.GetEnumValues(), kind.EnumValue) {
			return "send one of " + strings.Join(def.GetEnumValues(), ", ")
		}
		return unless(def.GetType() == enum, def)
	default:
		return unless(false, def)
	}
}

// unless returns which field a value has to be in.
func unless(right bool, def *identityv1.AttributeDefinition) string {
	if right {
		return ""
	}
	kind := strings.ToLower(strings.TrimPrefix(def.GetType().String(), "TYPE_"))
	return fmt.Sprintf("the attribute is of type %s; send its value as %s_value", strings.ToUpper(kind), kind)
}

func numberWithin(def *identityv1.AttributeDefinition, n float64) bool {
	return !math.IsNaN(n) && !math.IsInf(n, 0) &&
		(def.MinNumber == nil || n >= def.GetMinNumber()) && (def.MaxNumber == nil || n <= def.GetMaxNumber())
}

func numberBounds(def *identityv1.AttributeDefinition) string {
	return bounds(def.MinNumber != nil, fmt.Sprint(def.GetMinNumber()), def.MaxNumber != nil, fmt.Sprint(def.GetMaxNumber()))
}

func dateWithin(def *identityv1.AttributeDefinition, day string) bool {
	// Days of four-digit years sort as texts.
	return isDate(day) && (def.GetMinDate() == "" || day >= def.GetMinDate()) && (def.GetMaxDate() == "" || day <= def.GetMaxDate())
}

func dateBounds(def *identityv1.AttributeDefinition) string {
	return bounds(def.GetMinDate() != "", def.GetMinDate(), def.GetMaxDate() != "", def.GetMaxDate())
}

func bounds(from bool, least string, to bool, most string) (says string) {
	if from {
		says += ", from " + least
	}
	if to {
		says += ", up to " + most
	}
	return says
}

// isDate reports whether a text is a day of the calendar, as in "2026-01-31".
func isDate(day string) bool {
	_, err := time.Parse(time.DateOnly, day)
	return err == nil
}

// checkBounds refuses bounds that the definition's type does not have, which
// would say something and count for nothing, and those that no value meets. The
// error is Invalid (ATTRIBUTE_BOUNDS_INVALID) on the field.
func checkBounds(d *identityv1.AttributeDefinition) error {
	of := d.GetType()
	for _, b := range []struct {
		field string
		wrong bool
		says  string
	}{
		{"max_length", d.GetMaxLength() != 0 && of != text, "only a string has a length"},
		{"min_number", d.MinNumber != nil && of != number, "only a number has this bound"},
		{"max_number", d.MaxNumber != nil && of != number, "only a number has this bound"},
		{"max_number", d.MinNumber != nil && d.MaxNumber != nil && d.GetMaxNumber() < d.GetMinNumber(), "send one that is not below min_number"},
		{"min_date", d.GetMinDate() != "" && (of != date || !isDate(d.GetMinDate())), "only a date has this bound: a day as in \"2026-01-31\""},
		{"max_date", d.GetMaxDate() != "" && (of != date || !isDate(d.GetMaxDate())), "only a date has this bound: a day as in \"2026-01-31\""},
		{"max_date", d.GetMaxDate() != "" && d.GetMaxDate() < d.GetMinDate(), "send one that is not before min_date"},
		{"enum_values", len(d.GetEnumValues()) > 0 && of != enum, "only an enumeration has values of its own"},
		{"enum_values", len(d.GetEnumValues()) == 0 && of == enum, "send at least one value"},
	} {
		if b.wrong {
			return errs.InvalidField("attribute_definition."+b.field, "ATTRIBUTE_BOUNDS_INVALID", b.says)
		}
	}
	return nil
}
