package account

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/contact"
)

// separate returns a survivor with what it had before a merge in each field that is as
// the merge made it, and the fields that are not.
func separate(present *storev1.Account, s Separation) (now *storev1.Account, kept []string) {
	now = proto.CloneOf(present)
	for _, field := range unitedFields() {
		was, made, is := *field.value(s.Former), *field.value(s.Result), *field.value(present)
		switch {
		case was == made:
		case is != made:
			kept = append(kept, field.path)
		default:
			field.set(now, s.Former)
		}
	}
	now.Tags = slices.DeleteFunc(now.Tags, func(tag string) bool {
		return slices.Contains(s.Result.GetTags(), tag) && !slices.Contains(s.Former.GetTags(), tag)
	})
	for _, id := range slices.Sorted(maps.Keys(s.Result.GetAttributes())) {
		was, made, is := s.Former.GetAttributes()[id], s.Result.GetAttributes()[id], present.GetAttributes()[id]
		switch {
		case sameAttribute(was, made):
		case !sameAttribute(is, made):
			kept = append(kept, attributePrefix+id)
		case was == nil:
			delete(now.Attributes, id)
		default:
			now.Attributes[id] = was
		}
	}
	return now, kept
}

func sameAttribute(a, b *storev1.Attribute) bool {
	return proto.Equal(attribute.Value(a), attribute.Value(b))
}

// keepTaken takes out of an account what it would get and somebody else has by now,
// and adds the fields to those that it did not get.
func (b *Book) keepTaken(r kv.Reader, was, now *storev1.Account, kept []string) ([]string, error) {
	organization := kv.String(resource.Parent(now.GetName()))
	for _, field := range unitedFields() {
		value := *field.value(now)
		index := map[string]string{"email": byEmail, "phone": byPhone, "external_id": byExternalID}[field.path]
		if index == "" || value == "" || value == *field.value(was) {
			continue
		}
		if index == byEmail {
			value = contact.FoldEmail(value)
		}
		rec, found, err := b.customers.FindBy(r, index, kv.Key{organization, kv.Personal(value)})
		if err != nil {
			return nil, err
		}
		if found && rec.Value.GetName() != now.GetName() {
			field.set(now, was)
			kept = append(kept, field.path)
		}
	}
	return kept, nil
}

// Merging reports whether what is written down of a customer moves to another account
// or from one.
func (b *Book) Merging(r kv.Reader, customer string) (bool, error) {
	return b.cfg.Merges.Busy(r, customer)
}

// CheckMergeable returns the two accounts of a merge, both of one organisation. Errors
// are NotFound (CUSTOMER_NOT_FOUND, CUSTOMER_MERGED), Conflict (ETAG_MISMATCH), and
// Precondition: CUSTOMER_ERASED, ILLEGAL_STATE for a duplicate that is deleted, and
// MERGE_SURVIVOR_NOT_ACTIVE.
func (b *Book) CheckMergeable(r kv.Reader, survivor, etag, duplicate, duplicateEtag string) (s, d kv.Record[*storev1.Account], err error) {
	for _, name := range []string{survivor, duplicate} {
		if err := b.CheckNotErased(r, name); err != nil {
			return s, d, err
		}
	}
	if d, err = b.changeable(r, duplicate, duplicateEtag); err != nil {
		return s, d, err
	}
	if s, err = b.Get(r, survivor); err != nil {
		return s, d, err
	}
	if err := s.CheckEtag(etag); err != nil {
		return s, d, err
	}
	if !mayAct(s.Value) {
		err = errs.New(errs.Precondition, "MERGE_SURVIVOR_NOT_ACTIVE", "the survivor is suspended or deleted; enable it first, or merge the other way round")
	}
	return s, d, err
}
