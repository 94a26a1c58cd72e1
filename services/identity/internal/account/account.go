// Package account keeps the people of an installation: the staff of an
// organisation and its customers.
//
// Both are one record with one set of rules, because what matters about an
// account, who may log in and what its state is, must not be decided twice.
// The collection in its name says of which kind it is, so that a kind never
// changes. What the API calls Customer and StaffMember are views of the
// record, made in internal/api.
//
// An account that may not act any more loses its sessions, and a deleted one
// its teams and its invitation, in the transaction that says so. That is why
// this centre knows the others, and none of them knows it.
package account

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/standing"
	"guildhall.dev/services/identity/internal/team"
)

// The forms of account names.
const (
	StaffPattern    = resource.Pattern("organizations/{organization}/staff/{staff_member}")
	CustomerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")
)

// Types of events about accounts.
const (
	StateChangedType = "guildhall.identity.account.state_changed.v1"
	UpdatedType      = "guildhall.identity.account.updated.v1"
	PurgedType       = "guildhall.identity.account.purged.v1"
)

// DefaultPurgeAfter is how long a deleted account can be brought back.
const DefaultPurgeAfter = 30 * 24 * time.Hour

// Config says what a Book needs. All but PurgeAfter is required.
type Config struct {
	// Hasher hides mail addresses, phone numbers and external ids in indexes.
	Hasher        kv.Hasher
	Organizations *organization.Book
	Credentials   *credential.Book
	Sessions      *session.Book
	Teams         *team.Book
	// Standing hears of accounts that may not act any more, or again.
	Standing *standing.Book
	// PurgeAfter is how long a deleted account can be brought back; zero is
	// the default.
	PurgeAfter time.Duration
}

// Book keeps the accounts. It is safe for concurrent use.
type Book struct {
	cfg              Config
	staff, customers *kv.Table[*storev1.Account]
}

// New returns a book.
func New(cfg Config) (*Book, error) {
	if cfg.Hasher == nil || cfg.Organizations == nil || cfg.Credentials == nil || cfg.Sessions == nil || cfg.Teams == nil || cfg.Standing == nil {
		return nil, errors.New("account: a book needs a hasher and the centres it changes along")
	}
	if cfg.PurgeAfter <= 0 {
		cfg.PurgeAfter = DefaultPurgeAfter
	}
	return &Book{cfg: cfg, staff: staffTable(cfg.Hasher), customers: customerTable(cfg.Hasher)}, nil
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return append(b.staff.Tables(), b.customers.Tables()...) }

// ParseName checks that name is one of a member of staff or a customer, and
// returns its kind. The error is Invalid on the given field.
func ParseName(field, name string) (authn.Kind, error) {
	switch {
	case StaffPattern.Matches(name):
		return authn.Staff, nil
	case CustomerPattern.Matches(name):
		return authn.Customer, nil
	}
	return authn.Unknown, errs.InvalidField(field, resource.Reason,
		"send the name of an account, as in organizations/acme/customers/c1 or organizations/acme/staff/s1")
}

// tableOf returns the table of the name's kind. Names were checked before.
func (b *Book) tableOf(name string) *kv.Table[*storev1.Account] {
	if StaffPattern.Matches(name) {
		return b.staff
	}
	return b.customers
}

func (b *Book) table(kind authn.Kind) *kv.Table[*storev1.Account] {
	if kind == authn.Staff {
		return b.staff
	}
	return b.customers
}

// Get returns an account, also a deleted one. The error is NotFound
// (STAFF_MEMBER_NOT_FOUND or CUSTOMER_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (kv.Record[*storev1.Account], error) {
	rec, found, err := b.Find(r, name)
	if err == nil && !found {
		err = notFound(name)
	}
	return rec, err
}

// Find returns an account and whether there is one.
func (b *Book) Find(r kv.Reader, name string) (kv.Record[*storev1.Account], bool, error) {
	return b.tableOf(name).Find(r, key(name))
}

// GetMany returns accounts of one kind in the order of the names. The error is
// NotFound when one is missing, and says which.
func (b *Book) GetMany(r kv.Reader, kind authn.Kind, names []string) ([]kv.Record[*storev1.Account], error) {
	keys := make([]kv.Key, len(names))
	for i, name := range names {
		keys[i] = key(name)
	}
	records, err := b.table(kind).GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	for i, rec := range records {
		if !rec.Found() {
			return nil, notFound(names[i])
		}
	}
	return records, nil
}

