package consent

import (
	"maps"
	"strconv"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Purpose returns a purpose. The error is NotFound (CONSENT_PURPOSE_NOT_FOUND).
func (b *Book) Purpose(r kv.Reader, name string) (*identityv1.ConsentPurpose, error) {
	rec, found, err := b.purposes.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(purposeNotFound, name)
	}
	if err != nil {
		return nil, err
	}
	return revise.View(rec), nil
}

// Purposes returns a page of an organisation's purposes, by name, and where to go on
// behind it, nil at the end.
func (b *Book) Purposes(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.ConsentPurpose, []byte, error) {
	return revise.Views(b.purposes.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}))
}

// Texts returns a page of the versions of a purpose's text, the newest first, and
// where to go on behind it, nil at the end. The error is NotFound
// (CONSENT_PURPOSE_NOT_FOUND).
func (b *Book) Texts(r kv.Reader, purpose string, after []byte, limit int) ([]*identityv1.ConsentText, []byte, error) {
	if _, err := b.Purpose(r, purpose); err != nil {
		return nil, nil, err
	}
	page, err := b.texts.List(r, kv.Query{Prefix: kv.Key{kv.String(purpose)}, Reverse: true, After: after, Limit: limit})
	return page.Values(), page.Next, err
}

// CreatePurpose makes a purpose with the name and the caller's fields of p. Errors
// are Exists (CONSENT_PURPOSE_EXISTS), Exhausted (CONSENT_PURPOSE_LIMIT) and Invalid
// (CONSENT_PURPOSE_INCOMPLETE, CONSENT_VERSION_UNKNOWN).
func (b *Book) CreatePurpose(tx *change.Tx, p *identityv1.ConsentPurpose) (*identityv1.ConsentPurpose, error) {
	err := revise.CheckRoom(tx, b.purposes, kv.Query{Prefix: kv.Key{kv.String(resource.Parent(p.GetName()))}}, MaxPurposes,
		"CONSENT_PURPOSE_LIMIT", "an organization has at most %d purposes")
	if err != nil {
		return nil, err
	}
	return revise.Create(tx, b.purposes, p, b.rules(tx))
}

// UpdatePurpose changes the masked fields to those of p. Errors are NotFound,
// Conflict (ETAG_MISMATCH) and Invalid: CONSENT_PURPOSE_INCOMPLETE,
// CONSENT_VERSION_UNKNOWN, and UPDATE_MASK_INVALID for a mask of other fields.
func (b *Book) UpdatePurpose(tx *change.Tx, p *identityv1.ConsentPurpose, mask *fieldmaskpb.FieldMask) (*identityv1.ConsentPurpose, error) {
	return revise.Update(tx, b.purposes, p, mask, b.rules(tx))
}

func (b *Book) rules(tx *change.Tx) revise.Rules[*identityv1.ConsentPurpose] {
	return revise.Rules[*identityv1.ConsentPurpose]{
		Event:  "guildhall.identity.consent_purpose",
		Fields: []string{"display_name", "channels", "texts", "oldest_valid_version", "retired"}, Fixed: []string{"lawful_basis"},
		Follow: func(old, now *identityv1.ConsentPurpose) error {
			if err := checkComplete(now); err != nil {
				return err
			}
			if err := b.keepText(tx, old, now); err != nil {
				return err
			}
			if now.GetOldestValidVersion() > now.GetTextVersion() {
				return errs.InvalidField("consent_purpose.oldest_valid_version", "CONSENT_VERSION_UNKNOWN", "send a version that there is")
			}
			return nil
		},
	}
}

// keepText keeps a text that is new under the next version.
func (b *Book) keepText(tx *change.Tx, old, now *identityv1.ConsentPurpose) error {
	if old != nil && maps.Equal(old.GetTexts(), now.GetTexts()) {
		return nil
	}
	now.TextVersion++
	_, err := b.texts.Put(tx, &identityv1.ConsentText{
		Name:    now.GetName() + "/texts/" + strconv.Itoa(int(now.GetTextVersion())),
		Version: now.GetTextVersion(), Texts: now.GetTexts(), CreateTime: timestamppb.New(tx.Time),
	}, "")
	return err
}

// checkComplete refuses a purpose that nobody could understand, or be asked about.
func checkComplete(p *identityv1.ConsentPurpose) error {
	const reason = "CONSENT_PURPOSE_INCOMPLETE"
	switch {
	case p.GetDisplayName() == "":
		return errs.InvalidField("consent_purpose.display_name", reason, "send what staff call the purpose")
	case p.GetLawfulBasis() == 0:
		return errs.InvalidField("consent_purpose.lawful_basis", reason, "send the lawful basis of the purpose")
	case len(p.GetChannels()) == 0:
		return errs.InvalidField("consent_purpose.channels", reason, "send a channel at least")
	case p.GetTexts()["zh-CN"] == "" || p.GetTexts()["en"] == "":
		return errs.InvalidField("consent_purpose.texts", reason, "send the text in zh-CN and in en")
	}
	return nil
}
