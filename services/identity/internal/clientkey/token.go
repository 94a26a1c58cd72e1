package clientkey

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// usedEvery is how exact the time of the last use is: a write for each token
// would be one for each call of a careless program.
const usedEvery = time.Minute

// clocks is by how much those who verify a token, and those who remember its end,
// may differ.
const clocks = 3 * authn.Skew

// Session returns the id of the session that tokens for a key belong to.
func Session(k *storev1.ClientKey) string {
	return idOf(k.GetName()) + "-" + strconv.FormatInt(k.GetGeneration(), 10)
}

// Use notes that a client proved itself with a key and that a token which it gets
// for it ends at the time; zero is none. It writes when that says anything new.
func (b *Book) Use(tx kv.Tx, k *storev1.ClientKey, now, expires time.Time) error {
	last := k.GetLastUsedTime()
	if last != nil && now.Sub(last.AsTime()) < usedEvery && !expires.After(k.GetTokenExpireTime().AsTime()) {
		return nil
	}
	k.LastUsedTime = timestamppb.New(now.Truncate(usedEvery))
	if !expires.IsZero() {
		// As late as any token until the next write can end.
		k.TokenExpireTime = timestamppb.New(expires.Add(usedEvery))
	}
	_, err := b.table.Update(tx, k, "")
	return err
}

// OfSession returns the key that a session of a client is of, and false when its
// tokens are void: the key is gone, or they were revoked.
func (b *Book) OfSession(r kv.Reader, client, session string) (*storev1.ClientKey, bool, error) {
	i := strings.LastIndexByte(session, '-')
	if i < 0 {
		return nil, false, nil
	}
	rec, found, err := b.table.Find(r, key(Name(client, session[:i])))
	if err != nil || !found || Session(rec.Value) != session {
		return nil, false, err
	}
	return rec.Value, true, nil
}

// EndTokens makes all tokens void that a client has for its keys, which stay
// good.
func (b *Book) EndTokens(tx *change.Tx, client string) error {
	keys, err := b.all(tx, client)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := b.EndTokensOf(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// EndTokensOf makes all tokens void that a client has for a key.
func (b *Book) EndTokensOf(tx *change.Tx, k *storev1.ClientKey) error {
	if err := b.endTokens(tx, k); err != nil {
		return err
	}
	k.Generation++
	k.TokenExpireTime = nil
	_, err := b.table.Update(tx, k, "")
	return err
}

func (b *Book) endTokens(tx *change.Tx, k *storev1.ClientKey) error {
	if k.GetTokenExpireTime() == nil {
		return nil
	}
	return b.standing.EndSession(tx, tx.Time, ClientOf(k.GetName()), Session(k), k.GetTokenExpireTime().AsTime().Add(clocks))
}
