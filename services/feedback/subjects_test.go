package feedback_test

import (
	"slices"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

const (
	li = acme + "/customers/li"
	// private is in all that mei says, and in what is noted of mei.
	private = "Mei of Lane 7"
)

func subjects(t *testing.T, s *servetest.Server, as string) feedbackv1.FeedbackSubjectServiceClient {
	return feedbackv1.NewFeedbackSubjectServiceClient(s.As(t, as))
}

// erase has identity erase a customer, and returns the counts of the receipt.
func erase(t *testing.T, s *servetest.Server, customer string) (*subjectv1.ErasureReceipt, map[string]int64) {
	t.Helper()
	return servetest.Erase(t, subjects(t, s, servetest.Identity), customer)
}

// life has mei respond to a survey beside li, and leaves her with a complaint that is
// closed after all of its moves, one that is resolved, and one that staff took down.
// All calls are ones that may be retried. Words of hers are in all that is written.
func life(t *testing.T, s *servetest.Server) {
	t.Helper()
	ctx, customer, staff := t.Context(), complaints(t, s, mei), complaints(t, s, clerk)
	published(t, s, "s1")
	must[*feedbackv1.Response](t)(surveys(t, s, mei).CreateResponse(ctx, &feedbackv1.CreateResponseRequest{
		Parent: acme + "/surveys/s1", RequestId: "r1", Response: &feedbackv1.Response{Answers: []*feedbackv1.Answer{rating(2), text("I am " + private)}},
	}))
	must[*feedbackv1.Response](t)(respond(t, s, acme+"/surveys/s1", li, rating(5), text("fine")))
	for id, client := range map[string]feedbackv1.ComplaintServiceClient{"closed": customer, "resolved": customer, "open": staff} {
		must[*feedbackv1.Complaint](t)(client.CreateComplaint(ctx, &feedbackv1.CreateComplaintRequest{
			Parent: mei, ComplaintId: id, RequestId: "r2" + id, Complaint: &feedbackv1.Complaint{
				Subject: private, Verbatim: private + " waits", RemedySought: "call " + private, About: acme + "/staff/packer",
			},
		}))
	}
	note := "noted of " + private
	for _, id := range []string{"closed", "resolved"} {
		name := mei + "/complaints/" + id
		must[*feedbackv1.Complaint](t)(staff.AcknowledgeComplaint(ctx, &feedbackv1.AcknowledgeComplaintRequest{Name: name, Note: note, RequestId: "r3" + id}))
		must[*feedbackv1.Complaint](t)(staff.InvestigateComplaint(ctx, &feedbackv1.InvestigateComplaintRequest{Name: name, Note: note, Severity: feedbackv1.Complaint_SEVERITY_HIGH}))
		must[*feedbackv1.Complaint](t)(staff.CommunicateComplaint(ctx, &feedbackv1.CommunicateComplaintRequest{
			Name: name, Note: note, Finding: feedbackv1.Complaint_FINDING_UPHELD, Resolution: "Dear " + private,
		}))
		must[*feedbackv1.Complaint](t)(customer.AcceptComplaint(ctx, &feedbackv1.AcceptComplaintRequest{Name: name, Note: note}))
	}
	must[*feedbackv1.Complaint](t)(staff.CloseComplaint(ctx, &feedbackv1.CloseComplaintRequest{Name: mei + "/complaints/closed", Note: note, Cause: private + " moved", RequestId: "r4"}))
}

// TestEraseSubject_leavesTheCasesWithoutThePerson: no word is left; what is counted
// of complaints is, and what is counted of responses is what others said.
func TestEraseSubject_leavesTheCasesWithoutThePerson(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		for _, table := range []string{"responses", "complaints", "change_answers"} {
			if !slices.Contains(s.Holding(t, private), table) {
				t.Fatalf("the test plants nothing in %s", table)
			}
		}
		receipt, counts := erase(t, s, mei)
		if counts["responses"] != 1 || counts["complaints"] != 3 || counts["change_answers"] < 5 || receipt.GetService() != "feedback" {
			t.Errorf("the receipt is %v", receipt)
		}
		if where := s.Holding(t, private); len(where) > 0 {
			t.Errorf("the words are left in %v", where)
		}
		for _, table := range s.Holding(t, mei) {
			if strings.HasPrefix(table, "responses") || table == "change_answers" {
				t.Errorf("the name is left in %s", table)
			}
		}
		for id, state := range map[string]feedbackv1.Complaint_State{
			"closed": feedbackv1.Complaint_STATE_CLOSED, "resolved": feedbackv1.Complaint_STATE_CLOSED, "open": feedbackv1.Complaint_STATE_WITHDRAWN,
		} {
			v := must[*feedbackv1.Complaint](t)(complaints(t, s, clerk).GetComplaint(t.Context(), &feedbackv1.GetComplaintRequest{Name: mei + "/complaints/" + id}))
			if v.GetState() != state || v.GetEraseTime() == nil || v.GetReference() == "" || v.GetAbout() == "" || v.GetHistory()[len(v.GetHistory())-1].GetTo() != state {
				t.Errorf("the case is %v, want %v", v, state)
			}
			if id != "open" && (v.GetFinding() != feedbackv1.Complaint_FINDING_UPHELD || v.GetOwner() != clerk || v.GetSeverity() != feedbackv1.Complaint_SEVERITY_HIGH) {
				t.Errorf("the case is %v, want what was found", v)
			}
		}
		sum := must[*feedbackv1.SurveySummary](t)(surveys(t, s, clerk).SummarizeSurvey(t.Context(), &feedbackv1.SummarizeSurveyRequest{Name: acme + "/surveys/s1"}))
		if sum.GetResponseCount() != 1 || sum.GetQuestions()[0].GetAnswerCount() != 1 || sum.GetQuestions()[0].GetScore() != 1 {
			t.Errorf("the scores are %v, want those of one response", sum)
		}
	})
}

