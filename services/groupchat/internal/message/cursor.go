package message

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Cursor is how far a reader has come in a group's log. Make one with After.
//
// The log is one order of two kinds of steps: messages by sequence, and each
// recall or change of type behind the message that was the newest when it was
// made, its position. A reader is given both in that order. So one that comes
// back with nothing but the last sequence it has can have missed none of an
// earlier position. Below, a recall is either.
//
// Which messages a reader may have is not asked here: what it may not is as much
// a step of the log, and its place moves the cursor on.
type Cursor struct {
	// Group is the group's name.
	Group string
	// Sequence is the last message the reader has.
	Sequence int64

	start   int64  // Sequence at first
	recall  []byte // the last recall it has, as a place in the table
	begun   bool
	recalls int64 // how many recalls there were when it began
}

// After returns the cursor of a reader that has the group's messages up to
// sequence; 0 is the beginning.
func After(group string, sequence int64) *Cursor {
	return &Cursor{Group: group, Sequence: sequence, start: sequence}
}

// Step is what comes next for a reader.
type Step struct {
	// Events are in the order of the log, the messages without a gap.
	Events []Event
	// More says that the step was cut at its limit.
	More bool
	// Head is the sequence number of the group's newest message.
	Head int64
}

// Event is a message as it is now.
type Event struct {
	Message *groupchatv1.Message
	// Changed says that the reader's position is behind the message, and that it
	// was recalled or re-typed since.
	Changed bool
}

// Next returns up to limit messages, and as many recalls, that follow the
// cursor, and moves it behind them. A reader that resumes from a sequence
// number alone may be given a recall it had seen; a message, never. A cursor
// behind the end of the log is Invalid (SEQUENCE_UNKNOWN).
func (m *Messages) Next(r kv.Reader, c *Cursor, limit int) (Step, error) {
	head, err := m.Head(r, c.Group)
	if err != nil {
		return Step{}, err
	}
	step := Step{Head: head.GetLastSequence()}
	if c.Sequence > step.Head {
		return step, errs.InvalidField("after_sequence", "SEQUENCE_UNKNOWN",
			"the group has no such message; it may be a new group of the same name: read from 0")
	}
	if !c.begun {
		c.begun, c.recalls = true, head.GetRecallCount()
	}
	messages, err := m.following(r, c, limit)
	if err != nil {
		return step, err
	}
	recalls, err := m.recallsUpTo(r, c, c.Sequence+int64(len(messages)), limit)
	if err != nil {
		return step, err
	}
	if len(recalls) == limit {
		// There may be more at the last one's position, to be told before the
		// message behind it.
		last := recalls[limit-1].Value.GetPosition()
		messages = messages[:min(int64(len(messages)), max(0, last-c.Sequence))]
		step.More = true
	}
	if step.Events, err = m.merge(r, c, messages, recalls); err != nil {
		return step, err
	}
	step.More = step.More || c.Sequence < step.Head
	return step, nil
}

// following returns the messages behind the cursor.
func (m *Messages) following(r kv.Reader, c *Cursor, limit int) ([]*groupchatv1.Message, error) {
	var out []*groupchatv1.Message
	for rec, err := range m.messages.Scan(r, kv.Query{
		Prefix: kv.Key{kv.String(c.Group)}, From: kv.Key{kv.Int64(c.Sequence + 1)}, Limit: limit,
	}) {
		if err != nil {
			return nil, err
		}
		out = append(out, view(rec))
	}
	return out, nil
}

// recallsUpTo returns the recalls behind the cursor whose position is at most
// last.
func (m *Messages) recallsUpTo(r kv.Reader, c *Cursor, last int64, limit int) ([]kv.Record[*storev1.Recall], error) {
	var out []kv.Record[*storev1.Recall]
	for rec, err := range m.recalls.Scan(r, kv.Query{
		Prefix: kv.Key{kv.String(c.Group)}, From: kv.Key{kv.Int64(c.start)}, Until: kv.Key{kv.Int64(last + 1)},
		After: c.recall, Limit: limit,
	}) {
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// merge puts messages and recalls in the order of the log and moves the cursor
// behind them.
func (m *Messages) merge(r kv.Reader, c *Cursor, messages []*groupchatv1.Message, recalls []kv.Record[*storev1.Recall]) ([]Event, error) {
	had := c.Sequence
	var told []*storev1.Recall
	var keys []kv.Key
	for _, rec := range recalls {
		c.recall = rec.Position
		if c.shows(rec.Value, had) {
			continue
		}
		told = append(told, rec.Value)
		keys = append(keys, key(c.Group, rec.Value.GetSequence()))
	}
	recalled, err := m.messages.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(messages)+len(told))
	for _, v := range messages {
		for len(told) > 0 && told[0].GetPosition() < v.GetSequence() {
			events = append(events, Event{Message: view(recalled[0]), Changed: true})
			told, recalled = told[1:], recalled[1:]
		}
		events = append(events, Event{Message: v})
		c.Sequence = v.GetSequence()
	}
	for _, rec := range recalled {
		events = append(events, Event{Message: view(rec), Changed: true})
	}
	return events, nil
}

// shows reports whether the message of a recall tells of it by itself, because
// the reader is given it as it was after the recall: with this very step, or
// with an earlier one that the recall preceded.
func (c *Cursor) shows(rec *storev1.Recall, had int64) bool {
	return rec.GetSequence() > had || rec.GetSequence() > c.start && rec.GetNumber() <= c.recalls
}

// Purge removes up to limit messages or recalls of a group, and its head once
// there are none. It reports whether nothing is left.
func (m *Messages) Purge(tx *change.Tx, group string, limit int) (gone bool, err error) {
	left, err := purge(tx, m.messages, group, limit, func(v *groupchatv1.Message) kv.Key { return key(group, v.GetSequence()) })
	if err != nil || left {
		return false, err
	}
	left, err = purge(tx, m.recalls, group, limit, func(v *storev1.Recall) kv.Key {
		return key(group, v.GetPosition()).With(kv.Int64(v.GetNumber()))
	})
	if err != nil || left {
		return false, err
	}
	_, found, err := m.heads.Find(tx, kv.Key{kv.String(group)})
	if err != nil || !found {
		return true, err
	}
	_, err = m.heads.Delete(tx, kv.Key{kv.String(group)}, "")
	return true, err
}

// purge removes up to limit records of a group from a table, and reports
// whether any may be left.
func purge[T proto.Message](tx kv.Tx, t *kv.Table[T], group string, limit int, keyOf func(T) kv.Key) (left bool, err error) {
	p, err := t.List(tx, kv.Query{Prefix: kv.Key{kv.String(group)}, Limit: limit})
	if err != nil {
		return false, err
	}
	for _, rec := range p.Records {
		if _, err := t.Delete(tx, keyOf(rec.Value), ""); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}
