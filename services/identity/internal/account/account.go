// Package account keeps who can act in an installation: the staff of an
// organisation, its customers, and its service accounts, which are programs.
//
// All are one record with one set of rules, because what matters about an
// account, who may log in and what its state is, must not be decided twice.
// The collection in its name says of which kind it is, so that a kind never
// changes. What the API calls Customer, StaffMember and ServiceAccount are views
// of the record, made in internal/api.
//
//	            create                disable
//	people ───▶ PENDING ──invitation──▶ ACTIVE ──────▶ SUSPENDED
//	programs ───────────────────────────▶ ▲ │ ◀──────── enable │
//	                                      │ │                  │
//	                             undelete │ │ delete           │ delete
//	                                      │ ▼                  │
//	                                     DELETED ◀─────────────┘
//	                                        │ purge time          customers, on
//	                                        ▼                     their request
//	                                     no account    any state ──────────────▶ ERASED
//
//	customers, PENDING, ACTIVE or SUSPENDED ──merge──▶ MERGED ──the survivor goes──▶ as it
//	                      ▲                               │
//	                      └──────────── undo ─────────────┘
//
// A customer that was merged into another is not there for anybody who asks for it
// (CUSTOMER_MERGED), nor is its name for anybody else.
//
// A program has no password: it is ACTIVE from the start, and package clientkey
// keeps what it proves itself with.
//
// An account that may not act any more loses its sessions, and a deleted one
// its teams, its segments and its invitation, in the transaction that says so;
// one of staff is then an owner who has departed; and a customer that changes is
// in the segments whose rules are then true of it.
// That is why this centre knows the others, and none of them knows it.
package account

import (
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/absence"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/consent"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/dismissal"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/interaction"
	"guildhall.dev/services/identity/internal/merge"
	"guildhall.dev/services/identity/internal/order"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/preference"
	"guildhall.dev/services/identity/internal/rights"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/stage"
	"guildhall.dev/services/identity/internal/standing"
	"guildhall.dev/services/identity/internal/tag"
	"guildhall.dev/services/identity/internal/takeout"
	"guildhall.dev/services/identity/internal/task"
	"guildhall.dev/services/identity/internal/team"
	"guildhall.dev/services/identity/internal/timeline"
	"guildhall.dev/services/identity/internal/verification"
)

// The forms of account names.
const (
	StaffPattern    = resource.Pattern("organizations/{organization}/staff/{staff_member}")
	CustomerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")
	ServicePattern  = resource.Pattern("organizations/{organization}/serviceAccounts/{service_account}")
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
	Factors       *factor.Book
	// Keys are those of service accounts.
	Keys     *clientkey.Book
	Sessions *session.Book
	Teams    *team.Book
	// Tags and Attributes say what a customer may be given, Segments follow.
	Tags       *tag.Book
	Attributes *attribute.Book
	Segments   *segment.Book
	// Outbox has the messages to accounts, Verifications the codes that prove their
	// contacts.
	Outbox        *delivery.Book
	Verifications *verification.Book
	// Ownerships hear of who looks after whom.
	Ownerships *ownership.Book
	// Orders are customers' own, and go with them; Stages follow them.
	Orders *order.Book
	// Interactions go with their customers.
	Interactions *interaction.Book
	// Preferences go with their customers.
	Preferences *preference.Book
	Stages      *stage.Book
	// Consents are customers' own too.
	Consents *consent.Book
	// Tasks and Absences hear of staff who leave, and lose who is gone.
	Tasks    *task.Book
	Absences *absence.Book
	// Rights has what customers asked about their data.
	Rights *rights.Book
	// Dismissals are of pairs of customers, and go with one of them.
	Dismissals *dismissal.Book
	// Timeline has what happened to customers, and goes with them.
	Timeline *timeline.Book
	// Merges are of pairs of customers too; one that moves keeps them where they are.
	Merges *merge.Book
	// Takeouts have what was put together for customers.
	Takeouts *takeout.Book
	// Standing hears of accounts that may not act any more, or again.
	Standing *standing.Book
	// PurgeAfter is how long a deleted account can be brought back; zero is
	// the default.
	PurgeAfter time.Duration
}

// Book keeps the accounts. It is safe for concurrent use.
type Book struct {
	cfg                        Config
	staff, customers, services *kv.Table[*storev1.Account]
	retired                    *kv.Table[*storev1.RetiredName]
	shared                     *kv.Table[*storev1.SharedLikeness]
}

