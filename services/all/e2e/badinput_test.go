package e2e

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// request is one HTTP request as a client may write it.
type request struct {
	verb, path, body string
	header           map[string]string
}

// send sends a request with a token and returns the answer.
func (r request) send(t testing.TB, base, token string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.verb, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// badInput: each fault has its status, its reason and, where there is one, its
// field; none shows anything of the inside.
func badInput(t *testing.T, s *suite) {
	c := s.found(t, httpDoor)
	customers := "/identity/v1/" + c.name + "/customers"
	teams := "/identity/v1/" + c.name + "/teams"
	for name, test := range map[string]struct {
		request
		status        int
		reason, field string
	}{
		"malformed JSON":         {request{"POST", customers, `{"displayName": `, nil}, 400, "JSON_MALFORMED", ""},
		"two values":             {request{"POST", customers, `{} {}`, nil}, 400, "JSON_MALFORMED", ""},
		"a list":                 {request{"POST", customers, `[]`, nil}, 400, "JSON_VALUE_INVALID", ""},
		"a wrong type":           {request{"POST", customers, `{"displayName": 7}`, nil}, 400, "JSON_VALUE_INVALID", "displayName"},
		"a wrong type inside":    {request{"POST", "/groupchat/v1/" + c.name + "/groups/g/members", `{"role": {}}`, nil}, 400, "JSON_VALUE_INVALID", "role"},
		"an unknown enum value":  {request{"POST", "/groupchat/v1/" + c.name + "/groups/g/members", `{"role": "KING"}`, nil}, 400, "JSON_VALUE_INVALID", "role"},
		"an unknown field":       {request{"POST", customers, `{"surname": "x"}`, nil}, 400, "JSON_FIELD_UNKNOWN", "surname"},
		"a field twice":          {request{"POST", customers, `{"country": "a", "country": "b"}`, nil}, 400, "JSON_FIELD_TWICE", "country"},
		"text that is not UTF-8": {request{"POST", customers, "{\"displayName\": \"\xff\xfe\"}", nil}, 400, "TEXT_NOT_UTF8", ""},
		"half a surrogate pair":  {request{"POST", customers, `{"displayName": "\ud800"}`, nil}, 400, "", ""},
		"a huge body":            {request{"POST", customers, `{"displayName": "` + strings.Repeat("x", 2<<20) + `"}`, nil}, 413, "BODY_TOO_LARGE", ""},
		"another media type":     {request{"POST", customers, `<customer/>`, map[string]string{"Content-Type": "application/xml"}}, 415, "MEDIA_TYPE_UNSUPPORTED", ""},
		"a body where none goes": {request{"GET", customers, `{}`, nil}, 400, "BODY_NOT_ALLOWED", ""},
		"a wrong method":         {request{"PUT", customers, `{}`, nil}, 405, "METHOD_NOT_ALLOWED", ""},
		"a path of nobody":       {request{"GET", "/identity/v2/nothing", "", nil}, 404, "ROUTE_NOT_FOUND", ""},
		"an encoded slash":       {request{"GET", "/identity/v1/organizations%2Fx", "", nil}, 400, "PATH_INVALID", ""},
		"a path that climbs":     {request{"GET", "/identity/v1/organizations/%2e%2e/customers", "", nil}, 400, "PATH_INVALID", ""},
		"an unknown parameter":   {request{"GET", customers + "?pagesize=3", "", nil}, 400, "QUERY_PARAMETER_UNKNOWN", "pagesize"},
		"a parameter of no type": {request{"GET", customers + "?pageSize=many", "", nil}, 400, "QUERY_INVALID", "pageSize"},
		"a negative page size":   {request{"GET", customers + "?pageSize=-1", "", nil}, 400, "PAGE_SIZE_INVALID", "pageSize"},
		"a made-up page token":   {request{"GET", customers + "?pageToken=QUJD", "", nil}, 400, "PAGE_TOKEN_INVALID", "pageToken"},
		"a filter that is none":  {request{"GET", customers + "?filter=country+LIKE+x", "", nil}, 400, "FILTER_INVALID", "filter"},
		"a filter on any field":  {request{"GET", customers + "?filter=displayName+%3D+%22x%22", "", nil}, 400, "FILTER_INVALID", "filter"},
		"a missing field":        {request{"POST", teams, `{}`, nil}, 400, "VALIDATION_FAILED", "team.displayName"},
		"a value out of bounds":  {request{"POST", customers, `{"phone": "call me"}`, nil}, 400, "VALIDATION_FAILED", "customer.phone"},
		"an id that is none":     {request{"POST", teams + "?teamId=No+Spaces", `{"displayName": "x"}`, nil}, 400, "", "teamId"},
		"an unknown mask":        {request{"PATCH", "/identity/v1/" + c.name + "?updateMask=owner", `{"displayName": "x"}`, nil}, 400, "", "updateMask"},
		"a resource that is not": {request{"GET", customers + "/nobody", "", nil}, 404, "CUSTOMER_NOT_FOUND", ""},
		"smuggled metadata": {request{"GET", "/identity/v1/organizations/guildhall", "", map[string]string{
			"Grpc-Metadata-Guildhall-Forwarder": "x", "Grpc-Metadata-Authorization": "Bearer x",
		}}, 404, "RESOURCE_NOT_FOUND", ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := test.request.send(t, s.http, c.admin.tokens.GetAccessToken())
			if resp.StatusCode != test.status {
				t.Fatalf("got %s, want %d: %s", resp.Status, test.status, body)
			}
			e := readProblem(t, resp, body)
			if test.reason != "" && e.Reason != test.reason {
				t.Errorf("the reason is %s, want %s: %s", e.Reason, test.reason, body)
			}
			if test.field != "" && (len(e.Violations) == 0 || e.Violations[0].Field != test.field) {
				t.Errorf("the field is not %s: %s", test.field, body)
			}
		})
	}
	t.Run("a page token of another query", func(t *testing.T) { foreignPageToken(t, c) })
	t.Run("in Chinese", func(t *testing.T) {
		resp, body := request{"POST", teams, `{}`, map[string]string{"Accept-Language": "zh-CN,zh;q=0.9"}}.send(t, s.http, c.admin.tokens.GetAccessToken())
		if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Content-Language") != "zh-CN" || bytes.IndexFunc(body, func(r rune) bool { return r >= '一' && r <= '龥' }) < 0 {
			t.Errorf("%s %s: %s", resp.Status, resp.Header.Get("Content-Language"), body)
		}
	})
}

