package session

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// EndedType is the type of the event of a session's end.
const EndedType = "guildhall.identity.session.ended.v1"

// Login is what a session remembers of its beginning.
type Login struct {
	// Device is what the client called its device, Address where the login
	// came from. Either may be empty.
	Device, Address string
	// Factors are how the login was proven, in the words of RFC 8176.
	Factors []string
	// Client is the app that is let in, and Scopes what its tokens are good for;
	// "" and nil for the suite's own.
	Client string
	Scopes []string
	// At is when the login was proven; zero is now.
	At time.Time
}

// Offline is the scope of sessions that can be refreshed (OpenID Connect Core
// section 11). A session of an app without it ends with its first access token.
const Offline = "offline_access"

// Lasting reports whether a session gives refresh tokens.
func Lasting(s *storev1.Session) bool {
	return s.GetClient() == "" || slices.Contains(s.GetScopes(), Offline)
}

// AuthTime returns when the login of a session was proven.
func AuthTime(s *storev1.Session) time.Time {
	if s.GetAuthTime() != nil {
		return s.GetAuthTime().AsTime()
	}
	return s.GetCreateTime().AsTime()
}

// Open begins a session of the account under the id, which is a new one, and
// records it. When the account has too many, the oldest end.
func (b *Book) Open(tx *change.Tx, account, id string, l Login) (*storev1.Session, error) {
	if err := b.makeRoom(tx, account); err != nil {
		return nil, err
	}
	now := timestamppb.New(tx.Time)
	s := &storev1.Session{
		Name: Name(account, id), DeviceLabel: l.Device, RemoteAddress: l.Address, Factors: l.Factors,
		CreateTime: now, LastSeenTime: now, ExpireTime: timestamppb.New(tx.Time.Add(b.cfg.Absolute)),
		Issued: 1, Client: l.Client, Scopes: l.Scopes,
	}
	if !l.At.IsZero() {
		s.AuthTime = timestamppb.New(l.At)
	}
	if !Lasting(s) {
		s.ExpireTime = timestamppb.New(tx.Time.Add(b.cfg.TokenTTL))
	}
	b.issue(s, tx.Time)
	if _, err := b.table.Create(tx, s); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: s.GetName()})
	return s, nil
}

// Proved notes in a session that its person has proven one more factor: now there is
// more than one. When the password was proven stays what it was. A session that is
// gone is left alone.
func (b *Book) Proved(tx *change.Tx, name string, factors ...string) error {
	rec, found, err := b.table.Find(tx, key(AccountOf(name), ID(name)))
	if err != nil || !found {
		return err
	}
	rec.Value.Factors = union(rec.Value.GetFactors(), factors)
	_, err = b.table.Update(tx, rec.Value, "")
	return err
}

// Renew notes in a live session that its person has proven again, by the factors, who
// they are, issues an access token, and records it. The error is Unauthenticated
// (SESSION_ENDED).
func (b *Book) Renew(tx *change.Tx, name string, factors ...string) (*storev1.Session, error) {
	s, live, err := b.Live(tx, AccountOf(name), ID(name), tx.Time)
	if err != nil {
		return nil, err
	}
	if !live {
		return nil, errs.New(errs.Unauthenticated, "SESSION_ENDED", "the session has ended; log in again")
	}
	s.Factors = union(s.GetFactors(), factors)
	s.AuthTime, s.LastSeenTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	b.issue(s, tx.Time)
	tx.Record(change.Change{Resource: name, ChangedFields: []string{"auth_time", "factors"}})
	_, err = b.table.Update(tx, s, "")
	return s, err
}

// union returns the factors of before, and those of now that are not among them.
func union(before, now []string) []string {
	for _, f := range now {
		if !slices.Contains(before, f) {
			before = append(before, f)
		}
	}
	return before
}

// makeRoom ends the oldest sessions of an account until one more fits.
func (b *Book) makeRoom(tx *change.Tx, account string) error {
	var all []*storev1.Session
	for rec, err := range b.table.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		all = append(all, rec.Value)
	}
	// The dead go first: they may be younger than a live one.
	slices.SortStableFunc(all, func(x, y *storev1.Session) int {
		return rank(b.live(x, tx.Time)) - rank(b.live(y, tx.Time))
	})
	for i := range max(0, len(all)-b.cfg.Most+1) {
		if err := b.end(tx, all[i]); err != nil {
			return err
		}
	}
	return nil
}

func rank(live bool) int {
	if live {
		return 1
	}
	return 0
}

