package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNameParameters_takeTheCollectionBeforeThem(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/organizations/{name}/roles/{name_1}":           "/v1/organizations/{organization}/roles/{role}",
		"/v1/organizations/{role.name}/roles/{role.name_1}": "/v1/organizations/{organization}/roles/{role}",
		"/v1/organizations/{name}:suspend":                  "/v1/organizations/{organization}:suspend",
		"/v1/policies/{id}/addresses/{id_1}":                "/v1/policies/{policy}/addresses/{address}",
		"/identity/v1/organizations/{name}/staff/{name_1}":  "/identity/v1/organizations/{organization}/staff/{staff}",
		// Neither a version nor another parameter is a collection.
		"/v1/{name}/{other}": "/v1/{name}/{other}",
		// A collection inside itself keeps the generated name.
		"/v1/groups/{name}/groups/{name_1}": "/v1/groups/{group}/groups/{name_1}",
	} {
		if got, _ := nameParameters(path); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

const merged = `{
  "openapi": "3.1.0",
  "info": {"title": "generated"},
  "paths": {
    "/v1/roles/{name}": {"get": {
      "parameters": [{"name": "name", "in": "path"}, {"name": "name", "in": "query"}],
      "responses": {
        "default": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}}},
        "200": {"description": "A generic empty message that you can re-use"}}}},
    "/v1/roles/{role.name}": {"patch": {
      "parameters": [{"name": "role.name", "in": "path"}],
      "operationId": "RoleService_StreamRoles",
      "responses": {"200": {"description": "A role.", "content": {"application/json": {"schema": {"type": "object"}}}}}}}
  },
  "components": {"schemas": {"google.rpc.Status": {}, "Role": {}}}
}`

const base = `{
  "info": {"title": "Guildhall"},
  "x-streams": ["RoleService_StreamRoles"],
  "paths": {"/v1/roles/{role}": {"post": {"description": "By hand."}}},
  "components": {
    "responses": {"Problem": {"description": "Refused."}},
    "schemas": {"Problem": {"type": "object"}}
  }
}`

func TestRun_finishesTheDocument(t *testing.T) {
	doc, err := finished(t, merged)
	if err != nil {
		t.Fatal(err)
	}
	item := doc.Paths["/v1/roles/{role}"]
	if len(doc.Paths) != 1 || item["get"] == nil || item["patch"] == nil || item["post"] == nil {
		t.Fatalf("paths of one shape are not one path: %v", doc.Paths)
	}
	text, _ := json.Marshal(item["get"])
	for _, want := range []string{
		`{"description":"Id of the role.","in":"path","name":"role"}`,
		`{"in":"query","name":"name"}`,
		`"default":{"$ref":"#/components/responses/Problem"}`,
		`"description":"Done."`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	text, _ = json.Marshal(item["patch"])
	if want := `"content":{"application/x-ndjson":{"schema":{"type":"object"}},"text/event-stream":{"schema":{"type":"object"}}}`; !strings.Contains(string(text), want) {
		t.Errorf("a stream is described as %s", text)
	}
	schemas := doc.Components["schemas"]
	if schemas["google.rpc.Status"] != nil || schemas["Role"] == nil || schemas["Problem"] == nil {
		t.Errorf("schemas are %v, want Role and Problem", schemas)
	}
	if title := doc.Info.(object)["title"]; title != "Guildhall" {
		t.Errorf("title is %v, want the one of the base document", title)
	}
}

func TestRun_refusesAStreamThatIsNotThere(t *testing.T) {
	_, err := finished(t, strings.Replace(merged, "RoleService_StreamRoles", "RoleService_Other", 1))
	if err == nil || !strings.Contains(err.Error(), "RoleService_StreamRoles") {
		t.Fatalf("error is %v, want one that names the stream", err)
	}
}

func TestRun_refusesTwoOperationsOnOneRoute(t *testing.T) {
	_, err := finished(t, strings.Replace(merged, `"patch"`, `"get"`, 1))
	if err == nil || !strings.Contains(err.Error(), "two operations are get /v1/roles/{role}") {
		t.Fatalf("error is %v, want one that names the route", err)
	}
}

func finished(t *testing.T, in string) (document, error) {
	t.Helper()
	basePath := filepath.Join(t.TempDir(), "base.json")
	if err := os.WriteFile(basePath, []byte(base), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(basePath, strings.NewReader(in), &out); err != nil {
		return document{}, err
	}
	var doc document
	if err := json.Unmarshal([]byte(out.String()), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, nil
}
