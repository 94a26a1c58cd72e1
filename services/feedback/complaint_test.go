package feedback_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

func file(t *testing.T, s *servetest.Server, account, customer, id string) (*feedbackv1.Complaint, error) {
	return complaints(t, s, account).CreateComplaint(t.Context(), &feedbackv1.CreateComplaintRequest{
		Parent: customer, ComplaintId: id,
		Complaint: &feedbackv1.Complaint{
			Subject: "Broken on arrival", Verbatim: "The lantern came broken.", RemedySought: "A new one",
			About: acme + "/staff/packer", Channel: feedbackv1.Complaint_CHANNEL_ONLINE,
		},
	})
}

// step is one call of a complaint's way.
type step func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error)

func steps(t *testing.T, name string) map[string]step {
	ctx := t.Context()
	return map[string]step{
		"acknowledge": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.AcknowledgeComplaint(ctx, &feedbackv1.AcknowledgeComplaintRequest{Name: name, Note: "called back"})
		},
		"investigate": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.InvestigateComplaint(ctx, &feedbackv1.InvestigateComplaintRequest{Name: name, Severity: feedbackv1.Complaint_SEVERITY_MEDIUM})
		},
		"communicate": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.CommunicateComplaint(ctx, &feedbackv1.CommunicateComplaintRequest{Name: name, Finding: feedbackv1.Complaint_FINDING_UPHELD, Resolution: "A new one is on its way."})
		},
		"accept": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.AcceptComplaint(ctx, &feedbackv1.AcceptComplaintRequest{Name: name})
		},
		"dispute": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.DisputeComplaint(ctx, &feedbackv1.DisputeComplaintRequest{Name: name, Note: "not what I asked for"})
		},
		"close": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.CloseComplaint(ctx, &feedbackv1.CloseComplaintRequest{Name: name, Cause: "packing"})
		},
		"reopen": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.ReopenComplaint(ctx, &feedbackv1.ReopenComplaintRequest{Name: name})
		},
		"withdraw": func(c feedbackv1.ComplaintServiceClient) (*feedbackv1.Complaint, error) {
			return c.WithdrawComplaint(ctx, &feedbackv1.WithdrawComplaintRequest{Name: name})
		},
	}
}

func TestComplaint_fromReceiptToClose(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		v := must[*feedbackv1.Complaint](t)(file(t, s, mei, mei, "p1"))
		if v.GetReference() != "C-000001" || v.GetState() != feedbackv1.Complaint_STATE_RECEIVED {
			t.Fatalf("filed: %v", v)
		}
		staff, customer := complaints(t, s, clerk), complaints(t, s, mei)
		do := steps(t, v.GetName())
		for _, move := range []struct {
			who  feedbackv1.ComplaintServiceClient
			verb string
		}{
			{staff, "acknowledge"}, {staff, "investigate"}, {staff, "communicate"}, {customer, "accept"}, {staff, "close"},
		} {
			v = must[*feedbackv1.Complaint](t)(do[move.verb](move.who))
		}
		if v.GetState() != feedbackv1.Complaint_STATE_CLOSED || v.GetCause() != "packing" || v.GetOwner() != clerk || len(v.GetHistory()) != 6 {
			t.Errorf("closed: %v", v)
		}
		seen := must[*feedbackv1.Complaint](t)(customer.GetComplaint(t.Context(), &feedbackv1.GetComplaintRequest{Name: v.GetName()}))
		if seen.GetCause() != "" || seen.GetOwner() != "" || seen.GetSeverity() != 0 || seen.GetHistory()[1].GetNote() != "" || seen.GetHistory()[1].GetActor() != "" {
			t.Errorf("the complainant sees what is internal: %v", seen)
		}
		if seen.GetResolution() == "" || seen.GetFinding() == 0 {
			t.Errorf("the complainant does not see the outcome: %v", seen)
		}
	})
}

// TestComplaint_everyMoveFromEveryState drives a complaint into each state and
// tries each move there: those of the table succeed, all others are refused.
func TestComplaint_everyMoveFromEveryState(t *testing.T) {
	s := start(t, servetest.Options{})
	ways := map[string][]string{
		"RECEIVED":      nil,
		"ACKNOWLEDGED":  {"acknowledge"},
		"INVESTIGATING": {"acknowledge", "investigate"},
		"COMMUNICATED":  {"acknowledge", "investigate", "communicate"},
		"RESOLVED":      {"acknowledge", "investigate", "communicate", "accept"},
		"CLOSED":        {"acknowledge", "investigate", "communicate", "accept", "close"},
		"WITHDRAWN":     {"withdraw"},
	}
	legal := map[string]string{
		"RECEIVED": "acknowledge withdraw", "ACKNOWLEDGED": "investigate withdraw", "INVESTIGATING": "communicate withdraw",
		"COMMUNICATED": "accept dispute withdraw", "RESOLVED": "close withdraw", "CLOSED": "reopen", "WITHDRAWN": "",
	}
	client := map[string]feedbackv1.ComplaintServiceClient{"staff": complaints(t, s, clerk), "customer": complaints(t, s, mei)}
	who := func(verb string) feedbackv1.ComplaintServiceClient {
		switch verb {
		case "accept", "dispute", "withdraw":
			return client["customer"]
		}
		return client["staff"]
	}
	n := 0
	for state, way := range ways {
		for verb := range steps(t, "") {
			n++
			v := must[*feedbackv1.Complaint](t)(file(t, s, mei, mei, fmt.Sprintf("m%d", n)))
			do := steps(t, v.GetName())
			for _, w := range way {
				must[*feedbackv1.Complaint](t)(do[w](who(w)))
			}
			_, err := do[verb](who(verb))
			if slices.Contains(strings.Fields(legal[state]), verb) {
				if err != nil {
					t.Errorf("%s from %s: %v", verb, state, err)
				}
			} else if !errs.Is(err, errs.Precondition) || errs.ReasonOf(err) != "ILLEGAL_STATE" {
				t.Errorf("%s from %s: got %v, want ILLEGAL_STATE", verb, state, err)
			}
		}
	}
}

