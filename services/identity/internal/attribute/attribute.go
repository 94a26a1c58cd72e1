// Package attribute keeps what attributes an organisation's customers may have,
// and says whether a value is one that its definition allows.
//
// The values themselves are in the customer's account; see package account. A
// definition is never deleted, only retired: customers may have values of it,
// and rules may speak of them.
package attribute

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of a definition's name.
const Pattern = resource.Pattern("organizations/{organization}/attributeDefinitions/{attribute_definition}")

// MaxDefinitions is how many an organisation has, so that all of them can be
// read wherever one is needed.
const MaxDefinitions = 100

// Book keeps the definitions. It is safe for concurrent use.
type Book struct {
	table *kv.Table[*identityv1.AttributeDefinition]
}

// New returns a book.
func New() *Book {
	// (organisation, name) -> AttributeDefinition
	return &Book{table: kv.NewTable(kv.TableConfig[*identityv1.AttributeDefinition]{
		Name: "attribute_definitions", NotFound: "ATTRIBUTE_DEFINITION_NOT_FOUND", Exists: "ATTRIBUTE_DEFINITION_EXISTS",
		Key: func(d *identityv1.AttributeDefinition) kv.Key { return key(d.GetName()) },
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// Get returns a definition. The error is NotFound
// (ATTRIBUTE_DEFINITION_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.AttributeDefinition, error) {
	rec, err := b.table.Get(r, key(name))
	return revise.View(rec), err
}

// List returns a page of an organisation's definitions, by name, and where to go
// on behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.AttributeDefinition, []byte, error) {
	return revise.Views(b.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}))
}

// Definitions are all of an organisation, by id.
type Definitions map[string]*identityv1.AttributeDefinition

// All returns all definitions of an organisation.
func (b *Book) All(r kv.Reader, organization string) (Definitions, error) {
	all := make(Definitions)
	for rec, err := range b.table.Scan(r, kv.Query{Prefix: kv.Key{kv.String(organization)}}) {
		if err != nil {
			return nil, err
		}
		all[idOf(rec.Value.GetName())] = rec.Value
	}
	return all, nil
}

func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// Create makes a definition with the name and the caller's fields of d. Errors
// are Invalid (ATTRIBUTE_ID_INVALID, ATTRIBUTE_BOUNDS_INVALID), Exists
// (ATTRIBUTE_DEFINITION_EXISTS) and Exhausted (ATTRIBUTE_DEFINITION_LIMIT).
func (b *Book) Create(tx *change.Tx, d *identityv1.AttributeDefinition) (*identityv1.AttributeDefinition, error) {
	if id := idOf(d.GetName()); id[0] < 'a' || slices.Contains(reserved(), id) {
		return nil, errs.InvalidField("attribute_definition_id", "ATTRIBUTE_ID_INVALID",
			"send an id that begins with a letter and is no word of the language of rules, such as \"in\" or \"true\"")
	}
	err := revise.CheckRoom(tx, b.table, kv.Query{Prefix: kv.Key{kv.String(resource.Parent(d.GetName()))}}, MaxDefinitions,
		"ATTRIBUTE_DEFINITION_LIMIT", "an organization has at most %d attributes")
	if err != nil {
		return nil, err
	}
	return revise.Create(tx, b.table, d, rules())
}

// Update changes the masked fields to those of d. Errors are NotFound, Conflict
// (ETAG_MISMATCH), and Invalid: ATTRIBUTE_BOUNDS_INVALID, and
// UPDATE_MASK_INVALID for a mask of other fields.
func (b *Book) Update(tx *change.Tx, d *identityv1.AttributeDefinition, mask *fieldmaskpb.FieldMask) (*identityv1.AttributeDefinition, error) {
	return revise.Update(tx, b.table, d, mask, rules())
}

func rules() revise.Rules[*identityv1.AttributeDefinition] {
	return revise.Rules[*identityv1.AttributeDefinition]{
		Event: "guildhall.identity.attribute_definition",
		Fields: []string{
			"display_name", "description", "max_length", "min_number", "max_number", "min_date", "max_date", "enum_values", "retired",
		},
		Fixed:  []string{"type", "personal_data"},
		Follow: func(_, now *identityv1.AttributeDefinition) error { return checkBounds(now) },
	}
}
