package gateway

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/authzen"
	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// point is a gateway in front of a permission service that lets lin read
// group g1 and nobody do anything else.
type point struct {
	t       *testing.T
	handler func(method, path, body string, headers ...string) *httptest.ResponseRecorder
	asked   []*permissionv1.CheckQuery
	parent  string
	batches int
	denied  bool // what lists resource types

	// now is what the gateway's clock shows, denial what a no says, and desk
	// answers calls about change requests.
	now    time.Time
	denial permissionv1.Denial
	desk   func(args, reply proto.Message) error
}

func newPoint(t *testing.T) *point {
	p := &point{t: t, now: time.Unix(1_800_000_000, 0), denial: permissionv1.Denial_DENIAL_NO_GRANT}
	c := &calls{answer: p.answer}
	kit := newKit(func(string) grpc.ClientConnInterface { return c })
	kit.Clock = func() time.Time { return p.now }
	h := handlerOf(t, kit)
	p.handler = func(method, path, body string, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		p.asked, p.parent, p.batches = nil, "", 0
		return send(t, h, method, path, body, append([]string{"Authorization", "Bearer " + tokenOf("organizations/acme/serviceAccounts/pep")}, headers...)...)
	}
	return p
}

func (p *point) answer(_ string, args, reply proto.Message) error {
	result := func(q *permissionv1.CheckQuery) *permissionv1.CheckResult {
		p.asked = append(p.asked, q)
		if q.GetSubject() == "organizations/acme/staff/lin" && q.GetPermission() == "groupchat.groups.get" && q.GetResource() == "organizations/acme/groups/g1" {
			return &permissionv1.CheckResult{Allowed: true, Grant: "organizations/acme/grants/x"}
		}
		return &permissionv1.CheckResult{Denial: p.denial}
	}
	switch req := args.(type) {
	case *permissionv1.CheckRequest:
		p.parent = req.GetParent()
		return fill(reply, &permissionv1.CheckResponse{Result: result(req.GetQuery())})
	case *permissionv1.BatchCheckRequest:
		p.parent = req.GetParent()
		p.batches++
		out := &permissionv1.BatchCheckResponse{}
		for _, q := range req.GetQueries() {
			out.Results = append(out.Results, result(q))
		}
		return fill(reply, out)
	case *permissionv1.ListResourceTypesRequest:
		if p.parent = req.GetParent(); p.denied {
			return authz.NewDenied("permission.resourceTypes.list", req.GetParent())
		}
		return fill(reply, &permissionv1.ListResourceTypesResponse{ResourceTypes: []*permissionv1.ResourceType{
			{Name: req.GetParent() + "/resourceTypes/record", Collection: "records"},
		}})
	}
	if p.desk == nil {
		return fmt.Errorf("unexpected call with %T", args)
	}
	return p.desk(args, reply)
}

// tokenOf is a token as far as the gateway reads one.
func tokenOf(account string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+account+`"}`)) + ".c2ln"
}

func (p *point) post(path, body string, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	return p.handler("POST", path, body, headers...)
}

// decisions returns the answers of a batch, or of a single evaluation.
func (p *point) decisions(path, body string) (out []bool) {
	p.t.Helper()
	w := p.post(path, body)
	wantStatus(p.t, w, 200)
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		p.t.Errorf("answered as %s", got)
	}
	answer := jsonOf(p.t, w.Body.Bytes())
	if list, ok := answer["evaluations"].([]any); ok {
		for _, each := range list {
			out = append(out, each.(map[string]any)["decision"].(bool))
		}
		return out
	}
	return []bool{answer["decision"].(bool)}
}

const (
	evaluationPath  = "/access/v1/evaluation"
	evaluationsPath = "/access/v1/evaluations"
	lin             = `"subject":{"type":"user","id":"lin"}`
	reading         = `"action":{"name":"read"}`
	g1              = `"resource":{"type":"group","id":"g1"}`
)

