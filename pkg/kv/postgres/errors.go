package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
)

// SQLSTATE codes, as in appendix A of the PostgreSQL manual.
const (
	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
	codeReadOnly        = "25006"
	codeDiskFull        = "53100"
	codeTooMany         = "53300"
	codePassword        = "28P01"
	codeAuthorization   = "28000"
	codeNoDatabase      = "3D000"
	codePrivilege       = "42501"
	codeDuplicate       = "23505" // also two CREATE … IF NOT EXISTS at once
	codeDuplicateTable  = "42P07"
	codeDuplicateObject = "42710" // the row type of a table that is being made
	codeUnknownSetting  = "42704"
)

// stateOf returns the SQLSTATE of err, or "" when the server did not speak.
func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isConflict reports a transaction that lost to another and would succeed when
// run again.
func isConflict(err error) bool {
	state := stateOf(err)
	return state == codeSerialization || state == codeDeadlock
}

// isLost reports a connection or a server that is gone, or going.
func isLost(err error) bool {
	state := stateOf(err)
	return state == "" || strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P") || state == codeTooMany
}

// nothingSent reports an error from before the first byte went out.
func nothingSent(err error) bool { return pgconn.SafeToRetry(err) }

func unknownOutcome(cause error) error {
	return errs.New(errs.Unavailable, kv.ReasonUnknownOutcome,
		"the connection broke while the change was being saved; look whether it took effect, or repeat it under the same request id",
		errs.Cause(cause))
}

// storeError is the public form of an error of a running store.
func (s *Store) storeError(ctx context.Context, err error) error {
	if ended := engine.Context(ctx); ended != nil {
		return ended
	}
	switch stateOf(err) {
	case codeSerialization, codeDeadlock:
		return contention(err)
	case codeReadOnly:
		// After a failover the pool still holds the old primary.
		s.pool.Reset()
		return errs.New(errs.Precondition, kv.ReasonReadOnly,
			"the store takes no writes: PostgreSQL is read-only, a standby perhaps", errs.Cause(err))
	case codeDiskFull:
		return engine.Full(err)
	}
	if isLost(err) {
		return engine.Unavailable(err)
	}
	return fmt.Errorf("kv: postgres: %w", err)
}

// openError says what an operator can do about a failed Open. It names host,
// database and user, never the password.
func openError(ctx context.Context, c *pgx.ConnConfig, err error) error {
	if ended := engine.Context(ctx); ended != nil {
		return ended
	}
	at := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	kind, reason, message := errs.Unavailable, kv.ReasonUnavailable,
		fmt.Sprintf("cannot reach PostgreSQL at %s: check that it runs, and host and port of the store's URL", at)
	switch state := stateOf(err); state {
	case codePassword, codeAuthorization:
		kind, reason = errs.Precondition, kv.ReasonCredentials
		message = fmt.Sprintf("PostgreSQL at %s refused user %q or its password: correct the store's URL, or the server's pg_hba.conf", at, c.User)
	case codeNoDatabase:
		kind, reason = errs.Precondition, kv.ReasonDatabaseMissing
		message = fmt.Sprintf("PostgreSQL at %s has no database %q: create it (createdb), or correct the store's URL", at, c.Database)
	case codeReadOnly:
		kind, reason = errs.Precondition, kv.ReasonReadOnly
		message = fmt.Sprintf("PostgreSQL at %s is read-only: name the primary in the store's URL, or turn default_transaction_read_only off", at)
	case codePrivilege:
		kind, reason = errs.Precondition, kv.ReasonNotWritable
		message = fmt.Sprintf("PostgreSQL user %q may not use or create the store's schema in database %q: grant it CREATE on the database, or create the schema for it", c.User, c.Database)
	case codeTooMany:
		message = fmt.Sprintf("PostgreSQL at %s has no connection left: raise max_connections, or lower pool_max_conns in the store's URL", at)
	case codeDiskFull:
		kind, reason = errs.Exhausted, kv.ReasonFull
		message = fmt.Sprintf("the disk of PostgreSQL at %s is full: free space or grow the volume, then start again", at)
	default:
		if !isLost(err) {
			return fmt.Errorf("kv: postgres: open: %w", err)
		}
	}
	return errs.New(kind, reason, message, errs.Cause(err))
}
