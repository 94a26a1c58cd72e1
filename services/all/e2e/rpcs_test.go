package e2e

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// method is an RPC of the suite, for tests of what holds for all of them.
type method struct {
	protoreflect.MethodDescriptor
	full    string // "/guildhall.groupchat.v1.GroupService/GetGroup"
	service string // "groupchat"
	auth    *optionsv1.Authorization
	pattern string // of its HTTP route; "" when it has none
}

// methods returns all RPCs, by name.
func methods() []method {
	var all []method
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				m := file.Services().Get(i).Methods().Get(j)
				auth, _ := proto.GetExtension(m.Options(), optionsv1.E_Authorization).(*optionsv1.Authorization)
				if auth == nil {
					continue // gRPC's own
				}
				rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
				_, pattern := route(rule)
				all = append(all, method{
					MethodDescriptor: m, auth: auth, pattern: pattern,
					full:    "/" + string(m.Parent().FullName()) + "/" + string(m.Name()),
					service: strings.Split(string(m.FullName()), ".")[1],
				})
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b method) int { return strings.Compare(a.full, b.full) })
	return all
}

// behind reports whether the RPC can be called through a door.
func (m method) behind(d door) bool {
	return d == grpcDoor || m.pattern != ""
}

// ids are last segments of names, by collection. Most belong to nothing: who
// may not know of a resource is not told whether there is one.
var ids = map[string]string{
	"staff": "admin", "customers": "chen", "groups": "orders", "teams": "sales", "members": "staff-admin", "roles": "clerk",
	"messages": "1", "grants": "g1", "surveys": "delivery", "responses": "r1", "complaints": "late", "sessions": "-",
}

// resource returns the name, in an organisation, of what the RPC's permission
// is needed on.
func (m method) resource(organization string) string {
	return m.named(m.auth.GetResource(), organization)
}

// named returns a name, in an organisation, as the RPC's path has it in a
// field; the organisation's own when the path has no such field.
func (m method) named(field, organization string) string {
	for _, variable := range pathVariable.FindAllString(m.pattern, -1) {
		name, shape, ok := strings.Cut(strings.Trim(variable, "{}"), "=")
		if !ok || name != field {
			continue
		}
		segments := strings.Split(shape, "/")
		segments[1] = strings.TrimPrefix(organization, "organizations/")
		for i := 2; i < len(segments); i++ {
			switch {
			case i%2 == 0 && segments[i] == "*":
				segments[i] = "staff" // an account of any kind
			case i%2 == 1:
				segments[i] = cmp.Or(ids[segments[i-1]], "x1")
			}
		}
		return strings.Join(segments, "/")
	}
	return organization
}

// call calls the RPC with a request that only names a resource, which is enough
// to be refused: permission is asked before anything else is looked at.
func (m method) call(ctx context.Context, a *api, resource string) error {
	conn := a.conn(m.service)
	req, answer, err := m.messages()
	if err != nil {
		return err
	}
	for _, variable := range pathVariable.FindAllStringSubmatch(m.pattern, -1) {
		of := resource
		if variable[1] != m.auth.GetResource() {
			of = m.named(variable[1], organizationOf(resource+"/")) // the path names something else
		}
		name(req.ProtoReflect(), variable[1], of)
	}
	if m.auth.GetResource() != "" {
		name(req.ProtoReflect(), m.auth.GetResource(), resource)
	}
	if !m.IsStreamingServer() {
		return conn.Invoke(ctx, m.full, req, answer)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: m.IsStreamingClient()}, m.full)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(req); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(answer)
}

// messages returns a new request and a new answer.
func (m method) messages() (req, answer proto.Message, err error) {
	in, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		return nil, nil, err
	}
	out, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return nil, nil, err
	}
	return in.New().Interface(), out.New().Interface(), nil
}

// name sets the field at a path, as in "group.name".
func name(m protoreflect.Message, path, value string) {
	names := strings.Split(path, ".")
	for _, n := range names[:len(names)-1] {
		m = m.Mutable(m.Descriptor().Fields().ByName(protoreflect.Name(n))).Message()
	}
	field := m.Descriptor().Fields().ByName(protoreflect.Name(names[len(names)-1]))
	if field.IsList() {
		m.Mutable(field).List().Append(protoreflect.ValueOfString(value))
		return
	}
	m.Set(field, protoreflect.ValueOfString(value))
}

// eachMethod runs a test of an RPC for all of them that keep wants and the door
// has.
func eachMethod(t *testing.T, d door, keep func(m method) bool, test func(t *testing.T, m method)) {
	t.Helper()
	count := 0
	for _, m := range methods() {
		if !m.behind(d) || !keep(m) {
			continue
		}
		count++
		t.Run(m.service+"."+string(m.Name()), func(t *testing.T) { test(t, m) })
	}
	if count == 0 {
		t.Error("there is no such RPC")
	}
}