func TestAuthZEN_evaluationIsACheck(t *testing.T) {
	p := newPoint(t)
	body := `{` + lin + `,` + reading + `,` + g1 + `,"context":{"address":"10.0.0.1","x":[1]},"unknown":{"a":1}}`
	if got := p.decisions(evaluationPath, body); !got[0] || p.parent != "organizations/acme" {
		t.Errorf("decided %v in %s", got, p.parent)
	}
	if a := p.asked[0].GetAttributes(); a.GetAddress() != "10.0.0.1" || len(a.GetContext().GetFields()) != 2 {
		t.Errorf("conditions see %v", a)
	}
	w := p.post(evaluationPath, `{"subject":{"type":"user","id":"kim","properties":{"role":"admin"}},`+reading+`,`+g1+`}`)
	wantStatus(t, w, 200)
	want := `{"decision":false,"context":{"reason":"DENIAL_NO_GRANT","reason_user":{` +
		`"en":"You do not have the permission that this needs.","zh-CN":"您没有执行此操作所需的权限。"},"access_request":{`
	if !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("answered %s", w.Body)
	}
	if role := p.asked[0].GetAttributes().GetSubject().GetFields()["role"].GetStringValue(); role != "admin" {
		t.Errorf("conditions see the role %q", role)
	}
}

