package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/conf"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const customers = "/identity/v1/organizations/acme/customers"

func TestBody_oversizeIsRefused(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c, func(cfg *Config) { cfg.BodySize = conf.KiB })
	large := `{"displayName":"` + strings.Repeat("x", 1024) + `"}`
	wantProblem(t, send(t, h, "POST", customers, large), http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE")

	// Without a length it shows only while reading.
	for _, method := range []string{"POST", "PATCH"} {
		r := httptest.NewRequest(method, map[string]string{"POST": customers, "PATCH": customers + "/c1"}[method], io.MultiReader(strings.NewReader(large)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		wantProblem(t, w, http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE")
	}
	if method, _ := c.last(); method != "" {
		t.Errorf("%s was called", method)
	}
}

func TestBody_otherMediaTypesAreRefused(t *testing.T) {
	h := newHandler(t, &calls{})
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "application/", "application/xml"} {
		w := send(t, h, "POST", customers, `{}`, "Content-Type", "", "Content-Type", contentType)
		wantProblem(t, w, http.StatusUnsupportedMediaType, "MEDIA_TYPE_UNSUPPORTED")
	}
	w := send(t, h, "POST", customers, `{}`, "Content-Encoding", "gzip")
	p := wantProblem(t, w, http.StatusUnsupportedMediaType, "MEDIA_TYPE_UNSUPPORTED")
	if p.Metadata["accept"] != "application/json" {
		t.Errorf("the problem says %v", p.Metadata)
	}
	wantStatus(t, send(t, h, "POST", customers, `{}`, "Content-Type", "", "Content-Type", `Application/JSON; charset="UTF-8"`), http.StatusOK)
}

func TestBody_readsHaveNone(t *testing.T) {
	h := newHandler(t, &calls{})
	for _, method := range []string{"GET", "DELETE"} {
		wantProblem(t, send(t, h, method, customers+"/c1", `{}`), http.StatusBadRequest, "BODY_NOT_ALLOWED")
	}
}

func TestBody_brokenOffIsRefused(t *testing.T) {
	h := newHandler(t, &calls{})
	r := httptest.NewRequest("POST", customers, io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	wantProblem(t, w, http.StatusBadRequest, "BODY_INCOMPLETE")
	if strings.Contains(w.Body.String(), "EOF") {
		t.Errorf("the answer tells of our insides: %s", w.Body)
	}
}

func TestBody_faultsAreNamed(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c)
	for _, test := range []struct {
		name, body, reason, field, line, column string
	}{
		{"no JSON", "{\n  \"displayName\": nope}", problem.JSONMalformed, "", "2", "19"},
		{"cut", `{"displayName": "A`, problem.JSONMalformed, "", "1", "18"},
		{"two values", `{} {"displayName":"A"}`, problem.JSONMalformed, "", "1", "4"},
		{"no object", `["a"]`, problem.JSONValueInvalid, "", "1", "1"},
		{"unknown field", "{\n\t\"displayname\": \"A\"}", problem.JSONFieldUnknown, "displayname", "2", "2"},
		{"twice", `{"displayName":"A", "display_name":"B"}`, problem.JSONFieldTwice, "display_name", "1", "21"},
		{"wrong type", `{"displayName": 7}`, problem.JSONValueInvalid, "displayName", "1", "17"},
		{"wrong enum", `{"state": "NAPPING"}`, problem.JSONValueInvalid, "state", "1", "11"},
		{"wrong time", `{"createTime": "yesterday"}`, problem.JSONValueInvalid, "createTime", "1", "16"},
		{"not UTF-8", "{\"displayName\": \"\xff\"}", problem.TextNotUTF8, "", "1", "18"},
	} {
		for method, path := range map[string]string{"POST": customers, "PATCH": customers + "/c1"} {
			p := wantProblem(t, send(t, h, method, path, test.body), http.StatusBadRequest, test.reason)
			if p.Metadata["line"] != test.line || p.Metadata["column"] != test.column {
				t.Errorf("%s %s: fault at %v, want line %s, column %s", method, test.name, p.Metadata, test.line, test.column)
			}
			if field := fieldOf(p); field != test.field {
				t.Errorf("%s %s: names %q, want %q", method, test.name, field, test.field)
			}
			if strings.Contains(p.Detail, "proto") || strings.Contains(p.Detail, "nope") {
				t.Errorf("%s %s: the detail is not ours: %q", method, test.name, p.Detail)
			}
		}
	}
	if method, _ := c.last(); method != "" {
		t.Errorf("%s was called", method)
	}
}

func fieldOf(p problem.Problem) string {
	if len(p.Violations) == 0 {
		return ""
	}
	return p.Violations[0].Field
}

func TestBody_faultsInsideListsAreNamed(t *testing.T) {
	h := newHandler(t, &calls{})
	for body, field := range map[string]string{
		`{"questions":[{"text":"a"},{"txet":"b"}]}`: "questions[1].txet",
		`{"questions":{"text":"a"}}`:                "questions",
		`{"questions":[7]}`:                         "questions[0]",
	} {
		p := wantProblem(t, send(t, h, "POST", "/feedback/v1/organizations/acme/surveys", body), http.StatusBadRequest, problemReason(field))
		if fieldOf(p) != field {
			t.Errorf("%s: names %q, want %q", body, fieldOf(p), field)
		}
	}
}

func problemReason(field string) string {
	if strings.HasSuffix(field, "txet") {
		return problem.JSONFieldUnknown
	}
	return problem.JSONValueInvalid
}

func TestBody_emptyIsAnEmptyRequest(t *testing.T) {
	c := &calls{}
	wantStatus(t, send(t, newHandler(t, c), "POST", customers+"/c1:undelete", ""), http.StatusOK)
	if _, args := c.last(); args.(*identityv1.UndeleteCustomerRequest).GetName() != "organizations/acme/customers/c1" {
		t.Errorf("got %v", args)
	}
}

func TestQuery_faultsAreNamed(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c)
	for query, want := range map[string][2]string{
		"?pageSiz=1":                {"QUERY_PARAMETER_UNKNOWN", "pageSiz"},
		"?parent=organizations/x":   {"QUERY_PARAMETER_UNKNOWN", "parent"},
		"?pageSize=many":            {"QUERY_INVALID", "pageSize"},
		"?pageSize=1&page_size=2":   {"QUERY_INVALID", ""},
		"?showDeleted=1&pageSize=x": {"QUERY_INVALID", "pageSize"},
		"?filter=%zz":               {"QUERY_INVALID", ""},
		"?filter=%ff":               {"TEXT_NOT_UTF8", ""},
	} {
		p := wantProblem(t, send(t, h, "GET", customers+query, ""), http.StatusBadRequest, want[0])
		if fieldOf(p) != want[1] {
			t.Errorf("%s: names %q, want %q", query, fieldOf(p), want[1])
		}
	}
	// Where the body is the request, the query has nothing to say.
	wantProblem(t, send(t, h, "POST", "/identity/v1/sessions:login?password=x", "{}"), 400, "QUERY_PARAMETER_UNKNOWN")
	if method, _ := c.last(); method != "" {
		t.Errorf("%s was called", method)
	}
	wantStatus(t, send(t, h, "GET", customers+"?pageSize=7&show_deleted=true", ""), http.StatusOK)
	_, args := c.last()
	if r := args.(*identityv1.ListCustomersRequest); r.GetPageSize() != 7 || !r.GetShowDeleted() || r.GetParent() != "organizations/acme" {
		t.Errorf("got %v", r)
	}
}

func TestBodyFault_keepsOurWords(t *testing.T) {
	err := bodyFault(errors.New("read tcp 10.0.0.1: secret"))
	if p := problem.New(err, problem.Context{}); strings.Contains(p.Detail, "tcp") {
		t.Errorf("the detail is %q", p.Detail)
	}
}
