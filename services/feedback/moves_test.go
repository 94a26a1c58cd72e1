package feedback_test

import (
	"slices"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// tina is another account of mei.
const tina = acme + "/customers/tina"

// move has identity move mei to tina, or bring her back, and returns the counts of
// the receipt.
func move(t *testing.T, s *servetest.Server, undo bool) map[string]int64 {
	t.Helper()
	_, counts := servetest.Move(t, subjects(t, s, servetest.Identity), mei, tina, undo)
	return counts
}

// kept is all that the service gives out of both accounts.
func kept(t *testing.T, s *servetest.Server) (all []string) {
	t.Helper()
	for _, customer := range []string{mei, tina} {
		for _, r := range servetest.Export(t, subjects(t, s, servetest.Identity), customer, li) {
			all = append(all, customer+" "+r.GetKind()+" "+r.GetJson())
		}
	}
	return all
}

func summary(t *testing.T, s *servetest.Server) *feedbackv1.SurveySummary {
	t.Helper()
	return must[*feedbackv1.SurveySummary](t)(surveys(t, s, clerk).SummarizeSurvey(t.Context(), &feedbackv1.SummarizeSurveyRequest{Name: acme + "/surveys/s1"}))
}

func get(t *testing.T, s *servetest.Server, as, name string) *feedbackv1.Complaint {
	t.Helper()
	return must[*feedbackv1.Complaint](t)(complaints(t, s, as).GetComplaint(t.Context(), &feedbackv1.GetComplaintRequest{Name: name}))
}

// TestMoveSubject_whatSheSaidIsTheOtherAccounts: and comes back as it was, with what
// became of it since.
func TestMoveSubject_whatSheSaidIsTheOtherAccounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		must[*feedbackv1.Complaint](t)(file(t, s, tina, tina, "open")) // a name that is taken
		before, scores := kept(t, s), summary(t, s)
		if counts := move(t, s, false); counts["responses"] != 1 || counts["complaints"] != 3 {
			t.Errorf("moved are %v", counts)
		}
		tombs := []string{"moves", "moves__party", "move_lines", "move_lines__former", "merged_subjects", "change_answers", "change_expiries"}
		for _, table := range s.Holding(t, mei) {
			if !slices.Contains(tombs, table) && !strings.HasPrefix(table, "feed_") && !strings.HasPrefix(table, "audit_") {
				t.Errorf("the name is left in %s", table)
			}
		}
		closed := get(t, s, tina, tina+"/complaints/closed")
		if h := closed.GetHistory(); closed.GetReference() == "" || h[0].GetActor() != tina || h[1].GetActor() != "" || closed.GetVerbatim() != private+" waits" {
			t.Errorf("the other account sees %v", closed)
		}
		_, err := complaints(t, s, clerk).GetComplaint(t.Context(), &feedbackv1.GetComplaintRequest{Name: mei + "/complaints/closed"})
		wantErr(t, err, errs.NotFound, "COMPLAINT_NOT_FOUND")
		listed := must[*feedbackv1.ListComplaintsResponse](t)(complaints(t, s, clerk).ListComplaints(t.Context(), &feedbackv1.ListComplaintsRequest{Parent: tina}))
		if len(listed.GetComplaints()) != 4 {
			t.Errorf("the other account has %d complaints, want 4", len(listed.GetComplaints()))
		}
		if got := summary(t, s); got.String() != scores.String() {
			t.Errorf("the scores are %v, were %v", got, scores)
		}
		move(t, s, true)
		if after := kept(t, s); !slices.Equal(before, after) {
			t.Errorf("there is\n%s\nthere was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	})
}

// TestMoveSubject_whereBothAnswered: one response of a person counts, the survivor's
// own; undone, both do again. Erased, neither.
func TestMoveSubject_whereBothAnswered(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		must[*feedbackv1.Response](t)(respond(t, s, acme+"/surveys/s1", tina, rating(4), text("good")))
		before, scores := kept(t, s), summary(t, s)
		move(t, s, false)
		if got := summary(t, s); got.GetResponseCount() != 2 || !slices.Equal(got.GetQuestions()[0].GetRatingCounts(), []int64{0, 0, 0, 1, 1}) {
			t.Errorf("the scores are %v, want those of two people", got)
		}
		all := must[*feedbackv1.ListResponsesResponse](t)(surveys(t, s, clerk).ListResponses(t.Context(), &feedbackv1.ListResponsesRequest{Parent: acme + "/surveys/s1"}))
		for _, r := range all.GetResponses() {
			if old := r.GetAnswers()[0].GetRating() == 2; r.GetSuperseded() != old || old && r.GetRespondent() != tina {
				t.Errorf("the response is %v", r)
			}
		}
		_, err := respond(t, s, acme+"/surveys/s1", tina, rating(1))
		wantErr(t, err, errs.Exists, "RESPONSE_EXISTS")
		move(t, s, true)
		if got := summary(t, s); got.String() != scores.String() || !slices.Equal(before, kept(t, s)) {
			t.Errorf("the scores are %v, were %v", got, scores)
		}
	})
}

// TestMoved_erasedWithTheSurvivor: the superseded response goes too, and is not taken
// out of the scores twice.
func TestMoved_erasedWithTheSurvivor(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		must[*feedbackv1.Response](t)(respond(t, s, acme+"/surveys/s1", tina, rating(4), text("good")))
		move(t, s, false)
		if _, counts := erase(t, s, tina); counts["responses"] != 2 || counts["complaints"] != 3 {
			t.Errorf("erased are %v", counts)
		}
		erase(t, s, mei)
		if where := s.Holding(t, private); len(where) > 0 {
			t.Errorf("the words are left in %v", where)
		}
		if got := summary(t, s); got.GetResponseCount() != 1 || got.GetQuestions()[0].GetScore() != 1 {
			t.Errorf("the scores are %v, want those of one response", got)
		}
		_, err := subjects(t, s, servetest.Identity).MoveSubject(t.Context(), &subjectv1.MoveSubjectRequest{Merge: servetest.Merge, From: mei, To: tina, Undo: true})
		wantErr(t, err, errs.Precondition, "MERGE_FINAL")
	})
}

// TestMoved_nothingIsWrittenUnderTheName: calls that were let in before the merge, and
// come to the store after it, are refused, until it is undone.
func TestMoved_nothingIsWrittenUnderTheName(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		published(t, s, "s2")
		move(t, s, false)
		_, err := respond(t, s, acme+"/surveys/s2", mei, rating(1), text(private))
		wantErr(t, err, errs.Precondition, "CUSTOMER_MERGED")
		for _, by := range []string{mei, clerk} {
			_, err = file(t, s, by, mei, "late")
			wantErr(t, err, errs.Precondition, "CUSTOMER_MERGED")
		}
		_, err = complaints(t, s, clerk).AcknowledgeComplaint(t.Context(), &feedbackv1.AcknowledgeComplaintRequest{Name: mei + "/complaints/open"})
		wantErr(t, err, errs.NotFound, "COMPLAINT_NOT_FOUND")
		must[*feedbackv1.Complaint](t)(complaints(t, s, clerk).AcknowledgeComplaint(t.Context(), &feedbackv1.AcknowledgeComplaintRequest{Name: tina + "/complaints/open", Note: "since"}))
		move(t, s, true)
		if v := get(t, s, clerk, mei+"/complaints/open"); v.GetState() != feedbackv1.Complaint_STATE_ACKNOWLEDGED {
			t.Errorf("what was moved on since is %v", v)
		}
		must[*feedbackv1.Complaint](t)(file(t, s, mei, mei, "late"))
	})
}