// TestAuthZEN_badRequestsAreRefused has every case of the certification.
func TestAuthZEN_badRequestsAreRefused(t *testing.T) {
	p := newPoint(t)
	for name, body := range map[string]string{
		"no subject":             `{` + reading + `,` + g1 + `}`,
		"no action":              `{` + lin + `,` + g1 + `}`,
		"no resource":            `{` + lin + `,` + reading + `}`,
		"subject without type":   `{"subject":{"id":"lin"},` + reading + `,` + g1 + `}`,
		"subject without id":     `{"subject":{"type":"user"},` + reading + `,` + g1 + `}`,
		"action without name":    `{` + lin + `,"action":{},` + g1 + `}`,
		"resource without type":  `{` + lin + `,` + reading + `,"resource":{"id":"g1"}}`,
		"resource without id":    `{` + lin + `,` + reading + `,"resource":{"type":"group"}}`,
		"malformed":              `{"subject":`,
		"two values":             `{` + lin + `,` + reading + `,` + g1 + `}{}`,
		"no object":              `[]`,
		"subject is text":        `{"subject":"lin",` + reading + `,` + g1 + `}`,
		"action name is number":  `{` + lin + `,"action":{"name":7},` + g1 + `}`,
		"properties are a list":  `{"subject":{"type":"user","id":"lin","properties":[]},` + reading + `,` + g1 + `}`,
		"context is text":        `{` + lin + `,` + reading + `,` + g1 + `,"context":"x"}`,
		"subject is null":        `{"subject":null,` + reading + `,` + g1 + `}`,
		"names in another case":  `{"Subject":{"type":"user","id":"lin"},` + reading + `,` + g1 + `}`,
		"not UTF-8":              "{\"subject\":{\"type\":\"user\",\"id\":\"\xff\"}," + reading + "," + g1 + "}",
		"empty":                  "",
		"spaces":                 "  ",
		"id is empty":            `{"subject":{"type":"user","id":""},` + reading + `,` + g1 + `}`,
		"evaluations is text":    `{"evaluations":"x",` + lin + `}`,
		"default is text":        `{"subject":"lin","evaluations":[{}]}`,
		"options is text":        `{"evaluations":[{}],"options":"x"}`,
		"semantic is unknown":    `{"evaluations":[{}],"options":{"evaluations_semantic":"guess"}}`,
		"semantic is a number":   `{"evaluations":[{}],"options":{"evaluations_semantic":1}}`,
		"too many":               `{"evaluations":[` + strings.Repeat("{},", 1000) + `{}]}`,
		"questions are too much": `{` + lin + `,` + reading + `,` + g1 + `,"context":{"x":"` + strings.Repeat("x", 100_000) + `"},"evaluations":[` + strings.Repeat("{},", 100) + `{}]}`,
	} {
		path := evaluationPath
		if strings.Contains(body, "evaluations") {
			path = evaluationsPath
		}
		w := p.post(path, body)
		want := 400
		if name == "questions are too much" {
			want = 413
		}
		if w.Code != want || len(p.asked) > 0 {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
	valid := `{` + lin + `,` + reading + `,` + g1 + `}`
	wantProblem(t, p.post(evaluationPath, valid, "Content-Type", ""), 400, "HEADER_INVALID")
	for _, contentType := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded"} {
		w := p.post(evaluationPath, valid, "Content-Type", "", "Content-Type", contentType)
		wantProblem(t, w, 400, "HEADER_INVALID")
	}
}

func TestAuthZEN_asksForAToken(t *testing.T) {
	p := newPoint(t)
	valid := `{` + lin + `,` + reading + `,` + g1 + `}`
	wantProblem(t, p.post(evaluationPath, valid, "Authorization", ""), 401, "TOKEN_MISSING")
	wantProblem(t, p.post(evaluationPath, `{`, "Authorization", ""), 401, "TOKEN_MISSING")
	for _, token := range []string{"Bearer x", "Bearer a.b.c", "Bearer a.e30.c", "Basic YTpi"} {
		w := p.post(evaluationPath, valid, "Authorization", "", "Authorization", token)
		wantProblem(t, w, 401, "TOKEN_INVALID")
	}
	w := p.post(evaluationPath, valid, "Authorization", "", "Authorization", "Bearer "+tokenOf("services/groupchat"))
	wantProblem(t, w, 400, "TENANT_MISSING")
	w = p.post("/globex"+evaluationPath, valid)
	wantStatus(t, w, 200)
	if p.parent != "organizations/globex" {
		t.Errorf("the path's tenant is asked as %s", p.parent)
	}
}

func TestAuthZEN_requestIDComesBack(t *testing.T) {
	p := newPoint(t)
	valid := `{` + lin + `,` + reading + `,` + g1 + `}`
	if got := p.post(evaluationPath, valid, "X-Request-ID", "bfe9eb29-ab87").Header().Get("X-Request-ID"); got != "bfe9eb29-ab87" {
		t.Errorf("the request id comes back as %q", got)
	}
	if got := p.post(evaluationPath, valid).Header().Get("X-Request-ID"); got == "" {
		t.Error("a request without an id gets none")
	}
}

func TestAuthZEN_batches(t *testing.T) {
	p := newPoint(t)
	kim := `"subject":{"type":"user","id":"kim"}`
	for _, test := range []struct {
		name, body string
		want       []bool
	}{
		{"in order", `{` + lin + `,` + g1 + `,"evaluations":[{` + reading + `},{"action":{"name":"write"}}]}`, []bool{true, false}},
		{"fully specified", `{"evaluations":[{` + lin + `,` + reading + `,` + g1 + `},{` + kim + `,` + reading + `,` + g1 + `}]}`, []bool{true, false}},
		{"a default that is replaced as a whole", `{"subject":{"type":"user","id":"kim"},` + reading + `,` + g1 +
			`,"evaluations":[{` + lin + `},{"subject":{"id":"lin"}}]}`, []bool{true, false}},
		{"one that cannot be asked", `{` + lin + `,` + reading + `,"evaluations":[{` + g1 + `},{},7,{` + g1 + `,"context":1}]}`, []bool{true, false, false, false}},
		{"none that can be asked", `{"evaluations":[{}]}`, []bool{false}},
		{"no list", `{` + lin + `,` + reading + `,` + g1 + `}`, []bool{true}},
		{"an empty list", `{` + lin + `,` + reading + `,` + g1 + `,"evaluations":[]}`, []bool{true}},
		{"until a denial", `{` + lin + `,` + g1 + `,"evaluations":[{` + reading + `},{"action":{"name":"x"}},{` + reading + `}],"options":{"evaluations_semantic":"deny_on_first_deny"}}`, []bool{true, false}},
		{"until a permit", `{` + lin + `,` + g1 + `,"evaluations":[{"action":{"name":"x"}},{` + reading + `},{}],"options":{"evaluations_semantic":"permit_on_first_permit"}}`, []bool{false, true}},
		{"all", `{` + lin + `,` + g1 + `,"evaluations":[{"action":{"name":"x"}},{` + reading + `}],"options":{"evaluations_semantic":"execute_all","other":1}}`, []bool{false, true}},
	} {
		if got := p.decisions(evaluationsPath, test.body); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if len(p.asked) == 0 {
			t.Errorf("%s: the permission service was not asked, so nobody said who may ask", test.name)
		}
	}
	w := p.post(evaluationsPath, `{`+lin+`,`+reading+`,"evaluations":[{}]}`)
	if want := `{"evaluations":[{"decision":false,"context":{"error":{"status":400,"message":"a required part of the request is missing: resource"}}}]}`; w.Body.String() != want {
		t.Errorf("answered %s", w.Body)
	}
}

func TestAuthZEN_largeBatchesAreDivided(t *testing.T) {
	p := newPoint(t)
	body := `{` + lin + `,` + reading + `,` + g1 + `,"context":{"x":"` + strings.Repeat("x", 10_000) + `"},"evaluations":[` + strings.Repeat("{},", 199) + `{}]}`
	got := p.decisions(evaluationsPath, body)
	if len(got) != 200 || slices.Contains(got, false) || p.batches < 3 || len(p.asked) != 200 {
		t.Errorf("%d decisions of %d questions in %d batches", len(got), len(p.asked), p.batches)
	}
}

func TestAuthZEN_metadataNamesTheEndpoints(t *testing.T) {
	p := newPoint(t)
	for tenant, base := range map[string]string{"": "https://api.example", "/acme": "https://api.example/acme"} {
		w := p.handler("GET", authzen.WellKnown+tenant, "", "Authorization", "")
		wantStatus(t, w, 200)
		got := jsonOf(t, w.Body.Bytes())
		for key, path := range map[string]string{
			"policy_decision_point": "", "access_evaluation_endpoint": evaluationPath, "access_evaluations_endpoint": evaluationsPath,
		} {
			if got[key] != base+path {
				t.Errorf("%s of %q is %v, want %s", key, tenant, got[key], base+path)
			}
		}
		if want := []any{"urn:openid:authzen:capability:access-request"}; !cmp.Equal(got["capabilities"], any(want)) {
			t.Errorf("capabilities of %q are %v", tenant, got["capabilities"])
		}
		for key, endpoint := range maps.All(got) {
			if path, ok := strings.CutPrefix(fmt.Sprint(endpoint), "https://api.example"); ok && strings.HasSuffix(key, "_endpoint") {
				if w := p.post(path, "{}"); w.Code == 404 {
					t.Errorf("%s is not served", path)
				}
			}
		}
	}
}

func TestAuthZEN_otherPathsAndMethods(t *testing.T) {
	p := newPoint(t)
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", evaluationPath, 405}, {"PUT", evaluationPath, 405}, {"POST", authzen.WellKnown, 405},
		{"OPTIONS", evaluationPath, 204}, {"OPTIONS", authzen.WellKnown, 204}, {"HEAD", authzen.WellKnown, 200},
		{"POST", "/access/v1/", 404}, {"POST", "/access/v1/else", 404}, {"POST", "/ACME" + evaluationPath, 404},
		{"POST", "/a/b" + evaluationPath, 404}, {"GET", authzen.WellKnown + "/", 404}, {"GET", authzen.WellKnown + "x", 404},
		{"GET", authzen.WellKnown + "/A", 404},
	} {
		if w := p.handler(test.method, test.path, ""); w.Code != test.status {
			t.Errorf("%s %s answers %d, want %d", test.method, test.path, w.Code, test.status)
		}
	}
	if allow := p.handler("GET", evaluationPath, "").Header().Get("Allow"); allow != "POST, OPTIONS" {
		t.Errorf("the methods are %q", allow)
	}
}