// Refresh takes a refresh token of a session of the client, "" for the suite's
// own apps, and returns the session with a
// new one issued; see Book.Token. When it returns ended, the token was void:
// the session it belonged to is over, and that has to be committed.
//
// Two numbers decide. The newest token that was issued is always taken. The
// newest that came back is taken again, since its answer may have been lost;
// what was issued in that answer is void from then. So whoever holds a copy of
// a token and the session's owner cannot both go on: the second of them to
// come sends a token that is older than the last that came back, or a void
// one, and the session ends (RFC 9700 section 4.14).
//
// Taking the same token again must give a new one, not the same answer: with
// that, a thief and the owner would walk side by side for ever.
//
// The error is Unauthenticated (REFRESH_TOKEN_INVALID) for a token of no live
// session, or of another client's: that is not who it was given to, so its session
// stays as it is.
func (b *Book) Refresh(tx *change.Tx, client, token string) (s *storev1.Session, ended bool, err error) {
	id, number, err := b.parseToken(token)
	if err != nil {
		return nil, false, err
	}
	rec, found, err := b.table.FindBy(tx, byID, kv.Key{kv.String(id)})
	if err != nil {
		return nil, false, err
	}
	if !found || !b.live(rec.Value, tx.Time) || rec.Value.GetClient() != client {
		return nil, false, RefreshInvalid()
	}
	s = rec.Value
	switch number {
	case s.GetIssued(), s.GetPresented():
		s.Presented = number
		s.Issued++
		s.LastSeenTime = timestamppb.New(tx.Time)
		b.issue(s, tx.Time)
		_, err := b.table.Update(tx, s, "")
		return s, false, err
	default:
		return s, true, b.end(tx, s)
	}
}

// End ends one session, live or not, and records it. Ending one that is not
// there does nothing. It returns how many ended.
func (b *Book) End(tx *change.Tx, name string) (int, error) {
	rec, found, err := b.table.Find(tx, key(AccountOf(name), ID(name)))
	if err != nil || !found {
		return 0, err
	}
	return 1, b.end(tx, rec.Value)
}

// EndAll ends all sessions of an account but the one named except, which may
// be empty, its codes and its challenges, and records each session. It returns how
// many ended.
func (b *Book) EndAll(tx *change.Tx, account, except string) (int, error) {
	if err := void(b.codes, tx, account); err != nil {
		return 0, err
	}
	if err := void(b.challenges, tx, account); err != nil {
		return 0, err
	}
	n := 0
	for rec, err := range b.table.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return n, err
		}
		if rec.Value.GetName() == except {
			continue
		}
		if err := b.end(tx, rec.Value); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (b *Book) end(tx *change.Tx, s *storev1.Session) error {
	tx.Record(ended(s))
	account, id := AccountOf(s.GetName()), ID(s.GetName())
	if err := b.cfg.Standing.EndSession(tx, tx.Time, account, id, forget(s)); err != nil {
		return err
	}
	return b.remove(tx, s)
}

// issue notes that an access token begins now. None outlives its session.
func (b *Book) issue(s *storev1.Session, now time.Time) {
	expire := now.Add(b.cfg.TokenTTL)
	if ends := b.ends(s); ends.Before(expire) {
		expire = ends
	}
	s.TokenExpireTime = timestamppb.New(expire)
}

// forget returns when no access token of the session is taken any more: clocks
// of those who verify it and of those who remember its end may differ.
func forget(s *storev1.Session) time.Time {
	const clocks = 3 * authn.Skew
	return s.GetTokenExpireTime().AsTime().Add(clocks)
}

func (b *Book) remove(tx *change.Tx, s *storev1.Session) error {
	_, err := b.table.Delete(tx, key(AccountOf(s.GetName()), ID(s.GetName())), "")
	return err
}

func ended(s *storev1.Session) change.Change {
	return change.Change{
		Resource: s.GetName(), Type: EndedType,
		Data: &identityv1.SessionEnded{Account: AccountOf(s.GetName())},
	}
}

// Expired returns the names of sessions that are past their absolute limit, at
// most limit of them.
func (b *Book) Expired(r kv.Reader, now time.Time, limit int) ([]string, error) {
	page, err := b.table.List(r, kv.Query{Index: byExpiry, Until: kv.Key{kv.Time(now.Add(1))}, Limit: limit})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(page.Records))
	for i, rec := range page.Records {
		names[i] = rec.Value.GetName()
	}
	return names, nil
}

// Expire ends a session that is past its limits. Nobody did it, so there is an
// event and no audit entry. One that is gone is left alone.
func (b *Book) Expire(tx *change.Tx, name string) error {
	rec, found, err := b.table.Find(tx, key(AccountOf(name), ID(name)))
	if err != nil {
		return err
	}
	if !found || b.live(rec.Value, tx.Time) {
		tx.Unchanged()
		return nil
	}
	c := ended(rec.Value)
	c.Covered = true
	tx.Record(c)
	return b.remove(tx, rec.Value)
}
