package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/gateway/internal/task"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	requestsPath = "/access/v1/requests"
	kim          = `"subject":{"type":"user","id":"kim"}`
	because      = `"context":{"business_justification":"the night shift needs it"}`
	kimName      = "organizations/acme/staff/kim"
	filedName    = kimName + "/permissionChangeRequests/r1"
	profileType  = "urn:openid:authzen:access-request:error:"
)

// deny asks a question and returns the offer and the reason of its denial.
func (p *point) deny(question string, headers ...string) (offer map[string]any, reason string) {
	p.t.Helper()
	w := p.post(evaluationPath, question, headers...)
	wantStatus(p.t, w, 200)
	context, _ := jsonOf(p.t, w.Body.Bytes())["context"].(map[string]any)
	offer, _ = context["access_request"].(map[string]any)
	reason, _ = context["reason"].(string)
	return offer, reason
}

// denialOf is the member denial of a request for what was denied.
func denialOf(offer map[string]any, reason string) string {
	return fmt.Sprintf(`"denial":{"expires_at":%q,"binding_token":%q,"reason":%q}`, offer["expires_at"], offer["binding_token"], reason)
}

// filing remembers what is filed, and answers that it is.
func (p *point) filing() *permissionv1.CreatePermissionChangeRequestRequest {
	filed := &permissionv1.CreatePermissionChangeRequestRequest{}
	p.desk = func(args, reply proto.Message) error {
		proto.Reset(filed)
		proto.Merge(filed, args)
		v := proto.CloneOf(filed.GetPermissionChangeRequest())
		v.Name, v.State = filed.GetParent()+"/permissionChangeRequests/r1", permissionv1.PermissionChangeRequest_STATE_SUBMITTED
		v.CreateTime = timestamppb.New(p.now)
		return fill(reply, v)
	}
	return filed
}

// wantProfile checks that an answer is a problem of the profile.
func wantProfile(p *point, w *httptest.ResponseRecorder, status int, name string) {
	p.t.Helper()
	got := wantProblem(p.t, w, status, "ACCESS_REQUEST_"+strings.ToUpper(name))
	if got.Type != profileType+name || got.Detail == "" {
		p.t.Errorf("the problem is %+v", got)
	}
}

func TestAccessRequest_whatCanBeCuredIsOffered(t *testing.T) {
	p := newPoint(t)
	question := `{` + kim + `,` + reading + `,` + g1 + `}`
	for number, name := range permissionv1.Denial_name {
		if p.denial = permissionv1.Denial(number); p.denial == permissionv1.Denial_DENIAL_UNSPECIFIED {
			continue
		}
		curable := slices.Contains([]string{"DENIAL_NO_GRANT", "DENIAL_APPROVAL_NEEDED"}, name)
		for path, endpoint := range map[string]string{"": "https://api.example", "/acme": "https://api.example/acme"} {
			w := p.post(path+evaluationPath, question)
			wantStatus(t, w, 200)
			context := jsonOf(t, w.Body.Bytes())["context"].(map[string]any)
			offer, offered := context["access_request"].(map[string]any)
			if offered != curable || context["reason"] != name || context["reason_user"] == nil {
				t.Errorf("%s is answered %v", name, context)
			}
			if offered && (offer["endpoint"] != endpoint+requestsPath || offer["expires_at"] != p.now.Add(15*time.Minute).UTC().Format(time.RFC3339)) {
				t.Errorf("%s is offered as %v", name, offer)
			}
		}
	}
	p.denial = permissionv1.Denial_DENIAL_NO_GRANT
	w := p.post(evaluationsPath, `{`+reading+`,`+g1+`,"evaluations":[{`+lin+`},{`+kim+`},{}]}`)
	wantStatus(t, w, 200)
	var offers []bool
	for _, each := range jsonOf(t, w.Body.Bytes())["evaluations"].([]any) {
		context, _ := each.(map[string]any)["context"].(map[string]any)
		offers = append(offers, context["access_request"] != nil)
	}
	if !slices.Equal(offers, []bool{false, true, false}) {
		t.Errorf("offered in a batch: %v", offers)
	}
}

