package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// enforcer is an enforcement point with exactly the permissions that the
// gateway's README says it needs, and an approver beside it.
type enforcer struct {
	*pdp
	c        *company
	approver permissionv1.PermissionChangeRequestServiceClient
	lin      *person
}

func newEnforcer(t *testing.T, s *suite) *enforcer {
	t.Helper()
	c := s.found(t, httpDoor)
	pep, boss, lin := c.hire("pep"), c.hire("boss"), c.hire("lin")
	for id, permissions := range map[string][]string{
		"enforcer": {
			"permission.checks.evaluate", "permission.resourceTypes.list", "permission.permissionChangeRequests.create",
			"permission.permissionChangeRequests.get", "permission.permissionChangeRequests.withdraw",
		},
		"cleaner": {"identity.customers.delete"},
	} {
		need(c.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
			Parent: c.name, RoleId: id, Role: &permissionv1.Role{DisplayName: id, Permissions: permissions},
		}))(t)
	}
	c.grant(pep.name, c.name+"/roles/enforcer", c.name)
	c.grant(boss.name, "roles/organization.admin", c.name)
	rules := permissionv1.NewSeparationRuleServiceClient(c.admin.conn("permission"))
	need(rules.CreateSeparationRule(t.Context(), &permissionv1.CreateSeparationRuleRequest{
		Parent: c.name, SeparationRule: &permissionv1.SeparationRule{
			DisplayName: "two people delete a customer",
			Rule:        &permissionv1.SeparationRule_TwoPerson{TwoPerson: &permissionv1.TwoPerson{Permissions: []string{"identity.customers.delete"}}},
		},
	}))(t)
	return &enforcer{
		pdp: &pdp{t: t, base: c.http, token: pep.tokens.GetAccessToken()}, c: c, lin: lin,
		approver: permissionv1.NewPermissionChangeRequestServiceClient(boss.conn("permission")),
	}
}

const deletion = `"subject":{"type":"user","id":"lin"},"action":{"name":"delete"},"resource":{"type":"customer","id":"c1"}`

// ask asks whether lin may delete c1, with an approval unless it is nil, and
// returns the decision and its context.
func (e *enforcer) ask(t *testing.T, approval any) (bool, map[string]any) {
	t.Helper()
	body := `{` + deletion + `}`
	if approval != nil {
		body = `{` + deletion + `,"context":{"approval":` + jsonText(t, approval) + `}}`
	}
	resp, answer := e.post(t, "evaluation", body)
	wants(t, "the status of an evaluation", resp.StatusCode, 200)
	context, _ := answer["context"].(map[string]any)
	return answer["decision"] == true, context
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accessRequest is the body of a request for what a decision denied.
func accessRequest(t *testing.T, context map[string]any, why string) string {
	t.Helper()
	offer, ok := context["access_request"].(map[string]any)
	if !ok {
		t.Fatalf("the denial cannot be asked for: %v", context)
	}
	return `{` + deletion + `,"context":{"business_justification":"` + why + `"},"denial":` + jsonText(t, map[string]any{
		"expires_at": offer["expires_at"], "binding_token": offer["binding_token"], "reason": context["reason"],
	}) + `}`
}

// submit files a request, and returns its task and its change request.
func (e *enforcer) submit(t *testing.T, body, key string) (task map[string]any, name string) {
	t.Helper()
	resp, answer := e.post(t, "requests", body, "Idempotency-Key", key)
	task, _ = answer["task"].(map[string]any)
	if resp.StatusCode != 202 || task["status"] != "pending" || resp.Header.Get("Location") != task["status_endpoint"] {
		t.Fatalf("the request is answered %d %v", resp.StatusCode, answer)
	}
	mine := need(e.approver.ListPermissionChangeRequests(t.Context(), &permissionv1.ListPermissionChangeRequestsRequest{Parent: e.lin.name}))(t)
	return task, mine.GetPermissionChangeRequests()[0].GetName()
}

// approve brings a change request as far as an approver does; give is the grant
// that answers it.
func (e *enforcer) approve(t *testing.T, name string, give *permissionv1.WantedGrant) {
	t.Helper()
	need(e.approver.VerifyPermissionChangeRequestIdentity(t.Context(), &permissionv1.VerifyPermissionChangeRequestIdentityRequest{
		Name: name, Method: permissionv1.IdentityProof_METHOD_IN_PERSON, Note: "saw the badge",
	}))(t)
	need(e.approver.ApprovePermissionChangeRequest(t.Context(), &permissionv1.ApprovePermissionChangeRequestRequest{Name: name, Grant: give}))(t)
	if give != nil {
		need(e.approver.ApplyPermissionChangeRequest(t.Context(), &permissionv1.ApplyPermissionChangeRequestRequest{Name: name}))(t)
	}
}

// status reads a task.
func (e *enforcer) status(t *testing.T, task map[string]any) (*http.Response, map[string]any) {
	t.Helper()
	return e.call(t, http.MethodGet, fmt.Sprint("requests/", task["id"]), "")
}

// TestAuthZEN_accessRequest walks from a denial to a yes: a grant first, and
// then, because the rule is that two people delete, a second person's approval.
func TestAuthZEN_accessRequest(t *testing.T) {
	t.Parallel()
	e := newEnforcer(t, oneProcess(t))
	allowed, context := e.ask(t, nil)
	if allowed || context["reason"] != "DENIAL_NO_GRANT" {
		t.Fatalf("before anything is granted: %t %v", allowed, context)
	}
	body := accessRequest(t, context, "the customer has asked for it")
	task, name := e.submit(t, body, "key-1")
	if again, _ := e.submit(t, body, "key-1"); again["id"] != task["id"] {
		t.Errorf("a retry made another task: %v, %v", task["id"], again["id"])
	}
	e.wantProblem(t, accessRequest(t, context, "of another mind"), "key-1", 409, "duplicate_request")
	e.approve(t, name, &permissionv1.WantedGrant{Role: e.c.name + "/roles/cleaner", Resource: e.c.name + "/customers/c1"})
	approval := e.approved(t, task)

	allowed, context = e.ask(t, approval)
	if allowed || context["reason"] != "DENIAL_APPROVAL_NEEDED" || context["next_action"] != "request" {
		t.Fatalf("with the grant alone: %t %v", allowed, context)
	}
	task, name = e.submit(t, accessRequest(t, context, "the customer has asked for it"), "key-2")
	e.approve(t, name, nil)
	approval = e.approved(t, task)
	if allowed, _ := e.ask(t, nil); allowed {
		t.Error("an approval that nobody names allows")
	}
	allowed, context = e.ask(t, approval)
	if end, _ := context["approval"].(map[string]any); !allowed || end["approved_until"] != approval["approved_until"] {
		t.Fatalf("with the approval: %t %v", allowed, context)
	}
	need(e.approver.CancelPermissionChangeRequest(t.Context(), &permissionv1.CancelPermissionChangeRequestRequest{Name: name, Note: "changed our minds"}))(t)
	allowed, context = e.ask(t, approval)
	if allowed || context["reason"] != "approval_expired" || context["next_action"] != "request" {
		t.Errorf("with an approval that was taken back: %t %v", allowed, context)
	}
	e.refuses(t, accessRequest(t, context, "once more"))
}

// approved reads a task that is, and returns the approval of its result.
func (e *enforcer) approved(t *testing.T, task map[string]any) map[string]any {
	t.Helper()
	_, answer := e.status(t, task)
	got, _ := answer["task"].(map[string]any)
	result, _ := answer["result"].(map[string]any)
	approval, _ := result["approval"].(map[string]any)
	if got["status"] != "approved" || result["mode"] != "reevaluate" || approval["id"] == nil || approval["approved_until"] == nil {
		t.Fatalf("the task is %v", answer)
	}
	return approval
}

// wantProblem sends an access request and wants a problem of the profile.
func (e *enforcer) wantProblem(t *testing.T, body, key string, status int, name string) {
	t.Helper()
	resp, answer := e.post(t, "requests", body, "Idempotency-Key", key)
	checkProblem(t, resp, answer, status, name)
}

func checkProblem(t *testing.T, resp *http.Response, answer map[string]any, status int, name string) {
	t.Helper()
	want := "urn:openid:authzen:access-request:error:" + name
	if resp.StatusCode != status || answer["type"] != want || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answered %d %v, want %d %s", resp.StatusCode, answer, status, want)
	}
}

