package complaint

import (
	"strconv"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// moveChunk is how many complaints one transaction of a move changes.
const moveChunk = 50

// kind is that of the lines of complaints.
const kind = "complaints"

// Moved is what becomes of the complaints of an account that is merged into another
// one: their complainant, and so their name, is the other account from then on, and
// so is who made those moves that the complainant had made. Reference, state and dates
// stay. Under its former name a complaint is not found.
func (c *Complaints) Moved() move.Kind {
	return move.Kind{Name: kind, Move: c.moveSome, Back: c.moveBack}
}

func (c *Complaints) moveSome(m *move.Move) (more bool, err error) {
	q := of(m.From)
	q.Limit = moveChunk
	p, err := c.complaints.List(m, q)
	if err != nil {
		return false, err
	}
	for _, v := range p.Values() {
		line := &storev1.MoveLine{Kind: kind, FormerName: v.GetName(), CreateTime: v.GetCreateTime()}
		line.Name, err = m.Renamed(v.GetName(), func(name string) (bool, error) {
			_, found, err := c.complaints.Find(m, kv.Key{kv.String(name)})
			return found, err
		})
		if err != nil {
			return false, err
		}
		line.Places = m.Replace(actors(v))
		if err := c.rename(m.Tx, v, line.GetName()); err != nil {
			return false, err
		}
		if err := m.Note(line); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

func (c *Complaints) moveBack(m *move.Move, line *storev1.MoveLine) (done bool, err error) {
	rec, found, err := c.complaints.Find(m, kv.Key{kv.String(line.GetName())})
	if err != nil || !found || !move.Is(line, rec.Value.GetCreateTime()) {
		return false, err
	}
	m.Restore(line, actors(rec.Value))
	return true, c.rename(m.Tx, rec.Value, line.GetFormerName())
}

// rename stores a complaint under another name.
func (c *Complaints) rename(tx *change.Tx, v *feedbackv1.Complaint, name string) error {
	before := v.GetName()
	if _, err := c.complaints.Delete(tx, kv.Key{kv.String(before)}, ""); err != nil {
		return err
	}
	v.Name = name
	if _, err := c.complaints.Create(tx, v); err != nil {
		return err
	}
	tx.Record(change.Change{
		Resource: name, Type: "guildhall.feedback.complaint.moved.v1",
		Data: &feedbackv1.ComplaintMoved{PreviousName: before, Reference: v.GetReference()},
	})
	return nil
}

// actors are where a complaint names who moved it.
func actors(v *feedbackv1.Complaint) []move.Place {
	var out []move.Place
	for i, h := range v.GetHistory() {
		out = append(out, move.Place{Path: "history." + strconv.Itoa(i) + ".actor", At: &h.Actor})
	}
	return out
}
