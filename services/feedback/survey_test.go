package feedback_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

func draft() *feedbackv1.Survey {
	return &feedbackv1.Survey{
		DisplayName: "How was the delivery?",
		Questions: []*feedbackv1.Question{
			{QuestionId: "delivery", Text: "The delivery", Kind: feedbackv1.Question_KIND_CSAT, Required: true},
			{QuestionId: "why", Text: "Why?", Kind: feedbackv1.Question_KIND_TEXT},
		},
	}
}

// published creates a survey that takes responses.
func published(t *testing.T, s *servetest.Server, id string) *feedbackv1.Survey {
	t.Helper()
	c := surveys(t, s, clerk)
	v := must[*feedbackv1.Survey](t)(c.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: acme, SurveyId: id, Survey: draft()}))
	return must[*feedbackv1.Survey](t)(c.PublishSurvey(t.Context(), &feedbackv1.PublishSurveyRequest{Name: v.GetName(), Etag: v.GetEtag()}))
}

func rating(n int32) *feedbackv1.Answer {
	return &feedbackv1.Answer{QuestionId: "delivery", Value: &feedbackv1.Answer_Rating{Rating: n}}
}

func text(s string) *feedbackv1.Answer {
	return &feedbackv1.Answer{QuestionId: "why", Value: &feedbackv1.Answer_Text{Text: s}}
}

func respond(t *testing.T, s *servetest.Server, survey, account string, answers ...*feedbackv1.Answer) (*feedbackv1.Response, error) {
	return surveys(t, s, account).CreateResponse(t.Context(), &feedbackv1.CreateResponseRequest{
		Parent: survey, Response: &feedbackv1.Response{Answers: answers},
	})
}