// refuses asks for what is refused; body is a request that is not.
func (e *enforcer) refuses(t *testing.T, body string) {
	t.Helper()
	e.wantProblem(t, `{`+deletion+`,"context":{"business_justification":"x"}}`, "key-3", 400, "not_requestable")
	e.wantProblem(t, fmt.Sprintf(`{"subject":{"type":"user","id":"boss"},%s`, body[len(`{"subject":{"type":"user","id":"lin"},`):]), "key-3", 400, "invalid_denial_binding")
	resp, answer := e.call(t, http.MethodGet, "requests/c3RhZmYvbGluL3gx", "")
	checkProblem(t, resp, answer, 404, "unknown_task")
	task, _ := e.submit(t, body, "key-3")
	path := fmt.Sprint("requests/", task["id"])
	resp, answer = e.post(t, path+"/cancel", `{"comment":"not needed any more"}`)
	if got, _ := answer["task"].(map[string]any); resp.StatusCode != 200 || got["status"] != "cancelled" {
		t.Errorf("cancelled: %d %v", resp.StatusCode, answer)
	}
	resp, answer = e.post(t, path+"/cancel", "")
	checkProblem(t, resp, answer, 409, "invalid_task_state")
}

// TestAuthZEN_accessRequestsExpire has a denial and a task that are good for
// seconds.
func TestAuthZEN_accessRequestsExpire(t *testing.T) {
	t.Parallel()
	s, administrator, password := fresh(t, "--gateway.authzen.request_within=5s", "--gateway.authzen.task_lifetime=5s")
	s.operator = s.adoptOperator(administrator, password)
	e := newEnforcer(t, s)
	_, context := e.ask(t, nil)
	body := accessRequest(t, context, "in a hurry")
	task, _ := e.submit(t, body, "key-1")
	for _, end := range []any{context["access_request"].(map[string]any)["expires_at"], task["expires_at"]} {
		at, err := time.Parse(time.RFC3339, fmt.Sprint(end))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Until(at.Add(time.Second))) // written in whole seconds
	}
	e.wantProblem(t, body, "key-2", 410, "expired_denial")
	resp, answer := e.status(t, task)
	checkProblem(t, resp, answer, 410, "task_expired")
}
