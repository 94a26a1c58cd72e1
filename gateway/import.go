package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	importPattern = "/identity/v1/{parent=organizations/*}/customers:import"
	csvType       = "text/csv"
	// piece is how much of a file goes into one message: well below the
	// service's limit of 1 MiB.
	piece = 256 << 10
)

// serveImport adds POST …/customers:import: a CSV file in, a line of JSON for
// each of its records out, while it is still being sent. It is a route of its
// own because the file is never in memory as a whole and no JSON.
func (a *api) serveImport() error {
	m := identityv1.File_guildhall_identity_v1_customer_proto.Services().ByName("CustomerService").Methods().ByName("ImportCustomers")
	b := newBinding(m)
	b.verb, b.pattern = http.MethodPost, importPattern
	s, err := a.newStream(b)
	if err != nil {
		return err
	}
	i := &importer{s}
	if err := a.mux.HandlePath(b.verb, b.pattern, i.serve); err != nil {
		return err
	}
	a.bindings = append(a.bindings, b)
	return a.known(b.verb, b.pattern)
}

type importer struct{ *stream }

// serve is a runtime.HandlerFunc.
func (i *importer) serve(w http.ResponseWriter, r *http.Request, path map[string]string) {
	q := requestOf(r.Context())
	q.binding = i.b
	options, err := i.begin(q, path["parent"])
	if err != nil {
		i.api.edge.fail(w, q, err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	call, err := i.api.conn.open(ctx, q, i.b)
	if err != nil {
		i.api.edge.fail(w, q, err)
		return
	}
	conn := http.NewResponseController(q.writer)
	// Results are sent while the file is still coming in. HTTP/2 always can.
	_ = conn.EnableFullDuplex()
	read, refused, uploaded := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(uploaded)
		if err := i.upload(q, call, options, conn, read); err != nil {
			close(refused)
			cancel(err)
		}
	}()
	answers := i.receive(call)
	i.forward(ctx, q, answers, lines)
	cancel(nil)
	select {
	case <-read:
		// From here on the server itself reads, to notice a client that hangs up.
		// A deadline would end the connection for the requests after this one.
	case <-refused:
		linger(conn, q.http.Body)
	default:
		// The rest of a file that the service has no use for is not waited for.
		_ = conn.SetReadDeadline(time.Now())
	}
	<-uploaded
	for range answers {
	}
}

// What is read of a file that was refused, and for how long.
const (
	lingerSize = 16 << 20
	lingerTime = 2 * time.Second
)

// linger reads on for a while when the answer is written. A connection that is
// closed while its client still sends is reset, and takes the answer with it
// (RFC 9112 section 9.6).
func linger(conn *http.ResponseController, body io.Reader) {
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, body, lingerSize)
	_ = conn.SetReadDeadline(time.Time{}) // it would end the requests after this one
}

// begin checks the request and reads the options from its query.
func (i *importer) begin(q *request, parent string) (*identityv1.ImportOptions, error) {
	if err := checkType(q.http.Header, csvType); err != nil {
		return nil, err
	}
	limit := int64(i.api.edge.cfg.ImportSize)
	if q.http.ContentLength > limit {
		return nil, bodyFault(&http.MaxBytesError{Limit: limit})
	}
	for _, header := range []string{"Idempotency-Key", "If-Match", "If-None-Match"} {
		if q.http.Header.Get(header) != "" {
			return nil, errs.New(errs.Invalid, problem.ConditionUnsupported, "an import takes no "+header+"; run it again to repeat it")
		}
	}
	return importOptions(parent, q.query)
}

// importOptions reads ?columns=CustomerID:externalId,Country:country&dryRun=true.
// A column's name may hold a colon, for the last one counts, but no comma.
func importOptions(parent string, query url.Values) (*identityv1.ImportOptions, error) {
	o := &identityv1.ImportOptions{Parent: parent}
	for key, values := range query {
		switch key {
		case "columns":
			for pair := range strings.SplitSeq(strings.Join(values, ","), ",") {
				at := strings.LastIndexByte(pair, ':')
				if at <= 0 || at == len(pair)-1 {
					return nil, invalidQuery(key, "send Column:field pairs with commas between them")
				}
				if o.Columns == nil {
					o.Columns = map[string]string{}
				}
				o.Columns[pair[:at]] = snake(pair[at+1:])
			}
		case "dryRun", "dry_run":
			var err error
			if o.DryRun, err = strconv.ParseBool(values[0]); err != nil || len(values) > 1 {
				return nil, invalidQuery(key, "send true or false")
			}
		default:
			const message = "there is no such query parameter; leave it out or correct its name"
			return nil, errs.New(errs.Invalid, problem.QueryParameterUnknown, message,
				errs.Field(key, problem.QueryParameterUnknown, message))
		}
	}
	return o, nil
}

func invalidQuery(key, message string) error {
	return errs.New(errs.Invalid, problem.QueryInvalid, message, errs.Field(key, problem.QueryInvalid, message))
}

// snake takes a field in the spelling of JSON as well as in the proto's.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// upload sends the options and the file, and closes read when it has read all
// of it. The error is the request's fault; that of the service comes with its
// answers.
func (i *importer) upload(q *request, call grpc.ClientStream, options *identityv1.ImportOptions, conn *http.ResponseController, read chan<- struct{}) error {
	// Without the writer: it would close a connection that its client goes on to
	// use, for the header has been sent.
	file := http.MaxBytesReader(nil, q.http.Body, int64(i.api.edge.cfg.ImportSize))
	message := &identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{Options: options}}
	for last := false; ; {
		if err := call.SendMsg(message); err != nil {
			return sendFault(err)
		}
		if last {
			return sendFault(call.CloseSend())
		}
		// Each pause counts, not the whole: a large file takes its time.
		_ = conn.SetReadDeadline(time.Now().Add(i.api.edge.cfg.BodyTimeout))
		data, err := readPiece(file)
		if err != nil && !errors.Is(err, io.EOF) {
			return bodyFault(err)
		}
		if last = err != nil; last {
			_ = conn.SetReadDeadline(time.Time{})
			close(read)
		}
		if len(data) == 0 {
			return sendFault(call.CloseSend())
		}
		message = &identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Data{Data: data}}
	}
}

// readPiece reads a piece, or less at the end. io.ReadFull would say of a file
// that broke off what it says of one that ended.
func readPiece(file io.Reader) (data []byte, err error) {
	data = make([]byte, piece)
	n := 0
	for n < len(data) && err == nil {
		var more int
		more, err = file.Read(data[n:])
		n += more
	}
	return data[:n], err
}

// sendFault returns nil for io.EOF: the service has ended the call, and its
// reason comes with the answers.
func sendFault(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return rpc.FromStatus(err)
}
