package account

import (
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// CheckStaff refuses who is none of an organisation's staff, deleted or not, as
// NotFound (STAFF_MEMBER_NOT_FOUND).
func (b *Book) CheckStaff(r kv.Reader, organization, staff string) error {
	_, err := b.staffOf(r, organization, staff)
	return err
}

// CheckActing is CheckStaff that also refuses somebody suspended or deleted:
// Precondition, with the reason, on the field.
func (b *Book) CheckActing(r kv.Reader, organization, staff, field, reason string) error {
	rec, err := b.staffOf(r, organization, staff)
	if err == nil && !MayAct(rec.Value) {
		const text = "the member of staff is suspended or deleted; name another"
		err = errs.New(errs.Precondition, reason, text, errs.Field(field, reason, text))
	}
	return err
}

func (b *Book) staffOf(r kv.Reader, organization, staff string) (rec kv.Record[*storev1.Account], err error) {
	if resource.Parent(staff) != organization || !StaffPattern.Matches(staff) {
		return rec, errs.NotFoundName("STAFF_MEMBER_NOT_FOUND", staff)
	}
	return b.Get(r, staff)
}

// CheckThere returns nil when name is that of an account that is not deleted, and
// else NotFound (STAFF_MEMBER_NOT_FOUND or CUSTOMER_NOT_FOUND).
func (b *Book) CheckThere(r kv.Reader, name string) error {
	rec, err := b.Get(r, name)
	if err == nil && deleted(rec.Value) {
		err = notFound(name)
	}
	return err
}

// CheckChangeable returns nil when name is that of an account that is not deleted,
// and else NotFound or Precondition (ILLEGAL_STATE).
func (b *Book) CheckChangeable(r kv.Reader, name string) error {
	_, err := b.changeable(r, name, "")
	return err
}
