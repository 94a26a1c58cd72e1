package message

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// maxTypeChanges is how often a message is re-typed: its history is part of it.
const maxTypeChanges = 100

// Actor is who takes a message back or gives it another type.
type Actor struct {
	Account string
	// Any allows any message at any time: an administrator of the group, or
	// somebody who acts for the enterprise.
	Any bool
	// May reports whether the actor holds the permission for messages of a
	// type, by the type's name. It asks nobody.
	May func(typeName string) bool
}

// Recall takes a message back: its text is gone, its place stays. Recalling a
// recalled one changes nothing. Reasons: MESSAGE_NOT_FOUND, NOT_SENDER,
// RECALL_WINDOW_OVER, MESSAGE_RETYPED, ETAG_MISMATCH.
func (m *Messages) Recall(tx *change.Tx, name, etag string, by Actor) (*groupchatv1.Message, error) {
	rec, v, err := m.changeable(tx, name, etag, by)
	if err != nil {
		return nil, err
	}
	if v.GetRecallTime() != nil {
		tx.Unchanged()
		return v, nil
	}
	v.Text = ""
	v.RecallTime = timestamppb.New(tx.Time)
	v.Recaller = by.Account
	return m.change(tx, rec, v, "recalled", "", "text", "recall_time", "recaller")
}

// Retype gives a message another type, which is one of the organisation's. The
// type it has changes nothing. Reasons: those of Recall, MESSAGE_RECALLED,
// MESSAGE_TYPE_CHANGES_FULL.
func (m *Messages) Retype(tx *change.Tx, name, to, etag string, by Actor) (*groupchatv1.Message, error) {
	rec, v, err := m.changeable(tx, name, etag, by)
	if err != nil {
		return nil, err
	}
	before := v.GetType()
	switch {
	case v.GetRecallTime() != nil:
		return nil, errs.New(errs.Precondition, "MESSAGE_RECALLED", "the message was recalled; there is nothing to give a type to")
	case before == to:
		tx.Unchanged()
		return v, nil
	case len(v.GetTypeChanges()) >= maxTypeChanges:
		return nil, errs.New(errs.Exhausted, "MESSAGE_TYPE_CHANGES_FULL", "the message was re-typed 100 times; its type stays as it is")
	}
	v.Type = to
	v.TypeChanges = append(v.TypeChanges, &groupchatv1.Message_TypeChange{
		PreviousType: before, Actor: by.Account, Time: timestamppb.New(tx.Time),
	})
	return m.change(tx, rec, v, "retyped", before, "type", "type_changes")
}

// changeable returns a message that the actor may change, and a copy as the API
// shows it.
func (m *Messages) changeable(tx *change.Tx, name, etag string, by Actor) (rec kv.Record[*groupchatv1.Message], v *groupchatv1.Message, err error) {
	group, sequence, err := parse(name)
	if err != nil {
		return rec, nil, err
	}
	if rec, err = m.messages.Get(tx, key(group, sequence)); err != nil {
		return rec, nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return rec, nil, err
	}
	v = view(rec)
	if !by.May(v.GetType()) {
		// It was authorised with the type it had then.
		return rec, nil, errs.New(errs.Conflict, "MESSAGE_RETYPED", "the message got another type meanwhile; read it again")
	}
	if !by.Any {
		err = m.mayChange(v, by.Account, tx.Time)
	}
	return rec, v, err
}

func (m *Messages) mayChange(v *groupchatv1.Message, account string, now time.Time) error {
	switch {
	case v.GetSender() != account:
		return errs.New(errs.Denied, "NOT_SENDER", "only its sender, or an administrator of the group, can recall or re-type a message")
	case v.GetRecallTime() == nil && now.Sub(v.GetCreateTime().AsTime()) > m.window:
		return errs.New(errs.Precondition, "RECALL_WINDOW_OVER", "a message can be recalled or re-typed for "+m.window.String()+"; ask an administrator of the group")
	}
	return nil
}

// change stores a changed message and tells of it.
func (m *Messages) change(tx *change.Tx, old kv.Record[*groupchatv1.Message], v *groupchatv1.Message, past, before string, fields ...string) (*groupchatv1.Message, error) {
	stored := proto.CloneOf(v)
	stored.Etag = ""
	now, err := m.messages.Update(tx, stored, old.Etag)
	if err != nil {
		return nil, err
	}
	record(tx, v, past, before, fields...)
	return view(now), m.note(tx, groupOf(v.GetName()), v.GetSequence())
}

// note writes the change where streams find it.
func (m *Messages) note(tx *change.Tx, group string, sequence int64) error {
	head, err := m.Head(tx, group)
	if err != nil {
		return err
	}
	head.RecallCount++
	if _, err := m.heads.Put(tx, head, ""); err != nil {
		return err
	}
	_, err = m.recalls.Create(tx, &storev1.Recall{
		Group: group, Position: head.GetLastSequence(), Number: head.GetRecallCount(), Sequence: sequence,
	})
	return err
}
