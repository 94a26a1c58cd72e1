package session

import (
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

const (
	// challengeLifetime is how long somebody may look for the phone.
	challengeLifetime = 5 * time.Minute
	// mostMisses is how many wrong answers a challenge takes: people mistype.
	mostMisses = 5
)

// challenges is (hash of the challenge) -> LoginChallenge. A challenge is a login of
// which the password was right and a second factor is missing: what ends all
// sessions of an account ends its challenges.
//
//	password ──▶ OPEN ──right answer──▶ the session
//	             ▲  │ wrong, fewer than five times
//	             └──┤
//	                └──five wrong ones, five minutes, the end of all sessions──▶ void
func challenges() *kv.Table[*storev1.LoginChallenge] {
	return kv.NewTable(kv.TableConfig[*storev1.LoginChallenge]{
		Name: "login_challenges",
		Key:  func(c *storev1.LoginChallenge) kv.Key { return kv.Key{kv.Bytes(c.GetChallengeHash())} },
		Indexes: []kv.Index[*storev1.LoginChallenge]{{
			Name: byOwner,
			Keys: func(c *storev1.LoginChallenge) []kv.Key { return []kv.Key{{kv.String(c.GetAccount())}} },
		}, {
			Name: byExpiry,
			Keys: func(c *storev1.LoginChallenge) []kv.Key { return []kv.Key{{kv.Time(c.GetExpireTime().AsTime())}} },
		}},
	})
}

// NewChallenge returns a new challenge, of at least 128 random bits.
func NewChallenge() string { return "ghl_" + rand.Text() }

// Challenge keeps that a login of c's account waits for a second factor, under the
// challenge, and records it: somebody knows the password. The error is Exhausted
// (LOGIN_THROTTLED) while too many wait: the oldest do not make room, or who knows
// the password could end the logins of its owner.
func (b *Book) Challenge(tx *change.Tx, challenge string, c *storev1.LoginChallenge) error {
	if err := b.checkChallenges(tx, c.GetAccount()); err != nil {
		return err
	}
	c.ChallengeHash, c.CreateTime = hashCode(challenge), timestamppb.New(tx.Time)
	c.ExpireTime = timestamppb.New(tx.Time.Add(challengeLifetime))
	tx.Record(change.Change{Resource: c.GetAccount(), ChangedFields: []string{"login_challenge"}})
	_, err := b.challenges.Create(tx, c)
	return err
}

// mostChallenges is how many logins of an account wait for a second factor.
const mostChallenges = 50

func (b *Book) checkChallenges(r kv.Reader, account string) error {
	n, err := b.challenges.Count(r, kv.Query{Index: byOwner, Prefix: kv.Key{kv.String(account)}, Limit: mostChallenges})
	if err != nil || n < mostChallenges {
		return err
	}
	return errs.New(errs.Exhausted, "LOGIN_THROTTLED", "too many logins of the account wait for their second factor; come back later",
		errs.RetryAfter(challengeLifetime))
}

// Challenged returns what a challenge for the client is of; "" is the suite's own.
// The error is Unauthenticated (CHALLENGE_INVALID), the same for one that never was,
// was answered, is void or another client's.
func (b *Book) Challenged(r kv.Reader, challenge, client string, now time.Time) (*storev1.LoginChallenge, error) {
	rec, found, err := b.challenges.Find(r, kv.Key{kv.Bytes(hashCode(challenge))})
	if err != nil {
		return nil, err
	}
	if !found || rec.Value.GetClient() != client || !now.Before(rec.Value.GetExpireTime().AsTime()) {
		return nil, ChallengeInvalid()
	}
	return rec.Value, nil
}

// ChallengeInvalid is the one answer to every challenge that cannot be answered.
func ChallengeInvalid() *errs.Error {
	return errs.New(errs.Unauthenticated, "CHALLENGE_INVALID", "the login was begun too long ago, or is over; log in again")
}

// Answered ends a challenge that was answered.
func (b *Book) Answered(tx *change.Tx, c *storev1.LoginChallenge) error {
	_, err := b.challenges.Delete(tx, b.challenges.KeyOf(c), "")
	return err
}

// Missed counts a wrong answer to a challenge; after the fifth it is void.
func (b *Book) Missed(tx *change.Tx, c *storev1.LoginChallenge) error {
	c.Misses++
	if c.GetMisses() >= mostMisses {
		return b.Answered(tx, c)
	}
	_, err := b.challenges.Update(tx, c, "")
	return err
}

// SweepChallenges forgets challenges that are void by their time, at most limit of
// them, and returns how many there were.
func (b *Book) SweepChallenges(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.challenges.RemoveDue(tx, byExpiry, now, limit)
}