func TestAccessRequest_becomesAChangeRequest(t *testing.T) {
	p := newPoint(t)
	filed := p.filing()
	message := `"resource":{"type":"message","id":"g1/messages/-"}`
	offer, reason := p.deny(`{` + kim + `,"action":{"name":"create"},` + message + `}`)
	w := p.post(requestsPath, `{`+kim+`,"action":{"name":"create"},`+message+`,"context":{"justification":" night shift ","ip":"x"},`+
		`"requested_access":{"requested_until":"2027-03-01T10:00:00+01:00","emergency":false,"role":"unknown members are ignored"},`+
		`"client":{"id":"crm","source":{"external_url":"https://tickets.example/7"}},`+denialOf(offer, reason)+`}`,
		"Idempotency-Key", `"key-1"`)
	wantStatus(t, w, 202)
	v := filed.GetPermissionChangeRequest()
	if filed.GetParent() != kimName || v.GetSubject() != kimName || filed.GetRequestId() != "key-1" ||
		v.GetJustification() != "night shift\nclient.id: crm\nclient.source.external_url: https://tickets.example/7" {
		t.Errorf("filed as %v", filed)
	}
	if a := v.GetAccess(); a.GetPermission() != "groupchat.messages.create" || a.GetResource() != "organizations/acme/groups/g1" ||
		!a.GetUntil().AsTime().Equal(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("asks for %v", v.GetChange())
	}
	url := "https://api.example" + requestsPath + "/" + task.ID(filedName)
	want := fmt.Sprintf(`{"task":{"id":%q,"status":"pending","status_endpoint":%q,"expires_at":%q,"links":{"cancel":%q}}}`,
		task.ID(filedName), url, p.now.Add(720*time.Hour).UTC().Format(time.RFC3339), url+"/cancel")
	if w.Body.String() != want || w.Header().Get("Location") != url {
		t.Errorf("answered %s at %s, want %s", w.Body, w.Header().Get("Location"), want)
	}
	p.denial = permissionv1.Denial_DENIAL_APPROVAL_NEEDED
	offer, _ = p.deny(`{` + kim + `,` + reading + `,` + g1 + `}`)
	wantStatus(t, p.post(requestsPath, `{`+kim+`,`+reading+`,`+g1+`,`+because+`,"denial":{"expires_at":"`+offer["expires_at"].(string)+
		`","binding_token":"`+offer["binding_token"].(string)+`"}}`), 202)
	if a := filed.GetPermissionChangeRequest().GetApproval(); a.GetPermission() != "groupchat.groups.get" || a.GetResource() != "organizations/acme/groups/g1" || a.GetUntil() != nil || filed.GetRequestId() != "" {
		t.Errorf("filed as %v", filed)
	}
}

