// Package survey holds the rules of satisfaction surveys: what a survey may
// ask, when it takes responses, what an answer may be, and the scores.
//
//	DRAFT --publish--> ACTIVE --close--> CLOSED
//	                     ^---reopen--------'
//
// Questions are fixed once a survey is published, so that all its answers are
// to the same questions. Scores come from counts that are written in the
// transaction of each response, never from a second reading of the responses:
// a table, a card and an export can only agree.
//
// The package knows no gRPC: it works on the API's messages inside a change's
// transaction.
package survey

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// Name is the form of a survey's name.
const Name = resource.Pattern("organizations/{organization}/surveys/{survey}")

// Organization is the form of the parent of surveys.
const Organization = resource.Pattern("organizations/{organization}")

// Create stores a new survey in state DRAFT. Reasons: SURVEY_EXISTS,
// QUESTION_INVALID.
func (s *Surveys) Create(tx *change.Tx, parent, id string, in *feedbackv1.Survey) (*feedbackv1.Survey, error) {
	org, err := Organization.Parse("parent", parent)
	if err != nil {
		return nil, err
	}
	id, err = tx.IDOr("survey_id", id)
	if err != nil {
		return nil, err
	}
	if err := checkQuestions(in.GetQuestions()); err != nil {
		return nil, err
	}
	now := timestamppb.New(tx.Time)
	v := &feedbackv1.Survey{
		Name:        Name.Format(org[0], id),
		DisplayName: in.GetDisplayName(),
		Questions:   in.GetQuestions(),
		State:       feedbackv1.Survey_STATE_DRAFT,
		CreateTime:  now,
		UpdateTime:  now,
	}
	rec, err := s.surveys.Create(tx, v)
	if err != nil {
		return nil, err
	}
	record(tx, v, "created")
	return view(rec, 0), nil
}

// Get returns a survey. Reasons: SURVEY_NOT_FOUND.
func (s *Surveys) Get(r kv.Reader, name string) (*feedbackv1.Survey, error) {
	rec, err := s.get(r, name)
	if err != nil {
		return nil, err
	}
	return s.viewCounted(r, rec)
}

