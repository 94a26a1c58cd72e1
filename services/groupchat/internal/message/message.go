// Package message holds the rules of a group's log: gapless sequence numbers,
// who may send and take back, and how to read on from a position.
//
// The number of a message comes from the group's head, which the same
// transaction reads and writes: two sends at once conflict, one runs again,
// and neither a gap nor a message that appears behind a reader's back can be.
//
// The package knows no gRPC and calls nobody: it works on the API's messages
// inside a change's transaction. Whether the group is there and the sender a
// member, package group says.
package message

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Name is the form of a message's name. Its last id is the sequence number.
const Name = resource.Pattern("organizations/{organization}/groups/{group}/messages/{message}")

// Messages keeps the logs of groups.
//
//	messages     group, sequence -> Message (no etag)
//	recalls      group, position, number -> Recall
//	group_heads  group -> GroupHead
type Messages struct {
	window   time.Duration
	messages *kv.Table[*groupchatv1.Message]
	recalls  *kv.Table[*storev1.Recall]
	heads    *kv.Table[*storev1.GroupHead]
}

// New returns the centre; a sender may recall a message for as long as
// window. It does no I/O.
func New(window time.Duration) *Messages {
	return &Messages{
		window: window,
		messages: kv.NewTable(kv.TableConfig[*groupchatv1.Message]{
			Name: "messages",
			Key: func(m *groupchatv1.Message) kv.Key {
				return key(groupOf(m.GetName()), m.GetSequence())
			},
			NotFound: "MESSAGE_NOT_FOUND",
		}),
		recalls: kv.NewTable(kv.TableConfig[*storev1.Recall]{
			Name: "recalls",
			Key: func(r *storev1.Recall) kv.Key {
				return key(r.GetGroup(), r.GetPosition()).With(kv.Int64(r.GetNumber()))
			},
		}),
		heads: kv.NewTable(kv.TableConfig[*storev1.GroupHead]{
			Name: "group_heads",
			Key:  func(h *storev1.GroupHead) kv.Key { return kv.Key{kv.String(h.GetGroup())} },
		}),
	}
}

// Tables returns the raw tables to open.
func (m *Messages) Tables() []string {
	return append(append(m.messages.Tables(), m.recalls.Tables()...), m.heads.Tables()...)
}

func key(group string, sequence int64) kv.Key {
	return kv.Key{kv.String(group), kv.Int64(sequence)}
}

func groupOf(name string) string { return resource.Parent(name) }

// parse returns the group and sequence number of a message's name. A number
// that no message can have is one that is not there.
func parse(name string) (group string, sequence int64, err error) {
	ids, err := Name.Parse("name", name)
	if err != nil {
		return "", 0, err
	}
	sequence, err = strconv.ParseInt(ids[2], 10, 64)
	if err != nil || sequence < 1 || strconv.FormatInt(sequence, 10) != ids[2] {
		return "", 0, errs.NotFoundName("MESSAGE_NOT_FOUND", name)
	}
	return groupOf(name), sequence, nil
}

// Create appends a message of the sender to the group's log.
func (m *Messages) Create(tx *change.Tx, group, sender string, in *groupchatv1.Message) (*groupchatv1.Message, error) {
	head, err := m.Head(tx, group)
	if err != nil {
		return nil, err
	}
	head.LastSequence++
	if _, err := m.heads.Put(tx, head, ""); err != nil {
		return nil, err
	}
	rec, err := m.messages.Create(tx, &groupchatv1.Message{
		Name:       group + "/messages/" + strconv.FormatInt(head.GetLastSequence(), 10),
		Sequence:   head.GetLastSequence(),
		Sender:     sender,
		Text:       in.GetText(),
		CreateTime: timestamppb.New(tx.Time),
	})
	if err != nil {
		return nil, err
	}
	record(tx, rec.Value, "created")
	return view(rec), nil
}

// Head returns the end of the group's log: the zero end for an empty one.
func (m *Messages) Head(r kv.Reader, group string) (*storev1.GroupHead, error) {
	rec, found, err := m.heads.Find(r, kv.Key{kv.String(group)})
	if err != nil || found {
		return rec.Value, err
	}
	return &storev1.GroupHead{Group: group}, nil
}