// TestErased_doesNotComeBack: calls that were let in before the erasure, and come to
// the store after it, are refused.
func TestErased_doesNotComeBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		erase(t, s, mei)
		_, err := respond(t, s, acme+"/surveys/s1", mei, rating(1), text(private))
		wantErr(t, err, errs.Precondition, "CUSTOMER_ERASED")
		for _, by := range []string{mei, clerk} { // identity has yet to hear of it
			_, err = file(t, s, by, mei, "late")
			wantErr(t, err, errs.Precondition, "CUSTOMER_ERASED")
		}
		for verb, do := range steps(t, mei+"/complaints/closed") {
			if _, err := do(complaints(t, s, clerk)); errs.ReasonOf(err) != "CUSTOMER_ERASED" {
				t.Errorf("%s: %v, want CUSTOMER_ERASED", verb, err)
			}
		}
	})
}

// TestSubjects_onlyForIdentity: and of a customer who has said nothing the receipt
// and the export are empty.
func TestSubjects_onlyForIdentity(t *testing.T) {
	servetest.TestSubjects(t, start(t, servetest.Options{}), feedbackv1.NewFeedbackSubjectServiceClient, mei, clerk)
}

// TestExportSubject_givesOutWhatTheCustomerSaid: and of complaints what their
// complainant sees.
func TestExportSubject_givesOutWhatTheCustomerSaid(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		life(t, s)
		identity := subjects(t, s, servetest.Identity)
		whole := servetest.Export(t, identity, mei, li)
		var kinds []string
		for _, r := range whole {
			kinds = append(kinds, r.GetKind())
			if strings.Contains(r.GetJson(), `"etag"`) || strings.Contains(r.GetJson(), "severity") || strings.Contains(r.GetJson(), "moved") || !strings.Contains(r.GetJson(), private) {
				t.Errorf("the record is %s", r.GetJson())
			}
		}
		if want := "responses complaints complaints complaints"; strings.Join(kinds, " ") != want {
			t.Errorf("kinds %v, want %s", kinds, want)
		}
		erase(t, s, mei)
		if got := servetest.Export(t, identity, mei, li); len(got) != 0 {
			t.Errorf("after the erasure: %v", got)
		}
	})
}

// TestMigrations_findWhatWasSaidBefore: responses that a version took which had no
// such index are erased as well.
func TestMigrations_findWhatWasSaidBefore(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			ring, err := seal.New()
			if err != nil {
				t.Fatal(err)
			}
			opts := servetest.Options{StoreURL: testkit.StoreURL(t, engine), Ring: ring}
			s := start(t, opts)
			life(t, s)
			s.Unindex(t, "responses__account")
			s.Stop(t)
			s = start(t, opts)
			if _, counts := erase(t, s, mei); counts["responses"] != 1 {
				t.Errorf("%d responses were erased, want 1", counts["responses"])
			}
		})
	}
}
