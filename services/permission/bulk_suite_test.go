package permission_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// connect returns a connection whose calls and streams are the account's.
func (r *replica) connect(account string) *grpc.ClientConn {
	r.in.t.Helper()
	now := time.Now()
	token, err := r.in.signer.Sign(authn.Claims{Subject: account, Session: "s1", ID: "t1", IssuedAt: now, Expires: now.Add(time.Hour)})
	if err != nil {
		r.in.t.Fatal(err)
	}
	named := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	opts := append(rpc.DialOptions(rpc.DialConfig{}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.lis.DialContext(ctx) }),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(named(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(named(ctx), desc, cc, method, opts...)
		}))
	conn, err := grpc.NewClient("passthrough:///permission", opts...)
	if err != nil {
		r.in.t.Fatal(err)
	}
	r.in.t.Cleanup(func() { conn.Close() })
	return conn
}

// copyOf keeps what a StreamGrants sends.
type copyOf struct {
	grants map[string]*permissionv1.Grant
	cursor string
	end    *permissionv1.StreamGrantsEnd
}

func newCopy() *copyOf { return &copyOf{grants: make(map[string]*permissionv1.Grant)} }

// take puts a response over what was sent before.
func (c *copyOf) take(resp *permissionv1.StreamGrantsResponse) {
	for _, g := range resp.GetGrants() {
		c.grants[g.GetName()] = g
	}
	for _, name := range resp.GetDeleted() {
		delete(c.grants, name)
	}
	c.cursor, c.end = resp.GetCursor(), resp.GetEnd()
}

// stream reads on from the copy's cursor, at most the given number of
// responses, or to the end; between is run after each.
func (c *copyOf) stream(t testing.TB, conn grpc.ClientConnInterface, most int, between func()) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := permissionv1.NewGrantServiceClient(conn).StreamGrants(ctx, &permissionv1.StreamGrantsRequest{Parent: acme, Cursor: c.cursor})
	for n := 0; err == nil && n < most; n++ {
		var resp *permissionv1.StreamGrantsResponse
		if resp, err = s.Recv(); err != nil {
			break
		}
		c.take(resp)
		between()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// create returns the change that makes a grant.
func create(subject, role, resource string) *permissionv1.GrantChange {
	return &permissionv1.GrantChange{Change: &permissionv1.GrantChange_Create{Create: &permissionv1.CreateGrantChange{
		Grant: &permissionv1.Grant{Subject: subject, Role: role, Resource: resource},
	}}}
}

// remove returns the change that deletes a grant.
func remove(name string) *permissionv1.GrantChange {
	return &permissionv1.GrantChange{Change: &permissionv1.GrantChange_Delete{Delete: &permissionv1.DeleteGrantChange{Name: name}}}
}

func wantField(t testing.TB, err error, kind errs.Kind, reason, field string) {
	t.Helper()
	wantError(t, err, kind, reason)
	if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != field {
		t.Errorf("violations %v, want one of %s", v, field)
	}
}