func TestAuthZEN_namesOfTheSuite(t *testing.T) {
	p := newPoint(t)
	for _, test := range []struct{ subject, action, resource, want string }{
		{"staff/lin", "read", "group/g1", "organizations/acme/staff/lin groupchat.groups.get organizations/acme/groups/g1"},
		{"customer/carl", "create", "message/g1/messages/-", "organizations/acme/customers/carl groupchat.messages.create organizations/acme/groups/g1/messages/-"},
		{"serviceAccount/x", "identity.customers.get", "customer/c1", "organizations/acme/serviceAccounts/x identity.customers.get organizations/acme/customers/c1"},
		{"user/lin", "write", "survey/s1", "organizations/acme/staff/lin feedback.surveys.update organizations/acme/surveys/s1"},
		{"user/lin", "revoke", "session/staff/lin/sessions/s", "organizations/acme/staff/lin identity.sessions.revoke organizations/acme/staff/lin/sessions/s"},
		{"user/lin", "update", "organization/acme", "organizations/acme/staff/lin identity.organizations.update organizations/acme"},
		{"user/lin", "list", "teamMember/t1/members/-", "organizations/acme/staff/lin identity.teamMembers.list organizations/acme/teams/t1/members/-"},
		{"user/lin", "list", "auditEntry/-", "organizations/acme/staff/lin ? organizations/acme/-"},
		{"user/lin", "read", "record/r1", "organizations/acme/staff/lin custom.records.read organizations/acme/records/r1"},
		{"user/lin", "custom.records.burn", "record/r1/pages/2", "organizations/acme/staff/lin custom.records.burn organizations/acme/records/r1/pages/2"},
		{"robot/lin", "read", "thing/t", "? ? ?"},
		{"user/" + strings.Repeat("x", 400), strings.Repeat("y.", 60), "group/" + strings.Repeat("z", 400), "? ? ?"},
		{"user/../customers/carl", "read", "group/../../globex", "organizations/acme/staff/../customers/carl groupchat.groups.get organizations/acme/groups/../../globex"},
	} {
		entity := func(text string) string {
			kind, id, _ := strings.Cut(text, "/")
			return fmt.Sprintf(`{"type":%q,"id":%q}`, kind, id)
		}
		p.decisions(evaluationPath, fmt.Sprintf(`{"subject":%s,"action":{"name":%q},"resource":%s}`, entity(test.subject), test.action, entity(test.resource)))
		q := p.asked[0]
		if diff := cmp.Diff(test.want, strings.Join([]string{q.GetSubject(), q.GetPermission(), q.GetResource()}, " ")); diff != "" {
			t.Errorf("%s %s %s (-want +got):\n%s", test.subject, test.action, test.resource, diff)
		}
	}
}

func TestAuthZEN_saysWhenItMayNotKnowTheTypes(t *testing.T) {
	p := newPoint(t)
	p.denied = true
	body := `{` + lin + `,` + reading + `,"resource":{"type":"record","id":"r1"}}`
	wantProblem(t, p.post(evaluationPath, body), 403, "PERMISSION_DENIED")
	wantProblem(t, p.post(evaluationsPath, `{"evaluations":[`+body+`]}`), 403, "PERMISSION_DENIED")
	if got := p.decisions(evaluationPath, `{`+lin+`,`+reading+`,`+g1+`}`); !got[0] {
		t.Error("the suite's own types need no more than a check")
	}
}