func TestSurvey_fromDraftToSummary(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		v := published(t, s, "delivery")
		if v.GetState() != feedbackv1.Survey_STATE_ACTIVE || v.GetPublishTime() == nil {
			t.Fatalf("published survey: %v", v)
		}
		var wg sync.WaitGroup
		for i, n := range []int32{5, 5, 4, 4, 4, 5, 5, 5, 4, 1} {
			wg.Go(func() {
				if _, err := respond(t, s, v.GetName(), fmt.Sprintf("%s/customers/c%d", acme, i), rating(n), text("fine")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		sum := must[*feedbackv1.SurveySummary](t)(surveys(t, s, clerk).SummarizeSurvey(t.Context(), &feedbackv1.SummarizeSurveyRequest{Name: v.GetName()}))
		if sum.GetResponseCount() != 10 || len(sum.GetQuestions()) != 1 {
			t.Fatalf("summary: %v", sum)
		}
		q := sum.GetQuestions()[0]
		if q.GetAnswerCount() != 10 || q.GetScore() != 0.9 || math.Abs(q.GetScoreLow()-0.5958) > 1e-4 || math.Abs(q.GetScoreHigh()-0.9821) > 1e-4 {
			t.Errorf("score: %v", q)
		}
		got := must[*feedbackv1.Survey](t)(surveys(t, s, clerk).GetSurvey(t.Context(), &feedbackv1.GetSurveyRequest{Name: v.GetName()}))
		if got.GetResponseCount() != 10 || got.GetEtag() != v.GetEtag() {
			t.Errorf("survey after responses: %v", got)
		}
	})
}

func TestSummarize_noAnswersNoScore(t *testing.T) {
	s := start(t, servetest.Options{})
	v := published(t, s, "empty")
	sum := must[*feedbackv1.SurveySummary](t)(surveys(t, s, clerk).SummarizeSurvey(t.Context(), &feedbackv1.SummarizeSurveyRequest{Name: v.GetName()}))
	if q := sum.GetQuestions()[0]; q.Score != nil || q.ScoreLow != nil || q.ScoreHigh != nil {
		t.Errorf("a score of nothing: %v", q)
	}
}

func TestRespond_refusals(t *testing.T) {
	s := start(t, servetest.Options{})
	v := published(t, s, "s1")
	if _, err := respond(t, s, v.GetName(), mei, rating(3)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		account string
		answers []*feedbackv1.Answer
		kind    errs.Kind
		reason  string
		field   string
	}{
		{"second response", mei, []*feedbackv1.Answer{rating(3)}, errs.Exists, "RESPONSE_EXISTS", ""},
		{"rating out of range", clerk, []*feedbackv1.Answer{rating(6)}, errs.Invalid, "ANSWER_INVALID", "response.answers[0].rating"},
		{"zero is no rating", clerk, []*feedbackv1.Answer{rating(0)}, errs.Invalid, "ANSWER_INVALID", "response.answers[0].rating"},
		{"required answer missing", clerk, []*feedbackv1.Answer{text("x")}, errs.Invalid, "ANSWER_INVALID", "response.answers"},
		{"answered twice", clerk, []*feedbackv1.Answer{rating(3), rating(4)}, errs.Invalid, "ANSWER_INVALID", "response.answers[1].question_id"},
		{"text to a rating", clerk, []*feedbackv1.Answer{{QuestionId: "delivery", Value: &feedbackv1.Answer_Text{Text: "5"}}}, errs.Invalid, "ANSWER_INVALID", "response.answers[0].text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := respond(t, s, v.GetName(), c.account, c.answers...)
			if c.field == "" {
				wantErr(t, err, c.kind, c.reason)
			} else {
				wantErr(t, err, c.kind, c.reason, c.field)
			}
		})
	}
}

func TestSurvey_statesAndEtags(t *testing.T) {
	s := start(t, servetest.Options{})
	c := surveys(t, s, clerk)
	v := published(t, s, "s1")
	_, err := c.PublishSurvey(t.Context(), &feedbackv1.PublishSurveyRequest{Name: v.GetName()})
	wantErr(t, err, errs.Precondition, "ILLEGAL_STATE")
	_, err = c.CloseSurvey(t.Context(), &feedbackv1.CloseSurveyRequest{Name: v.GetName(), Etag: "stale"})
	wantErr(t, err, errs.Conflict, "ETAG_MISMATCH", "etag")

	changed := draft()
	changed.Name, changed.Questions[0].Text = v.GetName(), "something else"
	_, err = c.UpdateSurvey(t.Context(), &feedbackv1.UpdateSurveyRequest{Survey: changed, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"questions"}}})
	wantErr(t, err, errs.Precondition, "SURVEY_PUBLISHED", "survey.questions")
	renamed := must[*feedbackv1.Survey](t)(c.UpdateSurvey(t.Context(), &feedbackv1.UpdateSurveyRequest{
		Survey: &feedbackv1.Survey{Name: v.GetName(), DisplayName: "Delivery 2026"},
	}))
	if renamed.GetDisplayName() != "Delivery 2026" || len(renamed.GetQuestions()) != 2 {
		t.Errorf("renamed: %v", renamed)
	}

	must[*feedbackv1.Survey](t)(c.CloseSurvey(t.Context(), &feedbackv1.CloseSurveyRequest{Name: v.GetName()}))
	_, err = respond(t, s, v.GetName(), mei, rating(5))
	wantErr(t, err, errs.Precondition, "SURVEY_NOT_ACTIVE")
	must[*feedbackv1.Survey](t)(c.ReopenSurvey(t.Context(), &feedbackv1.ReopenSurveyRequest{Name: v.GetName()}))
	if _, err := respond(t, s, v.GetName(), mei, rating(5)); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteSurvey(t.Context(), &feedbackv1.DeleteSurveyRequest{Name: v.GetName()})
	wantErr(t, err, errs.Precondition, "SURVEY_HAS_RESPONSES")
}

func TestSurvey_badInput(t *testing.T) {
	s := start(t, servetest.Options{})
	c := surveys(t, s, clerk)
	twice := draft()
	twice.Questions[1].QuestionId = "delivery"
	_, err := c.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: acme, Survey: twice})
	wantErr(t, err, errs.Invalid, "QUESTION_INVALID", "survey.questions[1].question_id")
	_, err = c.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: acme, SurveyId: "Über", Survey: draft()})
	wantErr(t, err, errs.Invalid, "RESOURCE_NAME_INVALID", "survey_id")
	_, err = c.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: "organizations/rival", Survey: draft()})
	wantErr(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	_, err = c.GetSurvey(t.Context(), &feedbackv1.GetSurveyRequest{Name: acme + "/surveys/none"})
	wantErr(t, err, errs.NotFound, "SURVEY_NOT_FOUND")
}

