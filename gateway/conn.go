package gateway

import (
	"context"
	"errors"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
)

// rpcConn is the connection that the generated transcoder calls a service by.
// Here a request is a message already and its route is known, so this is where
// the query is checked, headers become fields, and the call gets its metadata
// and its time.
type rpcConn struct {
	grpc.ClientConnInterface
	routes map[string]*binding // by routeKey
}

// routeKey names a route: an RPC may have several.
func routeKey(rpc, pattern string) string { return rpc + " " + pattern }

// binding returns the route of a context of the transcoder.
func (c *rpcConn) binding(ctx context.Context) (*binding, bool) {
	rpc, _ := runtime.RPCMethod(ctx)
	pattern, _ := runtime.HTTPPathPattern(ctx)
	b, ok := c.routes[routeKey(rpc, pattern)]
	return b, ok
}

// Invoke makes a unary call. All its errors are *errs.Error, by which the
// error handler tells them from those of the transcoder.
func (c *rpcConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	b, ok := c.binding(ctx)
	message, isProto := args.(proto.Message)
	if !ok || !isProto {
		return errs.From(errors.New("a call outside of a route: " + method))
	}
	q := requestOf(ctx)
	q.binding = b
	if err := q.checkQuery(b); err != nil {
		return err
	}
	if err := q.fromHeaders(b, message.ProtoReflect()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, q.metadata()), q.timeout)
	defer cancel()
	if err := c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...); err != nil {
		return errs.From(rpc.FromStatus(err))
	}
	return nil
}

// open opens a stream to the service on behalf of a request.
func (c *rpcConn) open(ctx context.Context, q *request, b *binding) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{
		StreamName: string(b.method.Name()), ServerStreams: b.method.IsStreamingServer(), ClientStreams: b.method.IsStreamingClient(),
	}
	s, err := c.NewStream(metadata.NewOutgoingContext(ctx, q.metadata()), desc, b.rpc)
	if err != nil {
		return nil, errs.From(rpc.FromStatus(err))
	}
	return s, nil
}

// checkQuery refuses parameters that the route does not take. The transcoder
// passes over them, and a misspelt filter would return everything.
func (q *request) checkQuery(b *binding) error {
	unknown := b.unknownQuery(q.query)
	if unknown == "" {
		return nil
	}
	const message = "there is no such query parameter; leave it out or correct its name"
	return errs.New(errs.Invalid, problem.QueryParameterUnknown, message,
		errs.Field(unknown, problem.QueryParameterUnknown, message))
}
