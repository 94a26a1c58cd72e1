// Package message holds the rules of a group's log: gapless sequence numbers,
// who may send, take back and re-type, and how to read on from a position.
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
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// Name is the form of a message's name. Its last id is the sequence number.
const Name = resource.Pattern("organizations/{organization}/groups/{group}/messages/{message}")

// Messages keeps the logs of groups.
//
//	messages           group, sequence -> Message (no etag)
//	messages__account  account                that wrote, recalled or re-typed it
//	recalls            group, position, number -> Recall
//	group_heads        group -> GroupHead
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
			Indexes:  []kv.Index[*groupchatv1.Message]{{Name: byAccount, Keys: namedIn}},
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

// Create appends a message of the sender to the group's log. Its type is that of
// in, which is one of the organisation's.
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
		Type:       in.GetType(),
		CreateTime: timestamppb.New(tx.Time),
	})
	if err != nil {
		return nil, err
	}
	v := view(rec)
	record(tx, v, "created", "")
	return v, nil
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

// view returns a message as the API shows it. One from before there were types
// is of the general one.
func view(rec kv.Record[*groupchatv1.Message]) *groupchatv1.Message {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	if v.GetType() == "" {
		v.Type = taxonomy.General(resource.Parent(groupOf(v.GetName())))
	}
	return v
}

// record notes a change of a message; before is the type it had, when that is
// what changed.
func record(tx *change.Tx, v *groupchatv1.Message, past, before string, fields ...string) {
	tx.Record(change.Change{
		Resource: v.GetName(),
		Type:     "guildhall.groupchat.message." + past + ".v1",
		Data: &groupchatv1.MessageChanged{
			Sequence: v.GetSequence(), Sender: v.GetSender(), Type: v.GetType(), PreviousType: before,
		},
		ChangedFields: fields,
	})
}
