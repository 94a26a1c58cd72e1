package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// authz runs `guildhall authz` as the company's administrator and returns what
// it prints and its exit code.
func (c *company) authz(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "guildhall"), append([]string{"authz"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(environment(), "GUILDHALL_SERVER="+c.http, "GUILDHALL_TOKEN="+c.admin.tokens.GetAccessToken())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("guildhall authz %v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

const records = "services/permission/examples/records.yaml"

// TestAuthZEN_certification sets the fixture of the certification up with a
// policy file and asks every question of its levels.
func TestAuthZEN_certification(t *testing.T) {
	t.Parallel()
	s := oneProcess(t)
	c := s.found(t, httpDoor)
	for _, step := range []struct {
		command string
		code    int
		says    string
	}{
		{"plan", 2, "Plan: 13 to create, 0 to update, 0 to delete, 0 to adopt."},
		{"test", 0, "9 assertions, 0 failed."},
		{"apply", 0, "Applied"},
		{"plan", 0, "Nothing to do"},
	} {
		if out, code := c.authz(t, step.command, records); code != step.code || !strings.Contains(out, step.says) {
			t.Fatalf("authz %s ends with %d: %s", step.command, code, out)
		}
	}
	p := &pdp{t: t, base: c.http, token: c.admin.tokens.GetAccessToken()}
	t.Run("basic", p.basic)
	t.Run("batch", p.batch)
	t.Run("search", p.search)
	t.Run("discovery", p.discovery)
}

// pdp is the decision point under test.
type pdp struct {
	t           *testing.T
	base, token string
}

func (p *pdp) post(t *testing.T, path, body string, headers ...string) (*http.Response, map[string]any) {
	t.Helper()
	return p.call(t, http.MethodPost, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (p *pdp) call(t *testing.T, method, path, body string, headers ...string) (*http.Response, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.base+"/access/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&answer); err != nil {
		t.Fatalf("%s answers %d %s", path, resp.StatusCode, text)
	}
	return resp, answer
}

const (
	alice   = `"subject":{"type":"user","id":"alice"}`
	bob     = `"subject":{"type":"user","id":"bob"}`
	boss    = `"subject":{"type":"user","id":"bob","properties":{"role":"admin"}}`
	record1 = `"resource":{"type":"record","id":"record-1"}`
	record2 = `"resource":{"type":"record","id":"record-2"}`
	active1 = `"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}`
	old2    = `"resource":{"type":"record","id":"record-2","properties":{"status":"archived"}}`
)

func may(verb string) string { return fmt.Sprintf(`"action":{"name":%q}`, verb) }

func object(parts ...string) string { return "{" + strings.Join(parts, ",") + "}" }

func (p *pdp) basic(t *testing.T) {
	soft := func(yes bool) string {
		return fmt.Sprintf(`"action":{"name":"delete","properties":{"soft":%t}}`, yes)
	}
	for _, test := range []struct {
		name, body string
		want       bool
	}{
		{"1", object(alice, may("read"), record1), true},
		{"1 again", object(alice, may("read"), record1), true},
		{"1 with context", object(alice, may("read"), record1, `"context":{"time":"2026-01-01T00:00:00Z","ip":"10.0.0.1"}`), true},
		{"1 with properties", `{"subject":{"type":"user","id":"alice","properties":{"x":1}},"action":{"name":"read","properties":{"y":[]}},` +
			`"resource":{"type":"record","id":"record-1","properties":{"z":{}}},"context":{}}`, true},
		{"1 with unknown fields", object(alice, may("read"), record1, `"foo":"bar","subjects":[]`), true},
		{"2", object(alice, may("write"), record1), true},
		{"3", object(bob, may("read"), record1), true},
		{"4", object(bob, may("write"), record1), false},
		{"5", object(alice, may("write"), old2), false},
		{"6", object(boss, may("write"), old2), true},
		{"6 of anybody", object(`"subject":{"type":"user","id":"carol","properties":{"role":"admin"}}`, may("write"), old2), true},
		{"7", object(alice, soft(true), record1), true},
		{"8", object(alice, soft(false), record1), false},
		{"an unknown subject", object(`"subject":{"type":"user","id":"nobody"}`, may("read"), record1), false},
		{"an unknown type", object(`"subject":{"type":"robot","id":"r"}`, may("read"), `"resource":{"type":"thing","id":"t"}`), false},
		{"an unknown action", object(alice, may("burn"), record1), false},
	} {
		resp, answer := p.post(t, "evaluation", test.body)
		if resp.StatusCode != 200 || answer["decision"] != test.want {
			t.Errorf("%s: %d %v, want %t", test.name, resp.StatusCode, answer, test.want)
		}
	}
	valid := object(alice, may("read"), record1)
	if resp, _ := p.post(t, "evaluation", valid, "X-Request-ID", "req-1"); resp.Header.Get("X-Request-ID") != "req-1" {
		t.Errorf("the request id comes back as %q", resp.Header.Get("X-Request-ID"))
	}
	for name, body := range map[string]string{
		"no subject": object(may("read"), record1), "no action": object(alice, record1), "no resource": object(alice, may("read")),
		"subject without type": object(`"subject":{"id":"alice"}`, may("read"), record1), "subject without id": object(`"subject":{"type":"user"}`, may("read"), record1),
		"action without name": object(alice, `"action":{}`, record1), "resource without type": object(alice, may("read"), `"resource":{"id":"record-1"}`),
		"resource without id": object(alice, may("read"), `"resource":{"type":"record"}`), "malformed": `{"subject":`, "empty": "",
		"subject is a string": object(`"subject":"alice"`, may("read"), record1), "name is a number": object(alice, `"action":{"name":1}`, record1),
	} {
		if resp, answer := p.post(t, "evaluation", body); resp.StatusCode != 400 {
			t.Errorf("%s: %d %v", name, resp.StatusCode, answer)
		}
	}
	if resp, _ := p.post(t, "evaluation", valid, "Content-Type", "text/plain"); resp.StatusCode != 400 {
		t.Errorf("a wrong content type is answered %d", resp.StatusCode)
	}
	if resp, _ := p.post(t, "evaluation", valid, "Authorization", "Bearer x"); resp.StatusCode != 401 {
		t.Errorf("a wrong token is answered %d", resp.StatusCode)
	}
}

func (p *pdp) batch(t *testing.T) {
	list := func(parts ...string) string { return `"evaluations":[` + strings.Join(parts, ",") + `]` }
	for _, test := range []struct {
		name, body string
		want       []bool
	}{
		{"in order", object(bob, record1, list(object(may("read")), object(may("write")))), []bool{true, false}},
		{"fully specified", object(list(object(alice, may("read"), record1), object(bob, may("write"), record1))), []bool{true, false}},
		{"resources", object(alice, may("read"), list(object(record1), object(record2))), []bool{true, true}},
		{"a context of its own", object(alice, may("read"), `"context":{"a":1}`, list(object(record1, `"context":{"a":2}`))), []bool{true}},
		{"one that cannot be asked", object(alice, may("read"), list(object(record1), "{}"), `"options":{"evaluations_semantic":"execute_all"}`), []bool{true, false}},
		{"no list", object(alice, may("read"), record1), nil},
		{"an empty list", object(alice, may("read"), record1, list()), nil},
		{"by status", object(alice, may("write"), list(object(active1), object(old2))), []bool{true, false}},
		{"by role", object(may("write"), old2, list(object(alice), object(boss))), []bool{false, true}},
		{"defaults", object(alice, may("write"), active1, list("{}", object(old2))), []bool{true, false}},
	} {
		resp, answer := p.post(t, "evaluations", test.body)
		var got []bool
		each, _ := answer["evaluations"].([]any)
		for _, d := range each {
			got = append(got, d.(map[string]any)["decision"] == true)
		}
		if resp.StatusCode != 200 || !slices.Equal(got, test.want) || test.want == nil && answer["decision"] != true {
			t.Errorf("%s: %d %v, want %v", test.name, resp.StatusCode, answer, test.want)
		}
	}
}

func (p *pdp) search(t *testing.T) {
	users, recordsOf, actionsOf := `"subject":{"type":"user"}`, `"resource":{"type":"record"}`, "search/action"
	for _, test := range []struct {
		name, path, body string
		want             []string // nil: nothing at all
	}{
		{"users", "search/subject", object(users, may("read"), record1), []string{"alice", "bob"}},
		{"users with context", "search/subject", object(users, may("read"), record1, `"context":{"a":1}`), []string{"alice", "bob"}},
		{"users with an id", "search/subject", object(alice, may("read"), record1), []string{"alice", "bob"}},
		{"users of the archive", "search/subject", object(users, may("write"), old2), []string{"bob"}},
		{"users of an unknown type", "search/subject", object(`"subject":{"type":"robot"}`, may("read"), record1), nil},
		{"records", "search/resource", object(alice, may("read"), recordsOf), []string{"record-1"}},
		{"records with context", "search/resource", object(alice, may("read"), recordsOf, `"context":{"a":1}`), []string{"record-1"}},
		{"records with an id", "search/resource", object(alice, may("read"), record1), []string{"record-1", "record-2"}},
		{"records of the archive", "search/resource", object(boss, may("write"), `"resource":{"type":"record","properties":{"status":"archived"}}`), []string{"record-2"}},
		{"records of nobody", "search/resource", object(`"subject":{"type":"user","id":"nobody"}`, may("read"), recordsOf), nil},
		{"records of an unknown type", "search/resource", object(`"subject":{"type":"robot","id":"r"}`, may("read"), recordsOf), nil},
		{"actions", actionsOf, object(alice, record1), []string{"read", "write"}},
		{"actions with context", actionsOf, object(alice, record1, `"context":{"a":1}`), []string{"read", "write"}},
		{"actions in the archive", actionsOf, object(boss, old2), []string{"read", "write"}},
		{"actions of nobody", actionsOf, object(`"subject":{"type":"user","id":"nobody"}`, record1), nil},
	} {
		resp, answer := p.post(t, test.path, test.body)
		got := found(answer)
		if resp.StatusCode != 200 || test.want == nil && len(got) > 0 || len(got) < len(test.want) {
			t.Errorf("%s: %d %v, want %v", test.name, resp.StatusCode, answer, test.want)
			continue
		}
		for _, want := range test.want {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %v, want %s in it", test.name, got, want)
			}
		}
	}
	p.pages(t, object(users, may("read"), record1))
	for name, bad := range map[string][2]string{
		"subjects without action":             {"search/subject", object(users, record1)},
		"resources without subject":           {"search/resource", object(may("read"), recordsOf)},
		"actions without resource":            {actionsOf, object(alice)},
		"subjects, resource without id":       {"search/subject", object(users, may("read"), recordsOf)},
		"resources, subject without id":       {"search/resource", object(users, may("read"), recordsOf)},
		"actions, subject without id":         {actionsOf, object(users, record1)},
		"a limit of zero":                     {"search/subject", object(users, may("read"), record1, `"page":{"limit":0}`)},
		"a token that is none, of no request": {"search/subject", object(users, may("read"), record1, `"page":{"token":"x"}`)},
	} {
		if resp, answer := p.post(t, bad[0], bad[1]); resp.StatusCode != 400 {
			t.Errorf("%s: %d %v", name, resp.StatusCode, answer)
		}
	}
}

// found returns the ids or names of an answer's results.
func found(answer map[string]any) (out []string) {
	results, _ := answer["results"].([]any)
	for _, r := range results {
		r := r.(map[string]any)
		if id, ok := r["id"].(string); ok {
			out = append(out, id)
		} else {
			out = append(out, fmt.Sprint(r["name"]))
		}
	}
	return out
}

// pages reads a search one result at a time and wants what all at once has.
func (p *pdp) pages(t *testing.T, body string) {
	_, whole := p.post(t, "search/subject", body)
	var all []string
	for token := ""; ; {
		page := fmt.Sprintf(`,"page":{"limit":1,"token":%q}}`, token)
		resp, answer := p.post(t, "search/subject", strings.TrimSuffix(body, "}")+page)
		if resp.StatusCode != 200 || len(found(answer)) > 1 || len(all) > 10 {
			t.Fatalf("a page of one is %d %v", resp.StatusCode, answer)
		}
		all = append(all, found(answer)...)
		if token = answer["page"].(map[string]any)["next_token"].(string); token == "" {
			break
		}
	}
	if !slices.Equal(all, found(whole)) {
		t.Errorf("by pages %v, at once %v", all, found(whole))
	}
}

func (p *pdp) discovery(t *testing.T) {
	resp, err := http.Get(p.base + "/.well-known/authzen-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("the metadata is %d %v, %v", resp.StatusCode, answer, err)
	}
	base, _ := answer["policy_decision_point"].(string)
	for _, key := range []string{"access_evaluation", "access_evaluations", "search_subject", "search_resource", "search_action"} {
		if endpoint, _ := answer[key+"_endpoint"].(string); base == "" || !strings.HasPrefix(endpoint, base+"/") {
			t.Errorf("%s is at %q, of %q", key, endpoint, base)
		}
	}
	if _, ok := answer["capabilities"].([]any); !ok {
		t.Errorf("capabilities are %v", answer["capabilities"])
	}
}