// Heads returns the ends of several groups' logs, in their order.
func (m *Messages) Heads(r kv.Reader, groups []string) ([]*storev1.GroupHead, error) {
	keys := make([]kv.Key, len(groups))
	for i, g := range groups {
		keys[i] = kv.Key{kv.String(g)}
	}
	records, err := m.heads.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	out := make([]*storev1.GroupHead, len(groups))
	for i, rec := range records {
		if out[i] = rec.Value; !rec.Found() {
			out[i] = &storev1.GroupHead{Group: groups[i]}
		}
	}
	return out, nil
}

// Get returns a message. Reasons: MESSAGE_NOT_FOUND.
func (m *Messages) Get(r kv.Reader, name string) (*groupchatv1.Message, error) {
	group, sequence, err := parse(name)
	if err != nil {
		return nil, err
	}
	rec, err := m.messages.Get(r, key(group, sequence))
	if err != nil {
		return nil, err
	}
	return view(rec), nil
}

// List returns a page of a group's messages, newest first or, forward, oldest
// first, and where the next one starts.
func (m *Messages) List(r kv.Reader, group string, forward bool, after []byte, limit int) ([]*groupchatv1.Message, []byte, error) {
	p, err := m.messages.List(r, kv.Query{Prefix: kv.Key{kv.String(group)}, Reverse: !forward, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*groupchatv1.Message, len(p.Records))
	for i, rec := range p.Records {
		out[i] = view(rec)
	}
	return out, p.Next, nil
}

// Recaller is who takes a message back.
type Recaller struct {
	Account string
	// Any allows any message at any time: an administrator of the group, or
	// somebody who acts for the enterprise.
	Any bool
}

// Recall takes a message back: its text is gone, its place stays. Recalling a
// recalled one changes nothing. Reasons: MESSAGE_NOT_FOUND, NOT_SENDER,
// RECALL_WINDOW_OVER, ETAG_MISMATCH.
func (m *Messages) Recall(tx *change.Tx, name, etag string, by Recaller) (*groupchatv1.Message, error) {
	group, sequence, err := parse(name)
	if err != nil {
		return nil, err
	}
	rec, err := m.messages.Get(tx, key(group, sequence))
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	v := proto.CloneOf(rec.Value)
	if !by.Any {
		if err := m.mayRecall(v, by.Account, tx.Time); err != nil {
			return nil, err
		}
	}
	if v.GetRecallTime() != nil {
		tx.Unchanged()
		return view(rec), nil
	}
	v.Text = ""
	v.RecallTime = timestamppb.New(tx.Time)
	v.Recaller = by.Account
	now, err := m.messages.Update(tx, v, "")
	if err != nil {
		return nil, err
	}
	record(tx, v, "recalled", "text", "recall_time", "recaller")
	return view(now), m.note(tx, group, sequence)
}

func (m *Messages) mayRecall(v *groupchatv1.Message, account string, now time.Time) error {
	switch {
	case v.GetSender() != account:
		return errs.New(errs.Denied, "NOT_SENDER", "only its sender, or an administrator of the group, can recall a message")
	case v.GetRecallTime() == nil && now.Sub(v.GetCreateTime().AsTime()) > m.window:
		return errs.New(errs.Precondition, "RECALL_WINDOW_OVER", "a message can be recalled for "+m.window.String()+"; ask an administrator of the group")
	}
	return nil
}

// note writes the recall where streams find it.
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

func view(rec kv.Record[*groupchatv1.Message]) *groupchatv1.Message {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}

func record(tx *change.Tx, v *groupchatv1.Message, past string, fields ...string) {
	tx.Record(change.Change{
		Resource:      v.GetName(),
		Type:          "guildhall.groupchat.message." + past + ".v1",
		Data:          &groupchatv1.MessageChanged{Sequence: v.GetSequence(), Sender: v.GetSender()},
		ChangedFields: fields,
	})
}
