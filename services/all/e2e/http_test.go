package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/pkg/errs"
)

// httpConn calls RPCs over HTTP as their google.api.http options say. It is a
// second reading of these options, so that it would find a gateway that serves
// something else than the protos promise.
type httpConn struct {
	t           testing.TB
	base, token string
	// header is added to each request.
	header http.Header
	// sse asks for streams as server-sent events instead of NDJSON.
	sse bool
}

// Invoke makes a unary call.
func (c *httpConn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	return again(func() error { return c.once(ctx, method, args, reply) })
}

func (c *httpConn) once(ctx context.Context, method string, args, reply any) error {
	resp, err := c.send(ctx, method, args.(proto.Message))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return readProblem(c.t, resp, body)
	}
	if err := protojson.Unmarshal(body, reply.(proto.Message)); err != nil {
		return fmt.Errorf("%s answers what is not in its schema: %w: %s", method, err, body)
	}
	return nil
}

// send sends the request of an RPC.
func (c *httpConn) send(ctx context.Context, method string, args proto.Message) (*http.Response, error) {
	verb, target, body, err := transcode(method, args)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, verb, c.base+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.sse {
		req.Header.Set("Accept", "text/event-stream")
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if sent, ok := metadata.FromOutgoingContext(ctx); ok {
		for _, value := range sent.Get(approvalHeader) {
			req.Header.Add(approvalHeader, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, errs.New(errs.Unavailable, "HTTP", "no answer", errs.Cause(err))
	}
	return resp, nil
}

// descriptor returns the method with a full gRPC name.
func descriptor(method string) (protoreflect.MethodDescriptor, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return found.(protoreflect.MethodDescriptor), nil
}

// transcode returns the HTTP request of a call.
func transcode(method string, args proto.Message) (verb, target string, body []byte, err error) {
	m, err := descriptor(method)
	if err != nil {
		return "", "", nil, err
	}
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return "", "", nil, fmt.Errorf("%s has no HTTP route", method)
	}
	verb, pattern := route(rule)
	rest := proto.Clone(args).ProtoReflect()
	path, err := fillPath(pattern, rest)
	if err != nil {
		return "", "", nil, fmt.Errorf("%s: %w", method, err)
	}
	if body, err = takeBody(rule.GetBody(), rest); err != nil {
		return "", "", nil, err
	}
	query := url.Values{}
	if rule.GetBody() != "*" {
		if err := addQuery(query, "", rest); err != nil {
			return "", "", nil, err
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return verb, path, body, nil
}

func route(rule *annotations.HttpRule) (verb, pattern string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	}
	return "", ""
}

// pathVariable matches "{parent=organizations/*}".
var pathVariable = regexp.MustCompile(`\{([^}=]+)(?:=[^}]*)?\}`)

// fillPath puts fields into a path and takes the top ones out of the message.
func fillPath(pattern string, m protoreflect.Message) (path string, err error) {
	path = pathVariable.ReplaceAllStringFunc(pattern, func(variable string) string {
		names := strings.Split(pathVariable.FindStringSubmatch(variable)[1], ".")
		holder := m
		for _, name := range names[:len(names)-1] {
			holder = holder.Get(holder.Descriptor().Fields().ByName(protoreflect.Name(name))).Message()
		}
		field := holder.Descriptor().Fields().ByName(protoreflect.Name(names[len(names)-1]))
		segments := strings.Split(holder.Get(field).String(), "/")
		for i := range segments {
			segments[i] = url.PathEscape(segments[i])
		}
		if len(names) == 1 {
			holder.Clear(field)
		}
		return strings.Join(segments, "/")
	})
	return path, err
}

// takeBody returns the body and takes it out of the message.
func takeBody(name string, m protoreflect.Message) ([]byte, error) {
	switch name {
	case "":
		return nil, nil
	case "*":
		return protojson.Marshal(m.Interface())
	}
	field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	body, err := protojson.Marshal(m.Get(field).Message().Interface())
	m.Clear(field)
	return body, err
}

// addQuery adds the fields that are set as query parameters.
func addQuery(query url.Values, prefix string, m protoreflect.Message) (err error) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := prefix + field.JSONName()
		switch {
		case field.IsList() && field.Message() == nil:
			for i := range value.List().Len() {
				query.Add(name, value.List().Get(i).String())
			}
		case field.IsList() || field.IsMap():
			err = fmt.Errorf("%s cannot be a query parameter", name)
		case field.Message() != nil && field.Message().FullName() == "google.protobuf.FieldMask",
			field.Message() != nil && field.Message().FullName() == "google.protobuf.Timestamp":
			var text string
			var encoded []byte
			if encoded, err = protojson.Marshal(value.Message().Interface()); err == nil {
				err = json.Unmarshal(encoded, &text)
			}
			query.Set(name, text)
		case field.Message() != nil:
			err = addQuery(query, name+".", value.Message())
		default:
			query.Set(name, value.String())
		}
		return err == nil
	})
	return err
}