func TestAccessRequest_isBoundToItsDenial(t *testing.T) {
	p := newPoint(t)
	p.filing()
	who := `"subject":{"type":"user","id":"kim","properties":{"role":"clerk","act":{"sub":"bot"}}}`
	offer, reason := p.deny(`{` + who + `,` + reading + `,` + g1 + `}`)
	denial := denialOf(offer, reason)
	for name, question := range map[string]string{
		"the same":       who + `,` + reading + `,` + g1,
		"the actor left": strings.Replace(who, `,"act":{"sub":"bot"}`, "", 1) + `,` + reading + `,` + g1,
		"other spaces":   strings.ReplaceAll(who, ":", " : ") + `,` + reading + `,` + g1,
	} {
		if w := p.post(requestsPath, `{`+question+`,`+because+`,`+denial+`}`); w.Code != 202 {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
	for name, body := range map[string]string{
		"another subject":     kim + `,` + reading + `,` + g1 + `,` + denial,
		"another action":      who + `,"action":{"name":"write"},` + g1 + `,` + denial,
		"another resource":    who + `,` + reading + `,"resource":{"type":"group","id":"g2"},` + denial,
		"other properties":    strings.Replace(who, "clerk", "admin", 1) + `,` + reading + `,` + g1 + `,` + denial,
		"another end":         who + `,` + reading + `,` + g1 + `,` + strings.Replace(denial, "2027", "2028", 1),
		"an end that is none": who + `,` + reading + `,` + g1 + `,` + strings.Replace(denial, "2027", "x", 1),
		"another reason":      who + `,` + reading + `,` + g1 + `,` + strings.Replace(denial, "NO_GRANT", "APPROVAL_NEEDED", 1),
		"no token":            who + `,` + reading + `,` + g1 + `,"denial":{"expires_at":"2027-01-15T08:15:00Z"}`,
		"a token of nobody's": who + `,` + reading + `,` + g1 + `,"denial":{"expires_at":"2027-01-15T08:15:00Z","binding_token":"x"}`,
		"an evaluation id":    who + `,` + reading + `,` + g1 + `,` + strings.Replace(denial, `{`, `{"evaluation_id":"e1",`, 1),
	} {
		w := p.post(requestsPath, `{`+body+`,`+because+`}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), profileType+"invalid_denial_binding") {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
	body := `{` + who + `,` + reading + `,` + g1 + `,` + because + `,` + denial + `}`
	other := "Bearer " + tokenOf("organizations/acme/serviceAccounts/other")
	wantProfile(p, p.post(requestsPath, body, "Authorization", "", "Authorization", other), 400, "invalid_denial_binding")
	wantProfile(p, p.post("/globex"+requestsPath, body), 400, "invalid_denial_binding")
	wantProfile(p, p.post(requestsPath, `{`+kim+`,`+reading+`,`+g1+`,`+because+`}`), 400, "not_requestable")
	p.now = p.now.Add(15 * time.Minute)
	wantProfile(p, p.post(requestsPath, body), 410, "expired_denial")
}

func TestAccessRequest_refusesWhatItDoesNotDo(t *testing.T) {
	p := newPoint(t)
	p.filing()
	offer, reason := p.deny(`{` + kim + `,` + reading + `,` + g1 + `}`)
	whole := kim + `,` + reading + `,` + g1 + `,` + denialOf(offer, reason)
	for _, test := range []struct{ name, body, reason, field string }{
		{"a bundle", kim + `,"items":[{` + reading + `,` + g1 + `}],` + because, "MEMBER_UNSUPPORTED", "items"},
		{"a callback", whole + `,"callback":{"endpoint":"https://x"},` + because, "MEMBER_UNSUPPORTED", "callback"},
		{"an emergency", whole + `,"requested_access":{"emergency":true},` + because, "MEMBER_UNSUPPORTED", "requested_access.emergency"},
		{"an actor", whole + `,"client":{"actor":{"id":"bot"}},` + because, "MEMBER_UNSUPPORTED", "client.actor"},
		{"no reason why", whole, "VALIDATION_FAILED", "context.business_justification"},
		{"an empty why", whole + `,"context":{"business_justification":" "}`, "VALIDATION_FAILED", "context.business_justification"},
		{"no action", kim + `,` + g1 + `,` + because, "VALIDATION_FAILED", "action"},
		{"a denial that is text", kim + `,` + reading + `,` + g1 + `,"denial":"x"`, "JSON_VALUE_INVALID", "denial"},
		{"a denial without an end", kim + `,` + reading + `,` + g1 + `,"denial":{"binding_token":"x"}`, "VALIDATION_FAILED", "denial.expires_at"},
		{"wishes that are text", whole + `,"requested_access":"x",` + because, "JSON_VALUE_INVALID", "requested_access"},
		{"a time that is none", whole + `,"requested_access":{"requested_until":"tomorrow"},` + because, "TIMESTAMP_INVALID", "requested_access.requested_until"},
		{"an emergency that is text", whole + `,"requested_access":{"emergency":"yes"},` + because, "JSON_VALUE_INVALID", "requested_access.emergency"},
		{"a client that is text", whole + `,"client":"crm",` + because, "JSON_VALUE_INVALID", "client"},
		{"a source that is text", whole + `,"client":{"source":"x"},` + because, "JSON_VALUE_INVALID", "client.source"},
		{"a client's id that is a number", whole + `,"client":{"id":7},` + because, "JSON_VALUE_INVALID", "client.id"},
	} {
		got := wantProblem(t, p.post(requestsPath, `{`+test.body+`}`), 400, test.reason)
		if len(got.Violations) != 1 || got.Violations[0].Field != test.field {
			t.Errorf("%s: faults are %+v, want %s", test.name, got.Violations, test.field)
		}
	}
	wantProblem(t, p.post(requestsPath, `{`+whole+`,`+because+`}`, "Idempotency-Key", `a"b`), 400, "HEADER_INVALID")
	wantProblem(t, p.post(requestsPath, `{`+whole+`}`, "Authorization", ""), 401, "TOKEN_MISSING")
}

func TestAccessRequest_saysWhyItCannotBeFiled(t *testing.T) {
	p := newPoint(t)
	offer, reason := p.deny(`{` + kim + `,` + reading + `,` + g1 + `}`)
	body := `{` + kim + `,` + reading + `,` + g1 + `,` + because + `,` + denialOf(offer, reason) + `}`
	submit := func(err error) *httptest.ResponseRecorder {
		p.desk = func(_, _ proto.Message) error { return err }
		return p.post(requestsPath, body, "Idempotency-Key", "k")
	}
	const in = "permission_change_request."
	wantProfile(p, submit(errs.InvalidField(in+"access.permission", "PERMISSION_UNKNOWN", "x")), 400, "not_requestable")
	wantProfile(p, submit(errs.InvalidField("request_id", "REQUEST_ID_REUSED", "x")), 409, "duplicate_request")
	wantProblem(t, submit(errs.InvalidField("request_id", "REQUEST_ID_INVALID", "x")), 400, "HEADER_INVALID")
	wantProblem(t, submit(errs.New(errs.Denied, "PERMISSION_DENIED", "x")), 403, "PERMISSION_DENIED")
	for from, to := range map[string]string{
		"justification": "context.business_justification", "access.until": "requested_access.requested_until",
		"approval.until": "requested_access.requested_until",
	} {
		got := wantProblem(t, submit(errs.InvalidField(in+from, "EXPIRE_TIME_PAST", "x")), 400, "EXPIRE_TIME_PAST")
		if got.Violations[0].Field != to {
			t.Errorf("%s is called %s", from, got.Violations[0].Field)
		}
	}
}

// taskDesk is a permission service with one change request.
func (p *point) taskDesk(v *permissionv1.PermissionChangeRequest) (withdrawn *permissionv1.WithdrawPermissionChangeRequestRequest) {
	withdrawn = &permissionv1.WithdrawPermissionChangeRequestRequest{}
	p.desk = func(args, reply proto.Message) error {
		switch req := args.(type) {
		case *permissionv1.GetPermissionChangeRequestRequest:
			if req.GetName() == v.GetName() {
				return fill(reply, v)
			}
		case *permissionv1.WithdrawPermissionChangeRequestRequest:
			if v.GetState() > permissionv1.PermissionChangeRequest_STATE_APPROVED {
				return errs.New(errs.Precondition, "ILLEGAL_STATE", "x")
			}
			proto.Merge(withdrawn, req)
			v.State = permissionv1.PermissionChangeRequest_STATE_WITHDRAWN
			return fill(reply, v)
		}
		return errs.NotFoundName("CHANGE_REQUEST_NOT_FOUND", "x")
	}
	return withdrawn
}

func TestAccessRequest_tasksAreReadAndCancelled(t *testing.T) {
	p := newPoint(t)
	v := kimsRequest(func(v *permissionv1.PermissionChangeRequest) { v.CreateTime = timestamppb.New(p.now) })
	withdrawn := p.taskDesk(v)
	path := requestsPath + "/" + task.ID(filedName)
	get := func(path string) *httptest.ResponseRecorder { return p.handler("GET", path, "") }
	w := get("/acme" + path)
	wantStatus(t, w, 200)
	if !strings.Contains(w.Body.String(), `"status":"pending","status_endpoint":"https://api.example/acme`+path+`"`) || w.Header().Get("Location") != "" {
		t.Errorf("answered %s", w.Body)
	}
	for _, id := range []string{"x", task.ID(kimName + "/permissionChangeRequests/r2"), task.ID(filedName) + "A", "c3RhZmYva2ltLy4u"} {
		wantProfile(p, get(requestsPath+"/"+id), 404, "unknown_task")
		wantProfile(p, p.post(requestsPath+"/"+id+"/cancel", ""), 404, "unknown_task")
	}
	for _, body := range []string{"[]", `{"reason":7}`, `{"comment":""}`} {
		if w := p.post(path+"/cancel", body); w.Code != 400 {
			t.Errorf("%s is answered %d %s", body, w.Code, w.Body)
		}
	}
	w = p.post(path+"/cancel", `{"reason":"abandoned","comment":"the run has ended"}`)
	wantStatus(t, w, 200)
	if withdrawn.GetName() != filedName || withdrawn.GetNote() != "abandoned: the run has ended" || withdrawn.GetEtag() != "e1" || !strings.Contains(w.Body.String(), `"status":"cancelled"`) {
		t.Errorf("withdrawn as %v, answered %s", withdrawn, w.Body)
	}
	wantProfile(p, p.post(path+"/cancel", ""), 409, "invalid_task_state")
	v.State = permissionv1.PermissionChangeRequest_STATE_APPROVED
	wantStatus(t, p.post(path+"/cancel", ""), 200)
	p.now = p.now.Add(720 * time.Hour)
	wantProfile(p, get(path), 410, "task_expired")
	v.Change = &permissionv1.PermissionChangeRequest_Revoke{Revoke: "organizations/acme/grants/g1"}
	wantProfile(p, get(path), 404, "unknown_task")
	p.desk = func(_, _ proto.Message) error { return errs.New(errs.Denied, "PERMISSION_DENIED", "x") }
	wantProblem(t, get(path), 403, "PERMISSION_DENIED")
	for _, test := range [][3]any{{"POST", path, 405}, {"GET", path + "/cancel", 405}, {"GET", requestsPath, 405}, {"GET", requestsPath + "/", 404}, {"GET", path + "/x", 404}, {"POST", requestsPath + "//cancel", 400}} {
		if w := p.handler(test[0].(string), test[1].(string), ""); w.Code != test[2] {
			t.Errorf("%s %s answers %d, want %d", test[0], test[1], w.Code, test[2])
		}
	}
}

// kimsRequest is a change request of kim's for access to g1.
func kimsRequest(change func(*permissionv1.PermissionChangeRequest)) *permissionv1.PermissionChangeRequest {
	v := &permissionv1.PermissionChangeRequest{
		Name: filedName, Subject: kimName, State: permissionv1.PermissionChangeRequest_STATE_SUBMITTED, Etag: "e1",
		Change: &permissionv1.PermissionChangeRequest_Access{Access: &permissionv1.WantedAccess{
			Permission: "groupchat.groups.get", Resource: "organizations/acme/groups/g1",
		}},
	}
	change(v)
	return v
}

// contextOf returns the context of a decision, without the offer's content.
func contextOf(t *testing.T, text []byte) string {
	t.Helper()
	context, _ := jsonOf(t, text)["context"].(map[string]any)
	if _, ok := context["access_request"]; ok {
		context["access_request"] = true
	}
	delete(context, "reason_user")
	maps.DeleteFunc(context, func(_ string, v any) bool { return v == nil })
	out, err := json.Marshal(context)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
