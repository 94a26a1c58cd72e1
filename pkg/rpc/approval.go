package rpc

import (
	"context"
	"crypto/rand"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"guildhall.dev/pkg/authz"
)

// approve returns a context that has the approval the call names, for all who
// check what its caller may do. A sister service needs none and passes none on:
// whose approval it is has been seen where the person called.
//
// The request tells a call that is sent again from another one; it is nil for a
// stream, which is one call as long as it lasts.
func (c *call) approve(ctx context.Context, request protoreflect.Message) (context.Context, error) {
	if c.caller.Name == "" || c.fromSister() {
		return ctx, nil
	}
	values := metadata.ValueFromIncomingContext(ctx, authz.ApprovalHeader)
	if len(values) == 0 {
		return ctx, nil
	}
	name, err := authz.ParseApproval(values)
	if err != nil {
		return ctx, err
	}
	a := authz.Approval{Name: name}
	if request == nil {
		a.Call = rand.Text()
	} else if id := requestIDOf(request); id != "" {
		a.Call = c.method + " " + id
	}
	return authz.WithApproval(ctx, a), nil
}

// requestIDOf returns the request_id (AIP-155) of a request; "" for none.
func requestIDOf(request protoreflect.Message) string {
	fd := request.Descriptor().Fields().ByName("request_id")
	if fd == nil || fd.Kind() != protoreflect.StringKind || fd.IsList() {
		return ""
	}
	return request.Get(fd).String()
}
