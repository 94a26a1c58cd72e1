package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

type messageStream = grpc.ServerStreamingServer[groupchatv1.StreamMessagesResponse]

const streamPath = "/groupchat/v1/organizations/acme/groups/g1/messages:stream"

func message(sequence int64, text string) *groupchatv1.StreamMessagesResponse {
	return &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Message{
		Message: &groupchatv1.Message{Sequence: sequence, Text: text},
	}}
}

// sendAll is a handler that sends some answers and then ends with err.
func sendAll(err error, answers ...*groupchatv1.StreamMessagesResponse) func(*groupchatv1.StreamMessagesRequest, messageStream) error {
	return func(_ *groupchatv1.StreamMessagesRequest, stream messageStream) error {
		for _, a := range answers {
			if err := stream.Send(a); err != nil {
				return err
			}
		}
		return err
	}
}

func TestStream_linesHoldOneMessageEach(t *testing.T) {
	s := newSuite(t)
	s.messages = sendAll(nil, message(1, "a\nb"), message(2, "好"))
	resp := s.get(streamPath)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"message":{"sequence":"1","text":"a\nb"}}` + "\n" + `{"message":{"sequence":"2","text":"好"}}` + "\n"
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" || string(body) != want {
		t.Errorf("answered %d %s %q, want %q", resp.StatusCode, resp.Header.Get("Content-Type"), body, want)
	}
}

func TestStream_eventsHaveIdsNamesAndEnd(t *testing.T) {
	s := newSuite(t)
	recalled := &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Recalled{Recalled: &groupchatv1.Message{Sequence: 1}}}
	alive := &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Heartbeat_{
		Heartbeat: &groupchatv1.StreamMessagesResponse_Heartbeat{LastSequence: 2}}}
	denied := errs.New(errs.Denied, "PERMISSION_DENIED", "you do not have the permission that this needs")
	withheld := &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Withheld{
		Withheld: &groupchatv1.WithheldMessages{FirstSequence: 3, LastSequence: 5}}}
	s.messages = sendAll(denied, message(2, "b"), recalled, alive, withheld)
	resp := s.get(streamPath, "Accept", "text/event-stream", "Accept-Encoding", "gzip")
	if resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Content-Encoding") != "" {
		t.Fatalf("headers are %v", resp.Header)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSuffix(string(body), "\n\n"), "\n\n")
	want := []string{
		"retry: 1000",
		"id: 2\nevent: message\ndata: {\"message\":{\"sequence\":\"2\",\"text\":\"b\"}}",
		"event: recalled\ndata: {\"recalled\":{\"sequence\":\"1\"}}",
		"event: heartbeat\ndata: {\"heartbeat\":{\"lastSequence\":\"2\"}}",
		"id: 5\nevent: withheld\ndata: {\"withheld\":{\"firstSequence\":\"3\",\"lastSequence\":\"5\"}}",
	}
	if len(parts) != len(want)+1 {
		t.Fatalf("got %q", body)
	}
	for i := range want {
		if parts[i] != want[i] {
			t.Errorf("part %d is %q, want %q", i, parts[i], want[i])
		}
	}
	data, ok := strings.CutPrefix(parts[5], "event: error\ndata: ")
	var p problem.Problem
	if err := json.Unmarshal([]byte(data), &p); err != nil || !ok || p.Reason != "PERMISSION_DENIED" || p.Status != 403 || p.RequestID == "" {
		t.Errorf("the end is %q", parts[5])
	}
}

func TestStream_faultAfterMessagesIsTheLastLine(t *testing.T) {
	s := newSuite(t)
	s.messages = sendAll(errs.New(errs.Unavailable, "SERVER_DRAINING", "the server is restarting; connect again"), message(1, "a"))
	body, err := io.ReadAll(s.get(streamPath, "Accept-Language", "zh").Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	var last struct{ Problem problem.Problem }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 2 {
		t.Fatalf("got %q: %v", body, err)
	}
	if p := last.Problem; p.Reason != "SERVER_DRAINING" || p.Status != 503 || p.Title != "服务器正在重启" {
		t.Errorf("the problem is %+v", p)
	}
}

func TestStream_refusalHasItsStatus(t *testing.T) {
	s := newSuite(t)
	s.messages = sendAll(nil)
	resp := s.get("/groupchat/v1/organizations/acme/groups/closed/messages:stream", "Accept", "text/event-stream")
	if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != problem.ContentType {
		t.Errorf("answered %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	resp = s.get(streamPath+"?afterSequence=x", "Accept", "text/event-stream")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a bad parameter answers %d", resp.StatusCode)
	}
	resp = s.get(streamPath+"?after=1", "Accept", "text/event-stream")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown parameter answers %d", resp.StatusCode)
	}
}

func TestStream_resumesAfterLastEventID(t *testing.T) {
	s := newSuite(t)
	var asked *groupchatv1.StreamMessagesRequest
	s.messages = func(r *groupchatv1.StreamMessagesRequest, _ messageStream) error {
		asked = r
		return nil
	}
	// A browser sends the id with the URL of its first request.
	resp := s.get(streamPath+"?afterSequence=3", "Accept", "text/event-stream", "Last-Event-ID", "41")
	if _, err := io.ReadAll(resp.Body); err != nil || asked.GetAfterSequence() != 41 || asked.GetParent() != "organizations/acme/groups/g1" {
		t.Errorf("asked for %v: %v", asked, err)
	}
	if resp := s.get(streamPath, "Last-Event-ID", "x"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a foreign id answers %d", resp.StatusCode)
	}
}

func TestStream_feedResumesWithItsCursor(t *testing.T) {
	routes, err := bindings("identity")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range routes {
		if b.method.Name() != "StreamEvents" {
			continue
		}
		r := resumptionOf(b.method)
		id, event := r.of((&eventv1.StreamEventsResponse{Cursor: "c9"}).ProtoReflect())
		if r.field != "cursor" || id != "c9" || event != "" {
			t.Errorf("resumes by %q with id %q, event %q", r.field, id, event)
		}
		if id, _ = r.of((&eventv1.StreamEventsResponse{Cursor: "c\n9"}).ProtoReflect()); id != "" {
			t.Errorf("an id that breaks the frame is sent: %q", id)
		}
		return
	}
	t.Fatal("identity has no StreamEvents")
}

// TestStream_silentOneOpensAndStaysAlive: the headers come before any message,
// comments while there is none, and the service's call ends with the client.
func TestStream_silentOneOpensAndStaysAlive(t *testing.T) {
	s := newSuite(t, func(cfg *Config) { cfg.Heartbeat = 5 * time.Millisecond })
	ended := make(chan struct{})
	s.messages = func(_ *groupchatv1.StreamMessagesRequest, stream messageStream) error {
		<-stream.Context().Done()
		close(ended)
		return nil
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	r, err := http.NewRequestWithContext(ctx, "GET", s.server.URL+streamPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := s.do(r, "Accept", "text/event-stream")
	body := bufio.NewReader(resp.Body)
	for _, want := range []string{"retry: 1000", "", ": alive", "", ": alive"} {
		if got := line(t, body); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	hangUp()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the service's call goes on without its client")
	}
}

func TestStream_messagesAreFlushedAsTheyCome(t *testing.T) {
	s := newSuite(t)
	next := make(chan int64)
	s.messages = func(_ *groupchatv1.StreamMessagesRequest, stream messageStream) error {
		for n := range next {
			if err := stream.Send(message(n, "x")); err != nil {
				return err
			}
		}
		return nil
	}
	resp := make(chan *http.Response, 1)
	go func() { resp <- s.get(streamPath) }()
	next <- 1
	body := bufio.NewReader((<-resp).Body)
	for n := range int64(3) {
		if n > 0 {
			next <- n + 1
		}
		if got := line(t, body); !strings.Contains(got, `"sequence"`) {
			t.Errorf("got %q", got)
		}
	}
	close(next)
	if _, err := body.ReadByte(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
}
