// Package bootstrap makes the first organisation of an installation and its
// administrator, so that there is somebody who can make all the rest.
//
// It happens once in the life of a store; only the password can be made anew,
// at a later start, for an administrator who is locked out. It is random, good
// for one login, and shown on the terminal of the process that made it and
// nowhere else: a password in a configuration file would be one that nobody
// changes.
package bootstrap

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// AdministratorID is the last segment of the first administrator's name.
const AdministratorID = "admin"

// Config says what to make. All fields but Reissue are required.
type Config struct {
	Store         kv.Store
	Journal       *change.Journal
	Organizations *organization.Book
	Accounts      *account.Book
	Credentials   *credential.Book
	Factors       *factor.Book
	Sessions      *session.Book
	Passwords     *credential.Pool
	Waits         *throttle.Book
	// Organization is the last segment of the first organisation's name.
	Organization string
	// Reissue makes and shows another password, also long after the first
	// login: whoever may start the process can always get back in.
	Reissue bool
	// Console is where the operator reads the password: a terminal, not a log.
	Console io.Writer
}

// Tables returns the raw tables of the package.
func Tables() []string { return table().Tables() }

// table has one record, once there is an organisation.
func table() *kv.Table[*storev1.Bootstrap] {
	return kv.NewTable(kv.TableConfig[*storev1.Bootstrap]{
		Name: "bootstrap", NotFound: "BOOTSTRAP_NOT_FOUND",
		Key: func(*storev1.Bootstrap) kv.Key { return theKey() },
	})
}

func theKey() kv.Key { return kv.Key{kv.String("bootstrap")} }

// Run makes the first organisation and its administrator and shows the
// password, unless the store has had a bootstrap. Of replicas that start on a
// new store together, one does.
func Run(ctx context.Context, cfg Config) error {
	if !resource.ValidID(cfg.Organization) {
		return errs.New(errs.Invalid, "CONFIG_INVALID",
			"identity.bootstrap.organization must be lower-case letters, digits and inner hyphens, as in acme")
	}
	// Hashing a password for nothing would delay every start.
	switch done, err := cfg.done(ctx); {
	case err != nil:
		return err
	case done && !cfg.Reissue:
		return nil
	}
	password := newPassword()
	hash, err := cfg.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	var administrator string
	var reissued bool
	err = change.DoSystem(ctx, cfg.Journal, "identity.bootstrap", func(tx *change.Tx) error {
		administrator, reissued, err = cfg.make(tx, hash)
		return err
	})
	if err != nil || administrator == "" {
		return err
	}
	occasion := "First start."
	if reissued {
		occasion = "A new way in; what opened the account before is void."
	}
	_, err = fmt.Fprintf(cfg.Console, `%s Log in as the administrator and choose a password; this one is shown only now.
  organization       %s
  administrator      %s
  one-time password  %s
`, occasion, administrator[:strings.Index(administrator, "/staff/")], administrator, password)
	if err != nil {
		return fmt.Errorf("the one-time password could not be shown; start once with --identity.bootstrap.reissue: %w", err)
	}
	return nil
}

func (cfg *Config) done(ctx context.Context) (done bool, err error) {
	err = cfg.Store.View(ctx, func(r kv.Reader) error {
		_, done, err = table().Find(r, theKey())
		return err
	})
	return done, err
}

// make makes what is missing and returns whose password the hash now is, ""
// when it is nobody's, and whether there was one before.
func (cfg *Config) make(tx *change.Tx, hash string) (administrator string, reissued bool, err error) {
	rec, found, err := table().Find(tx, theKey())
	switch {
	case err != nil:
		return "", false, err
	case found && !cfg.Reissue:
		tx.Unchanged()
		return "", false, nil
	case found:
		administrator = rec.Value.GetOrganization() + "/staff/" + AdministratorID
		return administrator, true, cfg.reissue(tx, administrator, hash)
	}
	org := organization.Pattern.Format(cfg.Organization)
	administrator = account.StaffPattern.Format(cfg.Organization, AdministratorID)
	_, err = cfg.Organizations.Create(tx, &identityv1.Organization{
		Name: org, DisplayName: cfg.Organization, DefaultLanguage: "en",
	}, administrator, true)
	if err != nil {
		return "", false, err
	}
	if err := cfg.letIn(tx, administrator, hash); err != nil {
		return "", false, err
	}
	_, err = table().Create(tx, &storev1.Bootstrap{Organization: org, CreateTime: timestamppb.New(tx.Time)})
	return administrator, false, err
}

// reissue makes the hash the one way into the administrator's account. What
// locked it, and who else may be in it, is of no matter: whoever starts the
// process could change the store as well.
func (cfg *Config) reissue(tx *change.Tx, administrator, hash string) error {
	if _, err := cfg.Sessions.EndAll(tx, administrator, ""); err != nil {
		return err
	}
	// The second factor may be what was lost.
	if _, err := cfg.Factors.Reset(tx, administrator); err != nil {
		return err
	}
	// Nor is the way in to be kept shut by who guesses at it.
	if _, err := cfg.Waits.Clear(tx, resource.Parent(administrator), []string{administrator}); err != nil {
		return err
	}
	tx.Record(change.Change{Resource: administrator, ChangedFields: []string{"password"}})
	return cfg.letIn(tx, administrator, hash)
}

// letIn makes the account active, whatever it was, with a password for one
// login.
func (cfg *Config) letIn(tx *change.Tx, name, hash string) error {
	rec, found, err := cfg.Accounts.Find(tx, name)
	switch state := rec.Value.GetState(); {
	case err != nil:
		return err
	case !found:
		_, err = cfg.Accounts.Revive(tx, &storev1.Account{Name: name, DisplayName: "Administrator"})
	case state == identityv1.AccountState_ACCOUNT_STATE_DELETED:
		if rec, err = cfg.Accounts.Undelete(tx, name, "", nil); err != nil {
			return err
		}
		if rec.Value.GetState() == identityv1.AccountState_ACCOUNT_STATE_SUSPENDED {
			_, err = cfg.Accounts.Enable(tx, name, "", nil)
		}
	case state == identityv1.AccountState_ACCOUNT_STATE_SUSPENDED:
		_, err = cfg.Accounts.Enable(tx, name, "", nil)
	}
	if err != nil {
		return err
	}
	if err := cfg.Accounts.Activate(tx, name, nil); err != nil {
		return err
	}
	// Without a contact: who is to get this password is shown it.
	return cfg.Credentials.SetPassword(tx, name, credential.Secret{Hash: hash, MustChange: true}, tx.Time)
}

// newPassword returns a random password of more than 120 bits that a person
// can copy by hand.
func newPassword() string {
	text := strings.ToLower(rand.Text())
	var groups []string
	for ; len(text) >= 5; text = text[5:] {
		groups = append(groups, text[:5])
	}
	return strings.Join(groups, "-")
}
