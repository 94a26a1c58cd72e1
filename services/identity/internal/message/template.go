package message

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of a template's name.
const Pattern = resource.Pattern("organizations/{organization}/messageTemplates/{message_template}")

const byUse = "use"

// Book keeps the templates of organisations. It is safe for concurrent use.
type Book struct {
	table         *kv.Table[*identityv1.MessageTemplate]
	organizations *organization.Book
}

// New returns a book.
func New(organizations *organization.Book) *Book {
	// (organisation, name) -> MessageTemplate
	return &Book{organizations: organizations, table: kv.NewTable(kv.TableConfig[*identityv1.MessageTemplate]{
		Name: "message_templates", NotFound: "MESSAGE_TEMPLATE_NOT_FOUND", Exists: "MESSAGE_TEMPLATE_EXISTS",
		Key: func(t *identityv1.MessageTemplate) kv.Key { return key(t.GetName()) },
		// One for each use, so there are no more than uses.
		Indexes: []kv.Index[*identityv1.MessageTemplate]{{Name: byUse, Unique: true, Keys: func(t *identityv1.MessageTemplate) []kv.Key {
			return []kv.Key{use(resource.Parent(t.GetName()), t.GetKind(), t.GetChannel(), t.GetLanguage())}
		}}},
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func use(organization string, kind identityv1.MessageKind, channel identityv1.MessageChannel, language string) kv.Key {
	return kv.Key{kv.String(organization), kv.Uint64(uint64(kind)), kv.Uint64(uint64(channel)), kv.String(language)}
}

// Get returns a template. The error is NotFound (MESSAGE_TEMPLATE_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.MessageTemplate, error) {
	rec, err := b.table.Get(r, key(name))
	return revise.View(rec), err
}

// List returns a page of an organisation's templates, by name, and where to go on
// behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.MessageTemplate, []byte, error) {
	return revise.Views(b.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}))
}

// For returns the template of a message: the organisation's, or the one that is
// built in.
func (b *Book) For(r kv.Reader, organization string, kind identityv1.MessageKind, channel identityv1.MessageChannel, language string) (*identityv1.MessageTemplate, error) {
	rec, found, err := b.table.FindBy(r, byUse, use(organization, kind, channel, language))
	if err != nil || found {
		return revise.View(rec), err
	}
	return BuiltIn(kind, channel, language), nil
}

// Create makes a template with the name and the caller's fields of t. Errors are
// NotFound (ORGANIZATION_NOT_FOUND), Exists (MESSAGE_TEMPLATE_EXISTS) and Invalid
// (MESSAGE_TEMPLATE_INVALID).
func (b *Book) Create(tx *change.Tx, t *identityv1.MessageTemplate) (*identityv1.MessageTemplate, error) {
	if _, err := b.organizations.Get(tx, resource.Parent(t.GetName())); err != nil {
		return nil, err
	}
	return revise.Create(tx, b.table, t, rules())
}

// Update changes the masked fields to those of t. Errors are NotFound, Conflict
// (ETAG_MISMATCH), and Invalid (UPDATE_MASK_INVALID, MESSAGE_TEMPLATE_INVALID).
func (b *Book) Update(tx *change.Tx, t *identityv1.MessageTemplate, mask *fieldmaskpb.FieldMask) (*identityv1.MessageTemplate, error) {
	return revise.Update(tx, b.table, t, mask, rules())
}

// Delete removes a template and returns what it was. Errors are NotFound and
// Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.MessageTemplate, error) {
	return revise.Delete(tx, b.table, key(name), etag, rules())
}

func rules() revise.Rules[*identityv1.MessageTemplate] {
	return revise.Rules[*identityv1.MessageTemplate]{
		Event: "guildhall.identity.message_template", Fields: []string{"subject", "text"}, Fixed: []string{"kind", "channel", "language"},
		Follow: func(_, now *identityv1.MessageTemplate) error { return check(now) },
	}
}