// foreignPageToken wants a page token to be good for its own query only.
func foreignPageToken(t *testing.T, c *company) {
	list := func(filter, token string, a *api) (*identityv1.ListCustomersResponse, error) {
		return a.customers.ListCustomers(t.Context(), &identityv1.ListCustomersRequest{Parent: c.name, PageSize: 1, Filter: filter, PageToken: token})
	}
	for _, id := range []string{"page-1", "page-2"} {
		need(c.admin.customers.CreateCustomer(t.Context(), &identityv1.CreateCustomerRequest{
			Parent: c.name, CustomerId: id, Customer: &identityv1.Customer{Country: "FR"},
		}))(t)
	}
	token := need(list("", "", c.admin.api))(t).GetNextPageToken()
	need(list("", token, c.admin.api))(t)
	refused(list(`country = "FR"`, token, c.admin.api))(t, errs.Invalid, "PAGE_TOKEN_MISMATCH")
	lin := c.hire("lin")
	c.grant(lin.name, "roles/viewer", c.name)
	refused(list("", token, lin.api))(t, errs.Invalid, "PAGE_TOKEN_MISMATCH")
	_, err := c.admin.teams.ListTeams(t.Context(), &identityv1.ListTeamsRequest{Parent: c.name, PageToken: token})
	refused("", err)(t, errs.Invalid, "PAGE_TOKEN_MISMATCH")
}

// conditions: If-Match, ETag, Idempotency-Key.
func conditions(t *testing.T, s *suite) {
	c := s.found(t, httpDoor)
	token := c.admin.tokens.GetAccessToken()
	do := func(t *testing.T, r request, status int) (*http.Response, []byte) {
		t.Helper()
		resp, body := r.send(t, s.http, token)
		if resp.StatusCode != status {
			t.Fatalf("%s %s: got %s, want %d: %s", r.verb, r.path, resp.Status, status, body)
		}
		if status >= 400 {
			readProblem(t, resp, body)
		}
		return resp, body
	}
	teams := "/identity/v1/" + c.name + "/teams"
	create := request{"POST", teams + "?teamId=t1", `{"displayName": "T"}`, map[string]string{"Idempotency-Key": "k1"}}
	first, body := do(t, create, 200)
	_, again := do(t, create, 200)
	wants(t, "the answer to the retry", string(again), string(body))
	create.body = `{"displayName": "Another"}`
	_, reused := do(t, create, 400)
	wants(t, "the reason", decodeProblem(t, reused).Reason, "REQUEST_ID_REUSED")

	etag := first.Header.Get("ETag")
	patch := func(tag, name string) request {
		return request{"PATCH", teams + "/t1", `{"displayName": "` + name + `"}`, map[string]string{"If-Match": tag}}
	}
	changed, _ := do(t, patch(etag, "U"), 200)
	_, stale := do(t, patch(etag, "V"), 412)
	wants(t, "the reason", decodeProblem(t, stale).Reason, "ETAG_MISMATCH")
	do(t, request{"PATCH", teams + "/t1?updateMask=displayName", `{"displayName": "V", "etag": ` + strings.ReplaceAll(etag, `\`, ``) + `}`, nil}, 409)
	do(t, request{"GET", teams + "/t1", "", map[string]string{"If-None-Match": changed.Header.Get("ETag")}}, 304)
	do(t, request{"DELETE", teams + "/t1", "", map[string]string{"If-Match": etag}}, 412)
	do(t, request{"DELETE", teams + "/t1", "", map[string]string{"If-Match": changed.Header.Get("ETag")}}, 200)
	do(t, request{"GET", teams + "/t1", "", nil}, 404)
	do(t, request{"GET", teams, "", map[string]string{"Idempotency-Key": "x"}}, 200)
	do(t, request{"PATCH", teams + "/t1", `{"displayName": "x"}`, map[string]string{"If-Match": "no quotes"}}, 400)
}
