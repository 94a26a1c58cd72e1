// Package session keeps logins: which devices an account is logged in on, and
// the refresh tokens that keep each of them going.
//
// A session is one record while it lives and nothing when it has ended. Its
// refresh token is the session's id and a number under a keyed hash, so that
// nothing secret is stored, and the record needs only two numbers to tell a
// phone that lost an answer from a thief: see Refresh. Whether the account may
// still log in is not asked here; access tokens are pkg/authn's. When the newest
// access token of a session ends is in its record, so that whoever ends the
// session knows for how long others have to be told.
package session

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/standing"
)

// Limits of sessions; see Config.
const (
	DefaultAbsolute = 30 * 24 * time.Hour
	DefaultIdle     = 14 * 24 * time.Hour
	DefaultMost     = 20
	// DefaultTokenTTL is how long an access token lives.
	DefaultTokenTTL = 5 * time.Minute
)

// Config says how long sessions live. Key and Standing are required.
type Config struct {
	// Key signs refresh tokens; 32 secret bytes that all replicas share.
	Key []byte
	// Absolute is the longest a session lives, Idle the longest without a
	// refresh. Zero is the default.
	Absolute, Idle time.Duration
	// Most is how many sessions an account has at once; zero is the default.
	// One more login ends the oldest.
	Most int
	// TokenTTL is how long an access token lives; zero is the default.
	TokenTTL time.Duration
	// Standing hears of sessions that end before their tokens.
	Standing *standing.Book
}

// Book keeps the sessions of all accounts. It is safe for concurrent use.
type Book struct {
	cfg        Config
	table      *kv.Table[*storev1.Session]
	codes      *kv.Table[*storev1.AuthorizationCode]
	challenges *kv.Table[*storev1.LoginChallenge]
}

// New returns a book.
func New(cfg Config) (*Book, error) {
	if len(cfg.Key) < sha256.Size {
		return nil, errors.New("session: the key of refresh tokens is too short")
	}
	if cfg.Standing == nil {
		return nil, errors.New("session: a book needs to tell of sessions that end")
	}
	if cfg.Absolute <= 0 {
		cfg.Absolute = DefaultAbsolute
	}
	if cfg.Idle <= 0 {
		cfg.Idle = DefaultIdle
	}
	if cfg.Most <= 0 {
		cfg.Most = DefaultMost
	}
	if cfg.TokenTTL <= 0 {
		cfg.TokenTTL = DefaultTokenTTL
	}
	return &Book{cfg: cfg, table: table(), codes: codes(), challenges: challenges()}, nil
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return slices.Concat(b.table.Tables(), b.codes.Tables(), b.challenges.Tables())
}

const (
	byID     = "id"
	byExpiry = "expiry"
)

// table is (account, id) -> Session. Ids are UUIDv7, so the sessions of an
// account lie in the order of their logins.
func table() *kv.Table[*storev1.Session] {
	return kv.NewTable(kv.TableConfig[*storev1.Session]{
		Name:     "sessions",
		NotFound: "SESSION_NOT_FOUND",
		Key: func(s *storev1.Session) kv.Key {
			return key(AccountOf(s.GetName()), ID(s.GetName()))
		},
		Indexes: []kv.Index[*storev1.Session]{{
			Name: byID, Unique: true,
			Keys: func(s *storev1.Session) []kv.Key { return []kv.Key{{kv.String(ID(s.GetName()))}} },
		}, {
			// By the absolute limit only: the idle one moves with each
			// refresh, and would have an index entry move with it.
			Name: byExpiry,
			Keys: func(s *storev1.Session) []kv.Key { return []kv.Key{{kv.Time(s.GetExpireTime().AsTime())}} },
		}},
	})
}

func key(account, id string) kv.Key { return kv.Key{kv.String(account), kv.String(id)} }

// collection stands between an account's name and a session's id.
const collection = "/sessions/"

// Name returns the name of a session.
func Name(account, id string) string { return account + collection + id }

// Split returns the account and the id in a session's name, and false for what
// is none. It checks neither.
func Split(name string) (account, id string, ok bool) {
	i := strings.LastIndex(name, collection)
	if i < 0 {
		return "", "", false
	}
	return name[:i], name[i+len(collection):], true
}

// ID returns the last segment of a session's name, which access tokens carry.
func ID(name string) string {
	_, id, _ := Split(name)
	return id
}

// AccountOf returns the account of a session's name.
func AccountOf(name string) string {
	account, _, _ := Split(name)
	return account
}

// ends returns when a session ends unless it is refreshed.
func (b *Book) ends(s *storev1.Session) time.Time {
	end, idle := s.GetExpireTime().AsTime(), s.GetLastSeenTime().AsTime().Add(b.cfg.Idle)
	if idle.Before(end) {
		return idle
	}
	return end
}

func (b *Book) live(s *storev1.Session, now time.Time) bool { return now.Before(b.ends(s)) }

// Live returns a session, and false when there is none or it is over.
func (b *Book) Live(r kv.Reader, account, id string, now time.Time) (*storev1.Session, bool, error) {
	rec, found, err := b.table.Find(r, key(account, id))
	if err != nil || !found || !b.live(rec.Value, now) {
		return nil, false, err
	}
	return rec.Value, true, nil
}

// OfToken returns the live session that a refresh token is of, and whether the
// token would be taken now. There is none when the token is not one of ours.
func (b *Book) OfToken(r kv.Reader, token string, now time.Time) (s *storev1.Session, good bool, err error) {
	id, number, err := b.parseToken(token)
	if err != nil {
		return nil, false, nil // a reason to say nothing about it
	}
	rec, found, err := b.table.FindBy(r, byID, kv.Key{kv.String(id)})
	if err != nil || !found || !b.live(rec.Value, now) {
		return nil, false, err
	}
	return rec.Value, number == rec.Value.GetIssued() || number == rec.Value.GetPresented(), nil
}

// Ends returns when a session ends unless it is refreshed.
func (b *Book) Ends(s *storev1.Session) time.Time { return b.ends(s) }

// List returns an account's live sessions, newest first, and where to go on
// behind them, nil at the end.
func (b *Book) List(r kv.Reader, account string, after []byte, limit int, now time.Time) ([]*storev1.Session, []byte, error) {
	var out []*storev1.Session
	var last []byte
	q := kv.Query{Prefix: kv.Key{kv.String(account)}, Reverse: true, After: after}
	for rec, err := range b.table.Scan(r, q) {
		if err != nil {
			return nil, nil, err
		}
		if !b.live(rec.Value, now) {
			continue
		}
		if len(out) == limit {
			return out, last, nil
		}
		out, last = append(out, rec.Value), rec.Position
	}
	return out, nil, nil
}
