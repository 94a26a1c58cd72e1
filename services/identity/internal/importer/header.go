package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"guildhall.dev/pkg/errs"
)

// externalID is the field that every line must have: customers and orders are
// known by it from one import to the next.
const externalID = "external_id"

// passwordHash is the one field that is none of the customer's record: a hash
// that another system made of its password.
const passwordHash = "password_hash"

// fields are the fields that a column of a file of customers may fill.
func fields() []string {
	return []string{externalID, "display_name", "email", "phone", "country", "language", passwordHash}
}

// form is what fields the columns of a file may fill, and which of them they must.
type form struct{ fields, required []string }

// column is one column of the file that fills a field.
type column struct {
	index int
	name  string // as in the file
	field string
}

// layout is what the header says of the lines below it.
type layout struct {
	width   int
	columns []column
}

// newLayout reads the header. The mapping is from column to field; an empty
// one takes the columns that are named like fields. Errors are Invalid:
// IMPORT_HEADER_INVALID and IMPORT_COLUMN_UNKNOWN.
func newLayout(header []string, mapping map[string]string, f form) (layout, error) {
	l := layout{width: len(header)}
	if len(mapping) == 0 {
		mapping = make(map[string]string)
		for _, name := range f.fields {
			mapping[name] = name
		}
	} else if err := checkMapping(header, mapping, f); err != nil {
		return layout{}, err
	}
	filled := make(map[string]bool)
	for i, name := range header {
		if !utf8.ValidString(name) {
			return layout{}, headerInvalid("the header is not UTF-8; save the file as UTF-8")
		}
		name = strings.TrimSpace(name)
		field, ok := mapping[name]
		if !ok {
			continue
		}
		if filled[field] {
			return layout{}, headerInvalid(fmt.Sprintf("two columns fill the field %s; name one", field))
		}
		filled[field] = true
		l.columns = append(l.columns, column{index: i, name: name, field: field})
	}
	for _, field := range f.required {
		if !filled[field] {
			return layout{}, headerInvalid("no column fills the field " + field + "; name one in options.columns")
		}
	}
	return l, nil
}

// columnOf returns the column that fills a field, or "".
func (l layout) columnOf(field string) string {
	for _, c := range l.columns {
		if c.field == field {
			return c.name
		}
	}
	return ""
}

// checkMapping refuses a mapping of columns that the file does not have, or to
// fields that there are not: either is a slip of the hand that would import half a
// file.
func checkMapping(header []string, mapping map[string]string, f form) error {
	for _, name := range slices.Sorted(maps.Keys(mapping)) {
		if !slices.Contains(f.fields, mapping[name]) {
			return errs.InvalidField("options.columns", "IMPORT_COLUMN_UNKNOWN",
				"map columns to the fields "+strings.Join(f.fields, ", "))
		}
		if !slices.ContainsFunc(header, func(h string) bool { return strings.TrimSpace(h) == name }) {
			return errs.InvalidField("options.columns", "IMPORT_COLUMN_UNKNOWN",
				"name columns as the header of the file spells them; one of those named is not there")
		}
	}
	return nil
}

func headerInvalid(text string) error {
	return errs.InvalidField("data", "IMPORT_HEADER_INVALID", text)
}