// problem is a problem document (RFC 9457), as the OpenAPI document describes
// it.
type problem struct {
	Type, Title, Detail, Instance, Reason, Kind, RequestID string
	Status, RetryAfter                                     int
	Violations                                             []struct{ Field, Reason, Description string }
	Metadata                                               map[string]string
}

// statuses are the HTTP statuses that a kind of error may have.
var statuses = map[errs.Kind][]int{
	errs.Internal: {500}, errs.Invalid: {400, 405, 408, 413, 415}, errs.Unauthenticated: {401}, errs.Denied: {403},
	errs.NotFound: {404}, errs.Exists: {409}, errs.Conflict: {409, 412}, errs.Precondition: {409}, errs.Exhausted: {429, 413},
	errs.Unavailable: {503}, errs.Unimplemented: {501}, errs.DeadlineExceeded: {504}, errs.OutOfRange: {400},
}

// readProblem reads an answer that is not a success. Whatever the test is
// about, the answer has to be a good problem document.
func readProblem(t testing.TB, resp *http.Response, body []byte) *errs.Error {
	t.Helper()
	leaksNothing(t, string(body))
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("%s: the answer is %q: %s", resp.Status, ct, body)
	}
	p := decodeProblem(t, body)
	if p.Status != resp.StatusCode || p.RequestID == "" || p.RequestID != resp.Header.Get("X-Request-Id") {
		t.Errorf("%s with request id %q: %s", resp.Status, resp.Header.Get("X-Request-Id"), body)
	}
	return p.asError(t)
}

func decodeProblem(t testing.TB, body []byte) *problem {
	t.Helper()
	p := &problem{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		t.Errorf("this is no problem document: %v: %s", err, body)
	}
	return p
}

func (p *problem) asError(t testing.TB) *errs.Error {
	t.Helper()
	for kind, allowed := range statuses {
		if strings.ToUpper(strings.ReplaceAll(kind.String(), " ", "_")) != p.Kind {
			continue
		}
		found := false
		for _, status := range allowed {
			found = found || status == p.Status
		}
		if !found || p.Reason == "" || p.Title == "" || p.Detail == "" || p.Type == "" {
			t.Errorf("a bad problem document: %+v", p)
		}
		e := errs.New(kind, p.Reason, p.Detail, errs.Meta("status", strconv.Itoa(p.Status)))
		for _, v := range p.Violations {
			e.Violations = append(e.Violations, errs.Violation{Field: v.Field, Reason: v.Reason, Description: v.Description})
		}
		return e
	}
	t.Errorf("a problem of an unknown kind: %+v", p)
	return errs.New(errs.Internal, p.Reason, p.Detail)
}

// internal matches what no answer may show: our engines, our code, our files.
var internal = regexp.MustCompile(`(?i)\b(panic|goroutine|bbolt|pgx|sqlstate|rpc error|postgres\w*|redis)\b|\bkv:|\.go:\d|/tmp/|/var/|127\.0\.0\.\d:\d|guildhall\.dev/(pkg|services)`)

// leaksNothing looks for internal text in an answer.
func leaksNothing(t testing.TB, text string) {
	t.Helper()
	if found := internal.FindString(text); found != "" {
		t.Errorf("an answer shows %q: %s", found, text)
	}
}
