package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

type importStream = grpc.BidiStreamingServer[identityv1.ImportCustomersRequest, identityv1.ImportCustomersResponse]

func (s *suite) importCSV(query string, body io.Reader, headers ...string) *http.Response {
	s.t.Helper()
	return s.importInto("customers", query, body, headers...)
}

func (s *suite) importInto(collection, query string, body io.Reader, headers ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", s.server.URL+"/identity/v1/organizations/acme/"+collection+":import"+query, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/csv; charset=utf-8")
	return s.do(r, headers...)
}

// countLines answers every line of the file but the header.
func countLines(options *identityv1.ImportOptions) func(importStream) error {
	return func(stream importStream) error {
		first, err := stream.Recv()
		if err != nil {
			return err
		}
		proto.Merge(options, first.GetOptions())
		var line int64
		for {
			r, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			for range strings.Count(string(r.GetData()), "\n") {
				line++
				result := &identityv1.ImportCustomersResponse{Line: line, Result: identityv1.ImportCustomersResponse_RESULT_CREATED}
				if err := stream.Send(result); err != nil {
					return err
				}
			}
		}
	}
}

func TestImport_streamsAFileLargerThanABody(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.BodySize = conf.KiB })
	got := &identityv1.ImportOptions{}
	s.imports = countLines(got)
	const rows = 50_000
	file := strings.NewReader(strings.Repeat("17850,United Kingdom\n", rows)) // 1 MiB
	resp := s.importCSV("?columns=CustomerID:externalId,Country:country&dryRun=true", io.MultiReader(file))
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("answered %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	lines, last := 0, ""
	for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); lines++ {
		last = scanner.Text()
	}
	if lines != rows || last != `{"line":"50000","result":"RESULT_CREATED"}` {
		t.Errorf("got %d lines, the last %s", lines, last)
	}
	want := &identityv1.ImportOptions{
		Parent: "organizations/acme", DryRun: true, Columns: map[string]string{"CustomerID": "external_id", "Country": "country"},
	}
	if !proto.Equal(got, want) {
		t.Errorf("options are %v, want %v", got, want)
	}
}

func TestImport_resultsComeWhileTheFileIsSent(t *testing.T) {
	s := newSuite(t)
	s.imports = countLines(&identityv1.ImportOptions{})
	file, in := io.Pipe()
	resp := make(chan *http.Response, 1)
	go func() { resp <- s.importCSV("", file) }()
	// A whole piece has to be there before it is sent on.
	row := strings.Repeat("x", piece-1) + "\n"
	if _, err := io.WriteString(in, row); err != nil {
		t.Fatal(err)
	}
	body := bufio.NewReader((<-resp).Body)
	if got := line(t, body); !strings.Contains(got, `"line":"1"`) {
		t.Errorf("got %s", got)
	}
	if _, err := io.WriteString(in, row); err != nil {
		t.Fatal(err)
	}
	if got := line(t, body); !strings.Contains(got, `"line":"2"`) {
		t.Errorf("got %s", got)
	}
	in.Close()
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

func TestImport_faultIsTheLastLine(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.ImportSize = 2 * piece })
	s.imports = countLines(&identityv1.ImportOptions{})
	// Its length is not known beforehand, so the limit shows in the middle.
	resp := s.importCSV("", io.MultiReader(strings.NewReader(strings.Repeat("a,b\n", piece))))
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if p := lastProblem(t, resp, body); p.Reason != "BODY_TOO_LARGE" || p.Status != 413 {
		t.Errorf("the problem is %+v", p)
	}

	s.imports = func(stream importStream) error {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		if err := stream.Send(&identityv1.ImportCustomersResponse{Line: 1}); err != nil {
			return err
		}
		return errs.New(errs.Unavailable, "STORE_UNAVAILABLE", "the store is away; try again")
	}
	resp = s.importCSV("", strings.NewReader("a,b\n"))
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if p := lastProblem(t, resp, body); p.Reason != "STORE_UNAVAILABLE" {
		t.Errorf("the problem is %+v", p)
	}
}

// lastProblem returns the problem that an answer is or ends with.
func lastProblem(t *testing.T, resp *http.Response, body []byte) problem.Problem {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	last := struct{ Problem problem.Problem }{}
	var into any = &last
	if resp.StatusCode != http.StatusOK {
		into = &last.Problem
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		t.Fatalf("%v: %s", err, lines[len(lines)-1])
	}
	return last.Problem
}

func TestImport_badRequestsAreRefusedBeforeTheCall(t *testing.T) {
	s := newSuite(t)
	s.imports = func(importStream) error { return errors.New("was called") }
	for query, reason := range map[string]string{
		"?columns=CustomerID": problem.QueryInvalid, "?columns=:x": problem.QueryInvalid, "?dryRun=perhaps": problem.QueryInvalid,
		"?colums=a:b": problem.QueryParameterUnknown,
	} {
		resp := s.importCSV(query, strings.NewReader("a\n"))
		body, _ := io.ReadAll(resp.Body)
		if p := lastProblem(t, resp, body); p.Reason != reason || p.Status != 400 {
			t.Errorf("%s: %+v", query, p)
		}
	}
	resp := s.importCSV("", strings.NewReader("{}"), "Content-Type", "application/json")
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("JSON answers %d", resp.StatusCode)
	}
	resp = s.importCSV("", strings.NewReader("a\n"), "Idempotency-Key", "k1")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an Idempotency-Key answers %d", resp.StatusCode)
	}
}

// TestImport_refusalDoesNotWaitForTheFile: a client that is still sending hears
// at once that it may not.
func TestImport_refusalDoesNotWaitForTheFile(t *testing.T) {
	s := newSuite(t)
	s.imports = func(importStream) error {
		return errs.New(errs.Invalid, "IMPORT_HEADER_INVALID", "the header line cannot be read")
	}
	file, in := io.Pipe()
	defer in.Close()
	go io.WriteString(in, strings.Repeat("x", piece)) //nolint:errcheck // the server hangs up
	resp := s.importCSV("", file)
	body, _ := io.ReadAll(resp.Body)
	if p := lastProblem(t, resp, body); p.Reason != "IMPORT_HEADER_INVALID" || p.Status != 400 {
		t.Errorf("the problem is %+v", p)
	}
}