// New returns a book.
func New(cfg Config) (*Book, error) {
	if cfg.Hasher == nil || cfg.Organizations == nil || cfg.Credentials == nil || cfg.Factors == nil || cfg.Keys == nil || cfg.Sessions == nil || cfg.Teams == nil || cfg.Standing == nil ||
		cfg.Tags == nil || cfg.Attributes == nil || cfg.Segments == nil || cfg.Ownerships == nil || cfg.Outbox == nil || cfg.Verifications == nil || cfg.Orders == nil || cfg.Interactions == nil || cfg.Preferences == nil || cfg.Stages == nil || cfg.Consents == nil || cfg.Tasks == nil || cfg.Absences == nil || cfg.Rights == nil || cfg.Takeouts == nil || cfg.Dismissals == nil || cfg.Timeline == nil || cfg.Merges == nil {
		return nil, errors.New("account: a book needs a hasher and the centres it changes along")
	}
	if cfg.PurgeAfter <= 0 {
		cfg.PurgeAfter = DefaultPurgeAfter
	}
	return &Book{
		cfg: cfg, staff: staffTable(cfg.Hasher), customers: customerTable(cfg.Hasher), services: serviceTable(cfg.Hasher),
		retired: retiredTable(), shared: sharedTable(),
	}, nil
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return slices.Concat(b.staff.Tables(), b.customers.Tables(), b.services.Tables(), b.retired.Tables(), b.shared.Tables())
}

// ParseName checks that name is one of a person, a member of staff or a
// customer, and returns its kind. The error is Invalid on the given field: what
// takes such a name has to do with passwords and sessions, and programs have
// neither.
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
	kind, _, _ := authn.ParseName(name)
	return b.table(kind)
}

func (b *Book) table(kind authn.Kind) *kv.Table[*storev1.Account] {
	switch kind {
	case authn.Staff:
		return b.staff
	case authn.ServiceAccount:
		return b.services
	default:
		return b.customers
	}
}

// Get returns an account, also a deleted one. The error is NotFound
// (STAFF_MEMBER_NOT_FOUND, CUSTOMER_NOT_FOUND or SERVICE_ACCOUNT_NOT_FOUND;
// CUSTOMER_MERGED for one that was merged into another).
func (b *Book) Get(r kv.Reader, name string) (kv.Record[*storev1.Account], error) {
	rec, found, err := b.Find(r, name)
	switch {
	case err != nil:
	case !found:
		err = notFound(name)
	case rec.Value.GetState() == merged:
		err = errs.New(errs.NotFound, "CUSTOMER_MERGED", "the customer was merged into another account; ask for that one")
	}
	return rec, err
}

// Find returns an account and whether there is one, also one that was merged.
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

// Create makes an account with the name and the caller's fields of a, and
// records it: in state PENDING, or ACTIVE when it is a program's. Its errors are NotFound
// (ORGANIZATION_NOT_FOUND), Exists: the name, or a value that only one account
// may have, is taken; those of tags and attributes, see Classify; and what the
// permit returns for segments that the customer would be in.
func (b *Book) Create(tx *change.Tx, a *storev1.Account, permit segment.Permit) (kv.Record[*storev1.Account], error) {
	var none kv.Record[*storev1.Account]
	if _, err := b.cfg.Organizations.Get(tx, resource.Parent(a.GetName())); err != nil {
		return none, err
	}
	return b.create(tx, a, manner{permit: permit})
}

// manner is how a change of an account is made.
type manner struct {
	// covered says that another change's audit entry speaks for it.
	covered bool
	// permit is asked about the segments that the customer would join or leave.
	permit segment.Permit
	// password is the hash of a password that a new account comes with.
	password string
}

