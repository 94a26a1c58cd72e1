package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// NewStream opens a stream of answers, and the one call that also streams its
// request: the import of customers, which over HTTP is the upload of a file.
func (c *httpConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	s := &httpStream{ctx: ctx, conn: c, method: method}
	if desc.ClientStreams {
		if method != identityv1.CustomerService_ImportCustomers_FullMethodName {
			return nil, errors.New(method + " has no form over HTTP")
		}
		s.upload = &bytes.Buffer{}
	}
	return s, nil
}

// httpStream is a stream over HTTP, as NDJSON or server-sent events.
type httpStream struct {
	ctx    context.Context
	conn   *httpConn
	method string

	// upload collects a file and target is where it goes; see SendMsg.
	upload *bytes.Buffer
	target string

	resp  *http.Response
	lines *bufio.Reader
	// lastID is the id of the last event, to resume with.
	lastID string
}

// SendMsg sends the request, or collects a piece of an upload.
func (s *httpStream) SendMsg(m any) (err error) {
	if s.upload == nil {
		s.resp, err = s.conn.send(s.ctx, s.method, m.(proto.Message))
		return err
	}
	req := m.(*identityv1.ImportCustomersRequest)
	if o := req.GetOptions(); o != nil {
		var columns []string
		for column, field := range o.GetColumns() {
			columns = append(columns, column+":"+field)
		}
		query := url.Values{}
		if columns != nil {
			query.Set("columns", strings.Join(columns, ","))
		}
		if o.GetDryRun() {
			query.Set("dryRun", "true")
		}
		s.target = "/identity/v1/" + o.GetParent() + "/customers:import?" + query.Encode()
	}
	s.upload.Write(req.GetData())
	return nil
}

// CloseSend sends an upload off.
func (s *httpStream) CloseSend() (err error) {
	if s.upload == nil || s.resp != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.conn.base+s.target, s.upload)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/csv")
	req.Header.Set("Authorization", "Bearer "+s.conn.token)
	s.resp, err = http.DefaultClient.Do(req)
	return err
}

// RecvMsg returns the next answer; io.EOF at a good end.
func (s *httpStream) RecvMsg(m any) error {
	if s.lines == nil {
		if s.resp.StatusCode != http.StatusOK {
			defer s.resp.Body.Close()
			body, err := io.ReadAll(s.resp.Body)
			if err != nil {
				return err
			}
			return readProblem(s.conn.t, s.resp, body)
		}
		want := "application/x-ndjson"
		if s.conn.sse {
			want = "text/event-stream"
		}
		if ct := s.resp.Header.Get("Content-Type"); ct != want {
			s.conn.t.Errorf("%s answers as %q", s.method, ct)
		}
		s.lines = bufio.NewReader(s.resp.Body)
		context.AfterFunc(s.ctx, func() { s.resp.Body.Close() })
	}
	name, data, err := s.next()
	if err != nil {
		return s.broken(err)
	}
	if name == "error" {
		return decodeProblem(s.conn.t, data).asError(s.conn.t)
	}
	if err := protojson.Unmarshal(data, m.(proto.Message)); err != nil {
		return fmt.Errorf("%s answers what is not in its schema: %w: %s", s.method, err, data)
	}
	return nil
}

// broken says what the end of the connection is: of a stream of lines, a good
// end; in the middle of something, that the server is gone.
func (s *httpStream) broken(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return errs.New(errs.Canceled, "CANCELED", "canceled", errs.Cause(s.ctx.Err()))
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return errs.New(errs.Unavailable, "HTTP", "the stream broke off", errs.Cause(err))
}

// next returns the next line or event. The problem that ends a stream has the
// name "error".
func (s *httpStream) next() (name string, data []byte, err error) {
	for {
		line, err := s.lines.ReadBytes('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if !s.conn.sse {
			var end struct{ Problem json.RawMessage }
			if err := json.Unmarshal(line, &end); err == nil && end.Problem != nil {
				return "error", end.Problem, nil
			}
			return "", line, nil
		}
		field, value, _ := strings.Cut(string(line), ": ")
		switch {
		case len(line) == 0 && data != nil:
			return name, data, nil
		case field == "id":
			s.lastID = value
		case field == "event":
			name = value
		case field == "data":
			data = []byte(value)
		}
	}
}

// Header, Trailer and Context are the rest of grpc.ClientStream.
func (s *httpStream) Header() (metadata.MD, error) { return nil, nil }

func (s *httpStream) Trailer() metadata.MD { return nil }

func (s *httpStream) Context() context.Context { return s.ctx }
