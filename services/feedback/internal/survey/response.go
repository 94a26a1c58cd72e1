package survey

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/feedback/store/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// ResponseName is the form of a response's name.
const ResponseName = resource.Pattern("organizations/{organization}/surveys/{survey}/responses/{response}")

// Respond stores the respondent's answers and counts them. Reasons:
// SURVEY_NOT_FOUND, SURVEY_NOT_ACTIVE, RESPONSE_EXISTS, ANSWER_INVALID.
func (s *Surveys) Respond(tx *change.Tx, survey, respondent string, in *feedbackv1.Response) (*feedbackv1.Response, error) {
	rec, err := s.get(tx, survey)
	if err != nil {
		return nil, err
	}
	if rec.Value.GetState() != feedbackv1.Survey_STATE_ACTIVE {
		return nil, errs.New(errs.Precondition, "SURVEY_NOT_ACTIVE", "the survey takes no responses now",
			errs.Meta("state", stateWord(rec.Value.GetState())))
	}
	if err := checkAnswers(rec.Value.GetQuestions(), in.GetAnswers()); err != nil {
		return nil, err
	}
	v := &feedbackv1.Response{
		Name:       survey + "/responses/" + tx.NewID(),
		Respondent: respondent,
		Answers:    in.GetAnswers(),
		CreateTime: timestamppb.New(tx.Time),
	}
	stored, err := s.responses.Create(tx, v)
	if err != nil {
		return nil, err
	}
	if err := s.count(tx, survey, v, 1); err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: v.Name,
		Type:     "guildhall.feedback.response.created.v1",
		Data:     &feedbackv1.ResponseCreated{Survey: survey, Respondent: respondent},
	})
	return viewResponse(stored), nil
}

// GetResponse returns one response. Reasons: RESPONSE_NOT_FOUND.
func (s *Surveys) GetResponse(r kv.Reader, name string) (*feedbackv1.Response, error) {
	if _, err := ResponseName.Parse("name", name); err != nil {
		return nil, err
	}
	rec, err := s.responses.Lookup(r, "name", kv.Key{kv.String(name)})
	if err != nil {
		return nil, err
	}
	return viewResponse(rec), nil
}