func TestDispute_once(t *testing.T) {
	s := start(t, servetest.Options{})
	v := must[*feedbackv1.Complaint](t)(file(t, s, mei, mei, ""))
	do := steps(t, v.GetName())
	staff, customer := complaints(t, s, clerk), complaints(t, s, mei)
	for _, verb := range []string{"acknowledge", "investigate", "communicate"} {
		must[*feedbackv1.Complaint](t)(do[verb](staff))
	}
	must[*feedbackv1.Complaint](t)(do["dispute"](customer))
	must[*feedbackv1.Complaint](t)(do["communicate"](staff))
	_, err := do["dispute"](customer)
	wantErr(t, err, errs.Precondition, "ALREADY_DISPUTED")
}

func TestComplaint_refusals(t *testing.T) {
	s := start(t, servetest.Options{})
	_, err := file(t, s, clerk, acme+"/customers/nobody", "")
	wantErr(t, err, errs.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = file(t, s, clerk, acme+"/customers/gone", "")
	wantErr(t, err, errs.NotFound, "CUSTOMER_NOT_FOUND")

	v := must[*feedbackv1.Complaint](t)(file(t, s, clerk, mei, "p1"))
	_, err = file(t, s, clerk, mei, "p1")
	wantErr(t, err, errs.Exists, "COMPLAINT_EXISTS")
	staff := complaints(t, s, clerk)
	_, err = staff.WithdrawComplaint(t.Context(), &feedbackv1.WithdrawComplaintRequest{Name: v.GetName()})
	wantErr(t, err, errs.Invalid, "NOTE_REQUIRED", "note")

	must[*feedbackv1.Complaint](t)(staff.AcknowledgeComplaint(t.Context(), &feedbackv1.AcknowledgeComplaintRequest{Name: v.GetName()}))
	_, err = staff.InvestigateComplaint(t.Context(), &feedbackv1.InvestigateComplaintRequest{
		Name: v.GetName(), Severity: feedbackv1.Complaint_SEVERITY_LOW, Owner: acme + "/staff/packer",
	})
	wantErr(t, err, errs.Invalid, "OWNER_IS_SUBJECT", "owner")
	_, err = staff.InvestigateComplaint(t.Context(), &feedbackv1.InvestigateComplaintRequest{
		Name: v.GetName(), Severity: feedbackv1.Complaint_SEVERITY_LOW, Owner: "organizations/rival/staff/x",
	})
	wantErr(t, err, errs.Invalid, "RESOURCE_NAME_INVALID", "owner")
}

func TestCreateComplaint_identityAwayIsUnavailable(t *testing.T) {
	s := servetest.Start(t, "feedback", build, servetest.Options{})
	_, err := file(t, s, clerk, mei, "")
	wantErr(t, err, errs.Unavailable, "SERVICE_UNAVAILABLE")
	if _, err := file(t, s, mei, mei, ""); err != nil {
		t.Errorf("a customer files for itself without identity: %v", err)
	}
}

func TestListComplaints_ofOneAndOfAllByState(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servetest.Server) {
		other := acme + "/customers/li"
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				who := mei
				if i%2 == 1 {
					who = other
				}
				if _, err := file(t, s, who, who, fmt.Sprintf("p%d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		staff := complaints(t, s, clerk)
		must[*feedbackv1.Complaint](t)(staff.AcknowledgeComplaint(t.Context(), &feedbackv1.AcknowledgeComplaintRequest{Name: mei + "/complaints/p0"}))
		count := func(parent, filter string) (names []string, references map[string]bool) {
			references, token := map[string]bool{}, ""
			for {
				p := must[*feedbackv1.ListComplaintsResponse](t)(staff.ListComplaints(t.Context(), &feedbackv1.ListComplaintsRequest{Parent: parent, Filter: filter, PageSize: 2, PageToken: token}))
				for _, v := range p.GetComplaints() {
					names, references[v.GetReference()] = append(names, v.GetName()), true
				}
				if token = p.GetNextPageToken(); token == "" {
					return names, references
				}
			}
		}
		all, references := count(acme+"/customers/-", "")
		if len(all) != 6 || len(references) != 6 {
			t.Errorf("all: %v with references %v", all, references)
		}
		if own, _ := count(mei, ""); len(own) != 3 {
			t.Errorf("of one customer: %v", own)
		}
		if got, _ := count(acme+"/customers/-", `state = "ACKNOWLEDGED"`); len(got) != 1 || got[0] != mei+"/complaints/p0" {
			t.Errorf("acknowledged: %v", got)
		}
		_, err := staff.ListComplaints(t.Context(), &feedbackv1.ListComplaintsRequest{Parent: mei, Filter: `verbatim = "x"`})
		wantErr(t, err, errs.Invalid, "FILTER_INVALID", "filter")
	})
}
