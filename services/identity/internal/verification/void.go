package verification

import (
	"time"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Void removes what is open of an account on a channel.
func (b *Book) Void(tx kv.Tx, account string, channel identityv1.MessageChannel) error {
	_, err := b.table.Remove(tx, key(account, channel))
	return err
}

// VoidAll removes all that is open of an account.
func (b *Book) VoidAll(tx kv.Tx, account string) error {
	_, err := b.table.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(account)}})
	return err
}

// Sweep removes codes that have expired, at most limit of them, and returns how
// many there were.
func (b *Book) Sweep(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.table.RemoveDue(tx, byExpiry, now, limit)
}
