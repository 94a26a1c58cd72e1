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
	for rec, err := range b.table.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		if err := b.Void(tx, account, rec.Value.GetChannel()); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes codes that have expired, at most limit of them, and returns how
// many there were.
func (b *Book) Sweep(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.table.RemoveDue(tx, byExpiry, now, limit)
}
