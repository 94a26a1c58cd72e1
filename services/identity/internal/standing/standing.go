// Package standing tells service permission who may not act any more: accounts
// that are suspended or deleted, and sessions that have ended.
//
// An access token is good for minutes, and every process verifies it by itself.
// What ends it sooner is permission, which every call asks anyway; so
// permission has to know before the change that ends it returns. The change and
// permission's knowledge of it live in two stores, and no transaction spans
// both:
//
//	change ──commit──▶ intent ──Deliver──▶ permission has it ──▶ no intent
//	                     ▲  │ permission is away, or a crash
//	                     └──┴─ Run, until it is delivered
//
// The intent is written in the transaction of the change and holds all that
// permission has yet to hear of one account. Delivery can be repeated: of
// states the highest version wins, and a session ends once. identity's feed
// carries states and ends too, for whoever else follows it; permission takes
// from it what was never said here.
package standing

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Book keeps the intents. It is safe for concurrent use.
type Book struct {
	table *kv.Table[*storev1.StandingIntent]
}

// New returns a book.
func New() *Book {
	return &Book{table: kv.NewTable(kv.TableConfig[*storev1.StandingIntent]{
		Name: "standing_intents", Key: func(i *storev1.StandingIntent) kv.Key { return key(i.GetAccount()) },
	})}
}

func key(account string) kv.Key { return kv.Key{kv.String(account)} }

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

// SetState intends the state of an account, as StateName spells it, with the
// version of that state.
func (b *Book) SetState(tx kv.Tx, at time.Time, account, state string, version int64) error {
	return b.intend(tx, at, account, func(i *storev1.StandingIntent) {
		i.State, i.Version = state, version
	})
}

// EndSession intends the end of a session, by its id; forget is when the last
// of its access tokens is dead.
func (b *Book) EndSession(tx kv.Tx, at time.Time, account, session string, forget time.Time) error {
	if !forget.After(at) {
		return nil
	}
	return b.intend(tx, at, account, func(i *storev1.StandingIntent) {
		// While permission is away sessions may die of age.
		i.Sessions = slices.DeleteFunc(i.GetSessions(), func(e *storev1.EndedSession) bool {
			return !e.GetForgetTime().AsTime().After(at)
		})
		i.Sessions = append(i.Sessions, &storev1.EndedSession{Session: session, ForgetTime: timestamppb.New(forget)})
	})
}

func (b *Book) intend(tx kv.Tx, at time.Time, account string, add func(*storev1.StandingIntent)) error {
	rec, found, err := b.table.Find(tx, key(account))
	if err != nil {
		return err
	}
	i := rec.Value
	if !found {
		i = &storev1.StandingIntent{Account: account, CreateTime: timestamppb.New(at)}
	}
	add(i)
	_, err = b.table.Put(tx, i, "")
	return err
}

// Forget drops the intent of an account that is gone for good.
func (b *Book) Forget(tx kv.Tx, account string) error {
	_, found, err := b.table.Find(tx, key(account))
	if err != nil || !found {
		return err
	}
	_, err = b.table.Delete(tx, key(account), "")
	return err
}

// done removes an intent that was delivered, unless more has joined it.
func (b *Book) done(tx kv.Tx, delivered kv.Record[*storev1.StandingIntent]) error {
	account := delivered.Value.GetAccount()
	rec, found, err := b.table.Find(tx, key(account))
	if err != nil || !found || rec.Etag != delivered.Etag {
		return err
	}
	_, err = b.table.Delete(tx, key(account), "")
	return err
}
