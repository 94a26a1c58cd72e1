// Package organization keeps the tenants of an installation. Every other
// resource's name begins with one of theirs.
//
// Organisations are not deleted here: what that means for all they hold is
// the installation's operator to decide, outside of the API.
package organization

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of an organisation's name.
const Pattern = resource.Pattern("organizations/{organization}")

// Book keeps the organisations. It is safe for concurrent use.
type Book struct {
	table *kv.Table[*identityv1.Organization]
}

// New returns a book.
func New() *Book {
	return &Book{table: kv.NewTable(kv.TableConfig[*identityv1.Organization]{
		Name:     "organizations",
		NotFound: "ORGANIZATION_NOT_FOUND", Exists: "ORGANIZATION_EXISTS",
		Key: func(o *identityv1.Organization) kv.Key { return key(o.GetName()) },
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func key(name string) kv.Key { return kv.Key{kv.String(name)} }

// Get returns an organisation. The error is NotFound (ORGANIZATION_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Organization, error) {
	rec, found, err := b.table.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName("ORGANIZATION_NOT_FOUND", name)
	}
	if err != nil {
		return nil, err
	}
	return view(rec), nil
}

// Find returns an organisation and whether there is one.
func (b *Book) Find(r kv.Reader, name string) (*identityv1.Organization, bool, error) {
	rec, found, err := b.table.Find(r, key(name))
	if err != nil || !found {
		return nil, false, err
	}
	return view(rec), true, nil
}

// List returns a page of all organisations, by name, and where to go on behind
// it, nil at the end. Only these have their administrator and operator set:
// List is for those who run the installation, the others also for customers.
func (b *Book) List(r kv.Reader, after []byte, limit int) ([]*identityv1.Organization, []byte, error) {
	return revise.Views(b.table.List(r, kv.Query{After: after, Limit: limit}))
}

// Create makes an organisation with the name and the caller's fields of o, and
// records it with its administrator's name. An operator's administrator may
// create others. The error is Exists (ORGANIZATION_EXISTS).
func (b *Book) Create(tx *change.Tx, o *identityv1.Organization, administrator string, operator bool) (*identityv1.Organization, error) {
	how := rules()
	how.Follow = func(_, now *identityv1.Organization) error {
		now.Administrator, now.Operator = administrator, operator
		return nil
	}
	how.Data = func(*identityv1.Organization) proto.Message {
		return &identityv1.OrganizationCreated{Administrator: administrator, Operator: operator}
	}
	return public(revise.Create(tx, b.table, o, how))
}

// Update changes the masked fields to those of o. An empty etag is not
// checked. Errors are NotFound, Conflict (ETAG_MISMATCH), and Invalid for a
// mask of other fields.
func (b *Book) Update(tx *change.Tx, o *identityv1.Organization, mask *fieldmaskpb.FieldMask) (*identityv1.Organization, error) {
	return public(revise.Update(tx, b.table, o, mask, rules()))
}

func rules() revise.Rules[*identityv1.Organization] {
	return revise.Rules[*identityv1.Organization]{Event: "guildhall.identity.organization", Fields: []string{"display_name", "default_language"}}
}

// Forget removes the name of an account that is gone for good, so that an
// account that gets the name later does not pass for the administrator.
func (b *Book) Forget(tx kv.Tx, organization, account string) error {
	rec, found, err := b.table.Find(tx, key(organization))
	if err != nil || !found || rec.Value.GetAdministrator() != account {
		return err
	}
	now := proto.CloneOf(rec.Value)
	now.Administrator = ""
	_, err = b.table.Update(tx, now, "")
	return err
}

// view returns the resource of a record, as all may see it.
func view(rec kv.Record[*identityv1.Organization]) *identityv1.Organization {
	o, _ := public(revise.View(rec), nil)
	return o
}

// public takes out of an organisation what only those see who run the
// installation.
func public(o *identityv1.Organization, err error) (*identityv1.Organization, error) {
	if err != nil {
		return nil, err
	}
	o.Administrator, o.Operator = "", false
	return o, nil
}
