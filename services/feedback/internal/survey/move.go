package survey

import (
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/resource"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// moveChunk is how many responses one transaction of a move changes.
const moveChunk = 50

const (
	kind       = "responses"
	superseded = "superseded"
)

// Moved is what becomes of the responses of an account that is merged into another
// one: they are that one's. A person has one say in a survey: where both accounts had
// answered, both responses stay, and the duplicate's is marked as superseded and no
// longer counted.
func (s *Surveys) Moved() move.Kind {
	return move.Kind{Name: kind, Move: s.moveSome, Back: s.moveBack}
}

func (s *Surveys) moveSome(m *move.Move) (more bool, err error) {
	p, err := s.responses.List(m, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(m.From)}, Limit: moveChunk})
	if err != nil {
		return false, err
	}
	for _, v := range p.Values() {
		if err := s.moveOne(m, v); err != nil {
			return false, err
		}
	}
	return p.Next != nil, nil
}

func (s *Surveys) moveOne(m *move.Move, v *feedbackv1.Response) error {
	survey := resource.Parent(v.GetName())
	_, both, err := s.responses.FindBy(m, "respondent", kv.Key{kv.String(survey), kv.String(m.To)})
	if err != nil {
		return err
	}
	paths := m.Replace(respondent(v))
	if both && !v.GetSuperseded() {
		v.Superseded, paths = true, append(paths, superseded)
		if err := s.count(m, survey, v, -1); err != nil {
			return err
		}
	}
	if err := s.renamed(m.Tx, v); err != nil {
		return err
	}
	return m.Note(&storev1.MoveLine{Kind: kind, Name: v.GetName(), Places: paths, CreateTime: v.GetCreateTime()})
}

func (s *Surveys) moveBack(m *move.Move, line *storev1.MoveLine) (done bool, err error) {
	rec, found, err := s.responses.FindBy(m, "name", kv.Key{kv.String(line.GetName())})
	if err != nil || !found || !m.Restore(line, respondent(rec.Value)) {
		return false, err
	}
	if v := rec.Value; slices.Contains(line.GetPlaces(), superseded) {
		v.Superseded = false
		if err := s.count(m, resource.Parent(v.GetName()), v, 1); err != nil {
			return false, err
		}
	}
	return true, s.renamed(m.Tx, rec.Value)
}

func respondent(v *feedbackv1.Response) []move.Place {
	return []move.Place{{Path: "respondent", At: &v.Respondent}}
}

// renamed stores a response of another respondent.
func (s *Surveys) renamed(tx *change.Tx, v *feedbackv1.Response) error {
	if _, err := s.responses.Update(tx, v, ""); err != nil {
		return err
	}
	tx.Record(change.Change{
		Resource: v.GetName(), Type: "guildhall.feedback.response.moved.v1", Covered: true,
		Data: &feedbackv1.ResponseMoved{Survey: resource.Parent(v.GetName())},
	})
	return nil
}
