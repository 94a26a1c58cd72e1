package session

import (
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
)

// What codes and challenges have in common: both are sessions that have not begun,
// with an index byOwner and one byExpiry.

// void removes all of an account.
func void[T proto.Message](t *kv.Table[T], tx kv.Tx, account string) error {
	for rec, err := range t.Scan(tx, kv.Query{Index: byOwner, Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		if _, err := t.Delete(tx, t.KeyOf(rec.Value), ""); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes some whose time is over, and returns how many.
func sweep[T proto.Message](t *kv.Table[T], tx kv.Tx, now time.Time, limit int) (int, error) {
	page, err := t.List(tx, kv.Query{Index: byExpiry, Until: kv.Key{kv.Time(now.Add(1))}, Limit: limit})
	if err != nil {
		return 0, err
	}
	for _, rec := range page.Records {
		if _, err := t.Delete(tx, t.KeyOf(rec.Value), ""); err != nil {
			return 0, err
		}
	}
	return len(page.Records), nil
}