// List returns a page of the surveys of an organisation, by name, and where
// the next one starts.
func (s *Surveys) List(r kv.Reader, parent string, after []byte, limit int) ([]*feedbackv1.Survey, []byte, error) {
	if _, err := Organization.Parse("parent", parent); err != nil {
		return nil, nil, err
	}
	p, err := s.surveys.List(r, kv.Query{Prefix: kv.Key{kv.String(parent)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	keys := make([]kv.Key, len(p.Records))
	for i, rec := range p.Records {
		keys[i] = kv.Key{kv.String(rec.Value.GetName())}
	}
	tallies, err := s.tallies.GetMany(r, keys)
	if err != nil {
		return nil, nil, err
	}
	out := make([]*feedbackv1.Survey, len(p.Records))
	for i, rec := range p.Records {
		out[i] = view(rec, tallies[i].Value.GetResponseCount())
	}
	return out, p.Next, nil
}

// Update changes the fields at the paths, "display_name" and "questions".
// Reasons: SURVEY_NOT_FOUND, ETAG_MISMATCH, SURVEY_PUBLISHED,
// QUESTION_INVALID.
func (s *Surveys) Update(tx *change.Tx, in *feedbackv1.Survey, paths []string) (*feedbackv1.Survey, error) {
	return s.modify(tx, in.GetName(), in.GetEtag(), "updated", func(v *feedbackv1.Survey) error {
		for _, path := range paths {
			switch path {
			case "display_name":
				v.DisplayName = in.GetDisplayName()
			case "questions":
				if err := replaceQuestions(v, in.GetQuestions()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func replaceQuestions(v *feedbackv1.Survey, questions []*feedbackv1.Question) error {
	same := slices.EqualFunc(v.GetQuestions(), questions, func(a, b *feedbackv1.Question) bool { return proto.Equal(a, b) })
	if same {
		return nil
	}
	if v.GetState() != feedbackv1.Survey_STATE_DRAFT {
		return errs.New(errs.Precondition, "SURVEY_PUBLISHED", "the questions of a published survey are fixed; create another survey",
			errs.Field("survey.questions", "SURVEY_PUBLISHED", "leave the questions as they are"))
	}
	if err := checkQuestions(questions); err != nil {
		return err
	}
	v.Questions = questions
	return nil
}

// moves are the legal changes of state.
var moves = map[string]struct{ from, to feedbackv1.Survey_State }{
	"publish": {feedbackv1.Survey_STATE_DRAFT, feedbackv1.Survey_STATE_ACTIVE},
	"close":   {feedbackv1.Survey_STATE_ACTIVE, feedbackv1.Survey_STATE_CLOSED},
	"reopen":  {feedbackv1.Survey_STATE_CLOSED, feedbackv1.Survey_STATE_ACTIVE},
}

// Publish opens a draft for responses. Reasons: SURVEY_NOT_FOUND,
// ETAG_MISMATCH, ILLEGAL_STATE; the same for Close and Reopen.
func (s *Surveys) Publish(tx *change.Tx, name, etag string) (*feedbackv1.Survey, error) {
	return s.move(tx, name, etag, "publish", "published", func(v *feedbackv1.Survey) {
		v.PublishTime = timestamppb.New(tx.Time)
	})
}

// Close takes no more responses.
func (s *Surveys) Close(tx *change.Tx, name, etag string) (*feedbackv1.Survey, error) {
	return s.move(tx, name, etag, "close", "closed", func(v *feedbackv1.Survey) {
		v.CloseTime = timestamppb.New(tx.Time)
	})
}

// Reopen takes responses again.
func (s *Surveys) Reopen(tx *change.Tx, name, etag string) (*feedbackv1.Survey, error) {
	return s.move(tx, name, etag, "reopen", "reopened", func(v *feedbackv1.Survey) {
		v.CloseTime = nil
	})
}

func (s *Surveys) move(tx *change.Tx, name, etag, verb, past string, mark func(*feedbackv1.Survey)) (*feedbackv1.Survey, error) {
	m := moves[verb]
	return s.modify(tx, name, etag, past, func(v *feedbackv1.Survey) error {
		if v.GetState() != m.from {
			return errs.New(errs.Precondition, "ILLEGAL_STATE",
				fmt.Sprintf("only a survey in state %s can %s; this one is %s", stateWord(m.from), verb, stateWord(v.GetState())),
				errs.Meta("state", stateWord(v.GetState())))
		}
		v.State = m.to
		mark(v)
		return nil
	})
}

// Delete removes a survey without responses. Reasons: SURVEY_NOT_FOUND,
// ETAG_MISMATCH, SURVEY_HAS_RESPONSES.
func (s *Surveys) Delete(tx *change.Tx, name, etag string) (*feedbackv1.Survey, error) {
	rec, err := s.get(tx, name)
	if err != nil {
		return nil, err
	}
	count, err := s.responseCount(tx, name)
	if err != nil {
		return nil, err
	}
	if count > 0 {
		return nil, errs.New(errs.Precondition, "SURVEY_HAS_RESPONSES", "a survey with responses is not deleted; close it")
	}
	if _, err := s.surveys.Delete(tx, key(name), etag); err != nil {
		return nil, err
	}
	record(tx, rec.Value, "deleted")
	return view(rec, 0), nil
}

// modify changes a stored survey, stamps it and records what changed. A change
// that changes nothing writes nothing.
func (s *Surveys) modify(tx *change.Tx, name, etag, past string, apply func(*feedbackv1.Survey) error) (*feedbackv1.Survey, error) {
	rec, err := s.get(tx, name)
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	v := proto.CloneOf(rec.Value)
	if err := apply(v); err != nil {
		return nil, err
	}
	if proto.Equal(v, rec.Value) {
		tx.Unchanged()
		return s.viewCounted(tx, rec)
	}
	v.UpdateTime = timestamppb.New(tx.Time)
	now, err := s.surveys.Update(tx, v, "")
	if err != nil {
		return nil, err
	}
	record(tx, v, past, change.ChangedFields(rec.Value, v)...)
	return s.viewCounted(tx, now)
}

func (s *Surveys) get(r kv.Reader, name string) (kv.Record[*feedbackv1.Survey], error) {
	if _, err := Name.Parse("name", name); err != nil {
		return kv.Record[*feedbackv1.Survey]{}, err
	}
	return s.surveys.Get(r, key(name))
}

func (s *Surveys) viewCounted(r kv.Reader, rec kv.Record[*feedbackv1.Survey]) (*feedbackv1.Survey, error) {
	count, err := s.responseCount(r, rec.Value.GetName())
	if err != nil {
		return nil, err
	}
	return view(rec, count), nil
}

func (s *Surveys) responseCount(r kv.Reader, name string) (int64, error) {
	tally, _, err := s.tallies.Find(r, kv.Key{kv.String(name)})
	return tally.Value.GetResponseCount(), err
}

// view is what callers see of a stored survey.
func view(rec kv.Record[*feedbackv1.Survey], responses int64) *feedbackv1.Survey {
	v := proto.CloneOf(rec.Value)
	v.ResponseCount = responses
	v.Etag = rec.Etag
	return v
}

func record(tx *change.Tx, v *feedbackv1.Survey, past string, fields ...string) {
	tx.Record(change.Change{
		Resource:      v.GetName(),
		Type:          "guildhall.feedback.survey." + past + ".v1",
		Data:          &feedbackv1.SurveyChanged{State: stateWord(v.GetState())},
		ChangedFields: fields,
	})
}

func stateWord(s feedbackv1.Survey_State) string {
	return s.String()[len("STATE_"):]
}

// key is the primary key of a survey's name.
func key(name string) kv.Key {
	return kv.Key{kv.String(resource.Parent(name)), kv.String(name)}
}