// create is Create in an organisation that is known to exist. An account that
// comes with a password is ACTIVE: it can log in at once.
func (b *Book) create(tx *change.Tx, a *storev1.Account, how manner) (kv.Record[*storev1.Account], error) {
	made := &storev1.Account{
		Name: a.GetName(), DisplayName: a.GetDisplayName(), Email: a.GetEmail(), Phone: a.GetPhone(),
		ExternalId: a.GetExternalId(), Country: a.GetCountry(), Language: a.GetLanguage(), Description: a.GetDescription(),
		Tags: a.GetTags(), Attributes: a.GetAttributes(),
		State:      identityv1.AccountState_ACCOUNT_STATE_PENDING,
		CreateTime: timestamppb.New(tx.Time), UpdateTime: timestamppb.New(tx.Time),
	}
	if ServicePattern.Matches(made.GetName()) || how.password != "" {
		made.State, made.Activated = active, true
	}
	if err := b.checkClasses(tx, ofCustomer(), made, nil); err != nil {
		return kv.Record[*storev1.Account]{}, err
	}
	if err := b.cfg.Segments.Reassess(tx, nil, made, how.permit); err != nil {
		return kv.Record[*storev1.Account]{}, err
	}
	if err := b.begin(tx, made); err != nil {
		return kv.Record[*storev1.Account]{}, err
	}
	if err := b.checkRetired(tx, made.GetName()); err != nil {
		return kv.Record[*storev1.Account]{}, err
	}
	fields := change.ChangedFields(nil, made)
	made.StateVersion = nextVersion(nil, tx.Time)
	rec, err := b.tableOf(made.GetName()).Create(tx, made)
	if err != nil {
		return rec, err
	}
	c := stateChanged(made, fields)
	c.Covered = how.covered
	c.Data.(*identityv1.AccountStateChanged).Created = true
	tx.Record(c)
	if err := b.followLikeness(tx, nil, made); err != nil {
		return rec, err
	}
	if how.password == "" {
		return rec, nil
	}
	return rec, b.cfg.Credentials.SetPassword(tx, made.GetName(), credential.Secret{Hash: how.password, Contact: contact.Of(made).Folded()}, tx.Time)
}

// Update sets the named fields of an account to those of a, and records it if
// that changed anything. Errors are NotFound, Conflict (ETAG_MISMATCH),
// Precondition (ILLEGAL_STATE) for a deleted account, Exists for a value that is
// taken, those of tags and attributes, see Classify, and what the permit returns
// for segments that the customer would join or leave.
func (b *Book) Update(tx *change.Tx, a *storev1.Account, fields []string, etag string, permit segment.Permit) (kv.Record[*storev1.Account], error) {
	old, err := b.changeable(tx, a.GetName(), etag)
	if err != nil {
		return old, err
	}
	now := proto.CloneOf(old.Value)
	fieldmask.Apply(now, a, fields)
	unprove(old.Value, now)
	if err := b.checkClasses(tx, ofCustomer(), now, old.Value); err != nil {
		return old, err
	}
	return b.update(tx, old, now, manner{permit: permit})
}

// changeable returns an account that may be changed. Errors are NotFound,
// Conflict (ETAG_MISMATCH), and Precondition (ILLEGAL_STATE) for a deleted one.
func (b *Book) changeable(r kv.Reader, name, etag string) (kv.Record[*storev1.Account], error) {
	old, err := b.Get(r, name)
	if err != nil {
		return old, err
	}
	if err := old.CheckEtag(etag); err != nil {
		return old, err
	}
	if deleted(old.Value) {
		return old, illegalState("the account is deleted; undelete it first")
	}
	return old, nil
}

// update puts now, which it takes over, in place of a record.
func (b *Book) update(tx *change.Tx, old kv.Record[*storev1.Account], now *storev1.Account, how manner) (kv.Record[*storev1.Account], error) {
	changed := change.ChangedFields(old.Value, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return old, nil
	}
	if err := b.cfg.Segments.Reassess(tx, old.Value, now, how.permit); err != nil {
		return old, err
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	rec, err := b.tableOf(now.GetName()).Update(tx, now, "")
	if err != nil {
		return rec, err
	}
	tx.Record(change.Change{
		Resource: now.GetName(), Type: UpdatedType, ChangedFields: changed, Covered: how.covered,
		Data: &identityv1.AccountUpdated{ChangedFields: changed},
	})
	if err := b.followLikeness(tx, old.Value, now); err != nil {
		return rec, err
	}
	return rec, b.followContacts(tx, old.Value, now)
}

func notFound(name string) error {
	switch kind, _, _ := authn.ParseName(name); kind {
	case authn.Staff:
		return errs.NotFoundName(staffNotFound, name)
	case authn.ServiceAccount:
		return errs.NotFoundName(serviceNotFound, name)
	default:
		return errs.NotFoundName(customerNotFound, name)
	}
}

func illegalState(message string) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE", message)
}
