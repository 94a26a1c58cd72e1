package message

import (
	"slices"
	"strconv"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// bySender is the place of a message that its event tells of.
const bySender = "sender"

// Moved is what becomes of the messages that name an account which is merged into
// another one: they name that one, keep their places in the sequence, and are told to
// streams once more, as after a change of type. Accounts in a message never change
// otherwise, so that all of it can be undone.
func (m *Messages) Moved() move.Kind {
	return move.Kind{Name: "messages", Move: m.moveSome, Back: m.moveBack}
}

func (m *Messages) moveSome(mv *move.Move) (more bool, err error) {
	p, err := m.messages.List(mv, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(mv.From)}, Limit: eraseChunk})
	if err != nil {
		return false, err
	}
	for _, v := range p.Values() {
		paths := mv.Replace(places(v))
		if err := m.rename(mv.Tx, v, slices.Contains(paths, bySender)); err != nil {
			return false, err
		}
		if err := mv.Note(&storev1.MoveLine{
			Kind: "messages", Name: v.GetName(), Places: paths, CreateTime: v.GetCreateTime(),
		}); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

func (m *Messages) moveBack(mv *move.Move, line *storev1.MoveLine) (done bool, err error) {
	group, sequence, err := parse(line.GetName())
	if err != nil {
		return false, err
	}
	rec, found, err := m.messages.Find(mv, key(group, sequence))
	if err != nil || !found || !move.Is(line, rec.Value.GetCreateTime()) || !mv.Restore(line, places(rec.Value)) {
		return false, err
	}
	return true, m.rename(mv.Tx, rec.Value, slices.Contains(line.GetPlaces(), bySender))
}

// rename stores a message that names other accounts, and tells streams of it; others,
// when its sender is one of them.
func (m *Messages) rename(tx *change.Tx, v *groupchatv1.Message, sender bool) error {
	if _, err := m.messages.Update(tx, v, ""); err != nil {
		return err
	}
	if sender {
		tx.Record(change.Change{
			Resource: v.GetName(), Type: "guildhall.groupchat.message.moved.v1", Covered: true,
			Data: &groupchatv1.MessageChanged{Sequence: v.GetSequence(), Sender: v.GetSender(), Type: v.GetType()},
		})
	}
	return m.note(tx, groupOf(v.GetName()), v.GetSequence())
}

// places are where a message names accounts.
func places(v *groupchatv1.Message) []move.Place {
	out := []move.Place{{Path: bySender, At: &v.Sender}, {Path: "recaller", At: &v.Recaller}}
	for i, c := range v.GetTypeChanges() {
		out = append(out, move.Place{Path: "type_changes." + strconv.Itoa(i) + ".actor", At: &c.Actor})
	}
	return out
}