// CheckStaff returns nil when name is that of a member of staff who is not
// deleted, and else NotFound (STAFF_MEMBER_NOT_FOUND).
func (b *Book) CheckStaff(r kv.Reader, name string) error {
	rec, err := b.Get(r, name)
	if err == nil && rec.Value.GetState() == identityv1.AccountState_ACCOUNT_STATE_DELETED {
		err = notFound(name)
	}
	return err
}

// Create makes an account in state PENDING with the name and the caller's
// fields of a, and records it. Its errors are NotFound
// (ORGANIZATION_NOT_FOUND) and Exists: the name, or a value that only one
// account may have, is taken.
func (b *Book) Create(tx *change.Tx, a *storev1.Account) (kv.Record[*storev1.Account], error) {
	var none kv.Record[*storev1.Account]
	if _, err := b.cfg.Organizations.Get(tx, resource.Parent(a.GetName())); err != nil {
		return none, err
	}
	return b.create(tx, a, false)
}

// create is Create in an organisation that is known to exist. When it is
// covered, another change's audit entry speaks for it.
func (b *Book) create(tx *change.Tx, a *storev1.Account, covered bool) (kv.Record[*storev1.Account], error) {
	made := &storev1.Account{
		Name: a.GetName(), DisplayName: a.GetDisplayName(), Email: a.GetEmail(), Phone: a.GetPhone(),
		ExternalId: a.GetExternalId(), Country: a.GetCountry(), Language: a.GetLanguage(),
		State:      identityv1.AccountState_ACCOUNT_STATE_PENDING,
		CreateTime: timestamppb.New(tx.Time), UpdateTime: timestamppb.New(tx.Time),
	}
	fields := change.ChangedFields(nil, made)
	made.StateVersion = nextVersion(nil, tx.Time)
	rec, err := b.tableOf(made.GetName()).Create(tx, made)
	if err != nil {
		return rec, err
	}
	c := stateChanged(made, fields)
	c.Covered = covered
	tx.Record(c)
	return rec, nil
}

// Update sets the named fields of an account to those of a, and records it if
// that changed anything. Errors are NotFound, Conflict (ETAG_MISMATCH),
// Precondition (ILLEGAL_STATE) for a deleted account, and Exists for a value
// that is taken.
func (b *Book) Update(tx *change.Tx, a *storev1.Account, fields []string, etag string) (kv.Record[*storev1.Account], error) {
	old, err := b.Get(tx, a.GetName())
	if err != nil {
		return old, err
	}
	if err := old.CheckEtag(etag); err != nil {
		return old, err
	}
	if old.Value.GetState() == identityv1.AccountState_ACCOUNT_STATE_DELETED {
		return old, illegalState("the account is deleted; undelete it first")
	}
	return b.update(tx, old, a, fields, false)
}

// update sets the named fields of a record to those of a.
func (b *Book) update(tx *change.Tx, old kv.Record[*storev1.Account], a *storev1.Account, fields []string, covered bool) (kv.Record[*storev1.Account], error) {
	now := proto.CloneOf(old.Value)
	merge(now, a, fields)
	changed := change.ChangedFields(old.Value, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return old, nil
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	rec, err := b.tableOf(now.GetName()).Update(tx, now, "")
	if err != nil {
		return rec, err
	}
	tx.Record(change.Change{Resource: now.GetName(), Type: UpdatedType, ChangedFields: changed, Covered: covered})
	return rec, nil
}

func merge(into, from *storev1.Account, fields []string) {
	src, dst := from.ProtoReflect(), into.ProtoReflect()
	for i := range dst.Descriptor().Fields().Len() {
		fd := dst.Descriptor().Fields().Get(i)
		for _, name := range fields {
			if string(fd.Name()) == name {
				dst.Set(fd, src.Get(fd))
			}
		}
	}
}

func notFound(name string) error {
	if StaffPattern.Matches(name) {
		return errs.NotFoundName(staffNotFound, name)
	}
	return errs.NotFoundName(customerNotFound, name)
}

func illegalState(message string) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE", message)
}
