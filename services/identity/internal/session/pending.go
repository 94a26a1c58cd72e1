package session

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
)

// What codes and challenges have in common: both are sessions that have not begun,
// with an index byOwner and one byExpiry.

// void removes all of an account.
func void[T proto.Message](t *kv.Table[T], tx kv.Tx, account string) error {
	_, err := t.RemoveAll(tx, kv.Query{Index: byOwner, Prefix: kv.Key{kv.String(account)}})
	return err
}
