package message

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/portability"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// eraseChunk is how many messages one transaction of an erasure empties. Each is
// told to streams in the head of its group.
const eraseChunk = 100

// byAccount is the index by the accounts that a message names.
const byAccount = "account"

// namedIn returns the index keys of a message: the accounts that it names.
func namedIn(v *groupchatv1.Message) []kv.Key {
	accounts := []string{v.GetSender(), v.GetRecaller()}
	for _, c := range v.GetTypeChanges() {
		accounts = append(accounts, c.GetActor())
	}
	var keys []kv.Key
	for _, account := range accounts {
		if account != "" {
			keys = append(keys, kv.Key{kv.String(account)})
		}
	}
	return keys
}

// Reindex makes the index by accounts for messages from before there was one.
func (m *Messages) Reindex(ctx context.Context, s kv.Store) error {
	return m.messages.Reindex(ctx, s, byAccount)
}

// Erase empties some of the messages of an account, and takes its name out of those
// of others; see erasure.Step. What it wrote is as if it had been recalled, and says
// not by whom: readers of the log know what to do with that, also those who know of
// no erasures.
func (m *Messages) Erase(tx *change.Tx, account string) (more bool, err error) {
	p, err := m.messages.List(tx, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(account)}, Limit: eraseChunk})
	if err != nil {
		return false, err
	}
	for _, rec := range p.Records {
		v := rec.Value
		wrote := forget(v, account, timestamppb.New(tx.Time))
		if _, err := m.messages.Update(tx, v, ""); err != nil {
			return false, err
		}
		if err := m.note(tx, groupOf(v.GetName()), v.GetSequence()); err != nil {
			return false, err
		}
		erasure.Emptied(tx, "messages")
		if wrote {
			tx.Record(change.Change{
				Resource: v.GetName(), Type: "guildhall.groupchat.message.erased.v1", Covered: true,
				Data: &groupchatv1.MessageChanged{Sequence: v.GetSequence(), Type: v.GetType()},
			})
		}
	}
	return p.Next != nil, nil
}

// forget takes an account out of a message, and reports whether it wrote it.
func forget(v *groupchatv1.Message, account string, now *timestamppb.Timestamp) (wrote bool) {
	if wrote = v.GetSender() == account; wrote {
		v.Sender, v.Text, v.Recaller, v.EraseTime = "", "", "", now
		if v.GetRecallTime() == nil {
			v.RecallTime = now
		}
	}
	if v.GetRecaller() == account {
		v.Recaller = ""
	}
	for _, c := range v.GetTypeChanges() {
		if c.GetActor() == account {
			c.Actor = ""
		}
	}
	return wrote
}

// Exported lists the messages that an account wrote, by group and sequence.
func (m *Messages) Exported() portability.List {
	return portability.FromTable(m.messages, func(account string) kv.Query {
		return kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(account)}}
	}, func(rec kv.Record[*groupchatv1.Message], account string) proto.Message {
		if rec.Value.GetSender() != account {
			return nil
		}
		return view(rec)
	})
}
