package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	csvType = "text/csv"
	// piece is how much of a file goes into one message: well below the
	// service's limit of 1 MiB.
	piece = 256 << 10
)

// serveImports adds POST …/customers:import and the like: a CSV file in, a line of
// JSON for each of its records out, while it is still being sent. Each is a route of
// its own because the file is never in memory as a whole and no JSON.
func (a *api) serveImports() error {
	for _, v := range []struct {
		method  protoreflect.MethodDescriptor
		pattern string
		form    importForm
	}{
		{methodOf(identityv1.File_guildhall_identity_v1_customer_proto, "ImportCustomers"), "/identity/v1/{parent=organizations/*}/customers:import", ofCustomers{}},
		{methodOf(identityv1.File_guildhall_identity_v1_order_proto, "ImportOrders"), "/identity/v1/{parent=organizations/*}/orders:import", ofOrders{}},
	} {
		b := newBinding(v.method)
		b.verb, b.pattern = http.MethodPost, v.pattern
		s, err := a.newStream(b)
		if err != nil {
			return err
		}
		i := &importer{s, v.form}
		if err := a.mux.HandlePath(b.verb, b.pattern, i.serve); err != nil {
			return err
		}
		a.bindings = append(a.bindings, b)
		if err := a.known(b.verb, b.pattern); err != nil {
			return err
		}
	}
	return nil
}

// methodOf returns a method of the one service of a file.
func methodOf(file protoreflect.FileDescriptor, name protoreflect.Name) protoreflect.MethodDescriptor {
	return file.Services().Get(0).Methods().ByName(name)
}

// importForm makes the messages of an import.
type importForm interface {
	// options makes the first message, of the path's parent and the query.
	options(parent string, query url.Values) (proto.Message, error)
	// data makes one of those behind it.
	data(piece []byte) proto.Message
}

type importer struct {
	*stream
	form importForm
}

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
		// The service has no use for the rest of the file. The client hears so now.
		_ = conn.Flush()
		_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
		<-uploaded
		linger(conn, q.http.Body)
	}
	<-uploaded
	for range answers {
	}
}

// What is read of the rest of a file that nobody wants, and for how long.
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
func (i *importer) begin(q *request, parent string) (proto.Message, error) {
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
	return i.form.options(parent, q.query)
}

// upload sends the options and the file, and closes read when it has read all
// of it. The error is the request's fault; that of the service comes with its
// answers.
func (i *importer) upload(q *request, call grpc.ClientStream, message proto.Message, conn *http.ResponseController, read chan<- struct{}) error {
	// Without the writer: it would close a connection that its client goes on to
	// use, for the header has been sent.
	file := http.MaxBytesReader(nil, q.http.Body, int64(i.api.edge.cfg.ImportSize))
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
		message = i.form.data(data)
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
