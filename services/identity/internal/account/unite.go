package account

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/contact"
)

// Union is what two accounts of one person come to.
type Union struct {
	// Survivor and Duplicate are the two as they are.
	Survivor, Duplicate kv.Record[*storev1.Account]
	// Result is the survivor as it will be, but for its owner and its times.
	Result *storev1.Account
	// Owner is the duplicate's owner, where the survivor has none and that one is there.
	Owner string
	// Taken are the fields in which the survivor has the duplicate's value, Differing
	// those in which the two differ.
	Taken, Differing []string
	// LeftTags are tags of the duplicate that exclude one of the survivor's.
	LeftTags []string
}

// attributePrefix is what the path of an attribute begins with.
const attributePrefix = "attributes."

// united is a field of which two accounts may have different values.
type united struct {
	path  string
	value func(*storev1.Account) *string
	// channel is that of a contact, whose proof goes with it.
	channel identityv1.MessageChannel
}

func unitedFields() []united {
	return []united{
		{path: "display_name", value: func(a *storev1.Account) *string { return &a.DisplayName }},
		{path: "email", value: func(a *storev1.Account) *string { return &a.Email }, channel: identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL},
		{path: "phone", value: func(a *storev1.Account) *string { return &a.Phone }, channel: identityv1.MessageChannel_MESSAGE_CHANNEL_SMS},
		{path: "external_id", value: func(a *storev1.Account) *string { return &a.ExternalId }},
		{path: "country", value: func(a *storev1.Account) *string { return &a.Country }},
		{path: "language", value: func(a *storev1.Account) *string { return &a.Language }},
	}
}

// set gives an account the value that another one has, and the proof of it.
func (u united) set(to, from *storev1.Account) {
	*u.value(to) = *u.value(from)
	if u.channel != 0 {
		contact.SetVerified(to, u.channel, contact.VerifyTime(from, u.channel))
	}
}

// Unite returns what a survivor and a duplicate, both of one organisation, come to: in
// the chosen fields, and in those that the survivor does not have, it gets the
// duplicate's value. It writes nothing. Errors are Invalid (MERGE_FIELD_INVALID,
// CLASSIFICATION_LIMIT) and Precondition (MERGE_EXTERNAL_IDS_DIFFER).
func (b *Book) Unite(r kv.Reader, survivor, duplicate kv.Record[*storev1.Account], chosen []string) (*Union, error) {
	s, d := survivor.Value, duplicate.Value
	if err := checkChosen(chosen, d); err != nil {
		return nil, err
	}
	if s.GetExternalId() != "" && d.GetExternalId() != "" {
		return nil, errs.New(errs.Precondition, "MERGE_EXTERNAL_IDS_DIFFER", "another system knows the two as two customers, by an external_id each; merge them there, or clear the one that is wrong")
	}
	u := &Union{Survivor: survivor, Duplicate: duplicate, Result: proto.CloneOf(s)}
	for _, field := range unitedFields() {
		has, other := *field.value(s), *field.value(d)
		if u.takes(field.path, has != "", other != "", has == other, chosen) {
			field.set(u.Result, d)
		}
	}
	if err := u.uniteAttributes(chosen); err != nil {
		return nil, err
	}
	u.Result.LegalHold = s.GetLegalHold() || d.GetLegalHold()
	if s.GetOwner() == "" && d.GetOwner() != "" {
		there, err := b.there(r, d.GetOwner())
		if err != nil {
			return nil, err
		}
		if there {
			u.Owner = d.GetOwner()
		}
	}
	var err error
	if u.Result.Tags, u.LeftTags, err = b.cfg.Tags.Unite(r, s.GetTags(), d.GetTags()); err != nil {
		return nil, err
	}
	return u, b.checkClasses(r, classFields{"duplicate.tags", "duplicate.attributes"}, u.Result, s)
}

// there reports whether an owner may still be one.
func (b *Book) there(r kv.Reader, owner string) (bool, error) {
	rec, found, err := b.Find(r, owner)
	return found && MayAct(rec.Value), err
}

// takes notes what becomes of a field, and reports whether the survivor gets the
// duplicate's value.
func (u *Union) takes(path string, has, other, same bool, chosen []string) bool {
	if !other || same {
		return false
	}
	if has {
		u.Differing = append(u.Differing, path)
	}
	taken := !has || slices.Contains(chosen, path)
	if taken {
		u.Taken = append(u.Taken, path)
	}
	return taken
}

func (u *Union) uniteAttributes(chosen []string) error {
	s, d := u.Survivor.Value.GetAttributes(), u.Duplicate.Value.GetAttributes()
	for _, id := range slices.Sorted(maps.Keys(d)) {
		had, has := s[id]
		same := has && proto.Equal(attribute.Value(had), attribute.Value(d[id]))
		if !u.takes(attributePrefix+id, has, true, same, chosen) {
			continue
		}
		if u.Result.Attributes == nil {
			u.Result.Attributes = make(map[string]*storev1.Attribute)
		}
		u.Result.Attributes[id] = d[id]
	}
	return attribute.CheckSize("duplicate.attributes", u.Result.GetAttributes())
}

// checkChosen refuses to choose what is no field that can be, or what the duplicate
// does not have.
func checkChosen(chosen []string, duplicate *storev1.Account) error {
	for _, path := range chosen {
		id, isAttribute := strings.CutPrefix(path, attributePrefix)
		_, has := duplicate.GetAttributes()[id]
		i := slices.IndexFunc(unitedFields(), func(u united) bool { return u.path == path && path != "external_id" })
		switch {
		case isAttribute && has:
		case i >= 0 && *unitedFields()[i].value(duplicate) != "":
		default:
			return errs.InvalidField("duplicate_fields", "MERGE_FIELD_INVALID", "name fields that the duplicate has: display_name, email, phone, country, language, or an attribute as in attributes.points")
		}
	}
	return nil
}