// ListResponses returns a page of a survey's responses, oldest first, and
// where the next one starts. Reasons: SURVEY_NOT_FOUND.
func (s *Surveys) ListResponses(r kv.Reader, survey string, after []byte, limit int) ([]*feedbackv1.Response, []byte, error) {
	if _, err := s.get(r, survey); err != nil {
		return nil, nil, err
	}
	p, err := s.responses.List(r, kv.Query{Prefix: kv.Key{kv.String(survey)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*feedbackv1.Response, len(p.Records))
	for i, rec := range p.Records {
		out[i] = viewResponse(rec)
	}
	return out, p.Next, nil
}

func viewResponse(rec kv.Record[*feedbackv1.Response]) *feedbackv1.Response {
	v := proto.CloneOf(rec.Value)
	v.Etag = rec.Etag
	return v
}

// count adds a response to the survey's tally, or takes it out again with an n of
// -1.
func (s *Surveys) count(tx kv.Tx, survey string, v *feedbackv1.Response, n int64) error {
	rec, found, err := s.tallies.Find(tx, kv.Key{kv.String(survey)})
	if err != nil {
		return err
	}
	tally := &storev1.SurveyTally{Survey: survey}
	if found {
		tally = rec.Value
	}
	add(tally, v, n)
	_, err = s.tallies.Put(tx, tally, "")
	return err
}

// add counts the answers of one response n times.
func add(tally *storev1.SurveyTally, v *feedbackv1.Response, n int64) {
	tally.ResponseCount += n
	if tally.Questions == nil {
		tally.Questions = make(map[string]*storev1.QuestionTally)
	}
	for _, a := range v.GetAnswers() {
		q := tally.Questions[a.GetQuestionId()]
		if q == nil {
			q = &storev1.QuestionTally{}
			tally.Questions[a.GetQuestionId()] = q
		}
		q.AnswerCount += n
		if rating, ok := a.GetValue().(*feedbackv1.Answer_Rating); ok {
			if q.RatingCounts == nil {
				q.RatingCounts = make([]int64, maxRating)
			}
			q.RatingCounts[rating.Rating-minRating] += n
		}
	}
}

// Summarize returns the scores of a survey's CSAT questions: the share of
// ratings 4 and 5 among the answers to the question. Reasons:
// SURVEY_NOT_FOUND.
func (s *Surveys) Summarize(r kv.Reader, name string) (*feedbackv1.SurveySummary, error) {
	rec, err := s.get(r, name)
	if err != nil {
		return nil, err
	}
	tally, _, err := s.tallies.Find(r, kv.Key{kv.String(name)})
	if err != nil {
		return nil, err
	}
	out := &feedbackv1.SurveySummary{Survey: name, ResponseCount: tally.Value.GetResponseCount()}
	for _, q := range rec.Value.GetQuestions() {
		if q.GetKind() == feedbackv1.Question_KIND_CSAT {
			out.Questions = append(out.Questions, csat(q.GetQuestionId(), tally.Value.GetQuestions()[q.GetQuestionId()]))
		}
	}
	return out, nil
}

func csat(id string, t *storev1.QuestionTally) *feedbackv1.QuestionSummary {
	out := &feedbackv1.QuestionSummary{
		QuestionId:   id,
		AnswerCount:  t.GetAnswerCount(),
		RatingCounts: make([]int64, maxRating),
	}
	copy(out.RatingCounts, t.GetRatingCounts())
	satisfied := out.RatingCounts[4-minRating] + out.RatingCounts[5-minRating]
	if p, ok := wilson(satisfied, out.AnswerCount); ok {
		out.Score, out.ScoreLow, out.ScoreHigh = &p.Value, &p.Low, &p.High
	}
	return out
}

// The ratings of a CSAT question.
const minRating, maxRating = 1, 5

func checkQuestions(questions []*feedbackv1.Question) error {
	seen := make(map[string]bool, len(questions))
	for i, q := range questions {
		if seen[q.GetQuestionId()] {
			return errs.InvalidField(fmt.Sprintf("survey.questions[%d].question_id", i), "QUESTION_INVALID",
				"another question of the survey has this question_id; give each its own")
		}
		seen[q.GetQuestionId()] = true
	}
	return nil
}

// checkAnswers reports the first answer that is none to the survey's
// questions, and the first required question without one.
func checkAnswers(questions []*feedbackv1.Question, answers []*feedbackv1.Answer) error {
	open := make(map[string]*feedbackv1.Question, len(questions))
	for _, q := range questions {
		open[q.GetQuestionId()] = q
	}
	for i, a := range answers {
		field := fmt.Sprintf("response.answers[%d]", i)
		q, ok := open[a.GetQuestionId()]
		if !ok {
			return errs.InvalidField(field+".question_id", "ANSWER_INVALID", "the survey has no such question, or it is answered twice")
		}
		delete(open, a.GetQuestionId())
		if err := checkAnswer(field, q, a); err != nil {
			return err
		}
	}
	for _, q := range questions {
		if q.GetRequired() && open[q.GetQuestionId()] != nil {
			return errs.InvalidField("response.answers", "ANSWER_INVALID", "answer each required question; one is missing: "+q.GetQuestionId())
		}
	}
	return nil
}

func checkAnswer(field string, q *feedbackv1.Question, a *feedbackv1.Answer) error {
	switch value := a.GetValue().(type) {
	case *feedbackv1.Answer_Rating:
		if q.GetKind() != feedbackv1.Question_KIND_CSAT {
			return errs.InvalidField(field+".rating", "ANSWER_INVALID", "this question is not answered with a rating")
		}
		if value.Rating < minRating || value.Rating > maxRating {
			return errs.InvalidField(field+".rating", "ANSWER_INVALID", fmt.Sprintf("send a rating from %d to %d", minRating, maxRating))
		}
	case *feedbackv1.Answer_Text:
		if q.GetKind() != feedbackv1.Question_KIND_TEXT {
			return errs.InvalidField(field+".text", "ANSWER_INVALID", "this question is not answered with text")
		}
	}
	return nil
}