func TestGetSurvey_draftHiddenFromCustomers(t *testing.T) {
	s := start(t, servetest.Options{})
	v := must[*feedbackv1.Survey](t)(surveys(t, s, clerk).CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: acme, Survey: draft()}))
	_, err := surveys(t, s, mei).GetSurvey(t.Context(), &feedbackv1.GetSurveyRequest{Name: v.GetName()})
	wantErr(t, err, errs.NotFound, "SURVEY_NOT_FOUND")
}

func TestCreateSurvey_requestIDReplaysAndRefusesReuse(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		c := surveys(t, s, clerk)
		req := &feedbackv1.CreateSurveyRequest{Parent: acme, Survey: draft(), RequestId: "r-1"}
		first := must[*feedbackv1.Survey](t)(c.CreateSurvey(t.Context(), req))
		again := must[*feedbackv1.Survey](t)(c.CreateSurvey(t.Context(), req))
		if first.GetName() != again.GetName() || first.GetEtag() != again.GetEtag() {
			t.Errorf("a retry made another survey: %s, then %s", first.GetName(), again.GetName())
		}
		req.Survey.DisplayName = "Another"
		_, err := c.CreateSurvey(t.Context(), req)
		wantErr(t, err, errs.Invalid, "REQUEST_ID_REUSED", "request_id")
	})
}

func TestListSurveys_pages(t *testing.T) {
	s := start(t, servetest.Options{})
	c := surveys(t, s, clerk)
	for i := range 5 {
		must[*feedbackv1.Survey](t)(c.CreateSurvey(t.Context(), &feedbackv1.CreateSurveyRequest{Parent: acme, SurveyId: fmt.Sprintf("s%d", i), Survey: draft()}))
	}
	var names []string
	token := ""
	for {
		p := must[*feedbackv1.ListSurveysResponse](t)(c.ListSurveys(t.Context(), &feedbackv1.ListSurveysRequest{Parent: acme, PageSize: 2, PageToken: token}))
		for _, v := range p.GetSurveys() {
			names = append(names, v.GetName())
		}
		if token = p.GetNextPageToken(); token == "" {
			break
		}
		_, err := surveys(t, s, acme+"/staff/other").ListSurveys(t.Context(), &feedbackv1.ListSurveysRequest{Parent: acme, PageToken: token})
		wantErr(t, err, errs.Invalid, "PAGE_TOKEN_MISMATCH", "page_token")
	}
	if len(names) != 5 || names[0] != acme+"/surveys/s0" || names[4] != acme+"/surveys/s4" {
		t.Errorf("pages hold %v", names)
	}
}

func TestChanges_leaveEventsAndAnIntactAuditChain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		v := published(t, s, "s1")
		if _, err := respond(t, s, v.GetName(), mei, rating(5), text("a secret opinion")); err != nil {
			t.Fatal(err)
		}
		stream := must[feedbackv1.FeedbackEventService_StreamEventsClient](t)(
			feedbackv1.NewFeedbackEventServiceClient(s.As(t, clerk)).StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme, StopAtEnd: true}))
		var types []string
		for {
			resp, err := stream.Recv()
			if err != nil {
				break
			}
			for _, e := range resp.GetEvents() {
				types = append(types, e.GetType())
			}
		}
		if fmt.Sprint(types) != "[guildhall.feedback.survey.created.v1 guildhall.feedback.survey.published.v1 guildhall.feedback.response.created.v1]" {
			t.Errorf("events: %v", types)
		}
		check := must[*auditv1.VerifyAuditChainResponse](t)(
			feedbackv1.NewFeedbackAuditServiceClient(s.As(t, clerk)).VerifyAuditChain(t.Context(), &auditv1.VerifyAuditChainRequest{Parent: acme}))
		if !check.GetIntact() || check.GetEntriesChecked() != 3 {
			t.Errorf("audit: %v", check)
		}
	})
}

// awaitDenial waits until the refusal is in the audit log, where it comes in
// the background.
func awaitDenial(t *testing.T, s *servetest.Server) {
	t.Helper()
	c := feedbackv1.NewFeedbackAuditServiceClient(s.As(t, clerk))
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		p := must[*auditv1.ListAuditEntriesResponse](t)(c.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme}))
		for _, e := range p.GetAuditEntries() {
			if e.GetOutcome() == auditv1.AuditEntry_OUTCOME_DENIED && e.GetActor() == clerk {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the refusal is not in the audit log")
		}
	}
}
