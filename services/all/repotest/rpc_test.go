package repotest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Linked for their descriptors. TestProtos_withServicesAreLinked finds a missing one.
	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	_ "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// serviceLine matches the start of a service in a proto.
var serviceLine = regexp.MustCompile(`(?m)^service `)

func TestProtos_withServicesAreLinked(t *testing.T) {
	for _, path := range files(t, func(path string) bool { return strings.HasPrefix(path, "proto/guildhall/") }) {
		if !serviceLine.MatchString(read(t, path)) {
			continue
		}
		if _, err := protoregistry.GlobalFiles.FindFileByPath(strings.TrimPrefix(path, "proto/")); err != nil {
			t.Errorf("%s: run `make generate` and import its package here: %v", path, err)
		}
	}
}

// methods calls f with every RPC of ours.
func methods(t *testing.T, f func(m protoreflect.MethodDescriptor)) {
	t.Helper()
	count := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(file.Path(), "guildhall/") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				count++
				f(service.Methods().Get(j))
			}
		}
		return true
	})
	if count == 0 {
		t.Fatal("no RPC is linked")
	}
}

// authorization returns an RPC's authorisation, nil when it has none.
func authorization(m protoreflect.MethodDescriptor) *optionsv1.Authorization {
	auth, _ := proto.GetExtension(m.Options(), optionsv1.E_Authorization).(*optionsv1.Authorization)
	return auth
}

// httpRule returns an RPC's HTTP binding, nil when it has none.
func httpRule(m protoreflect.MethodDescriptor) *annotations.HttpRule {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	return rule
}

var permissionName = regexp.MustCompile(`^([a-z]+)\.[a-z][A-Za-z]*\.[a-z][A-Za-z]*$`)

func TestRPCs_sayWhoMayCall(t *testing.T) {
	methods(t, func(m protoreflect.MethodDescriptor) {
		auth := authorization(m)
		if auth.GetRule() == nil {
			t.Errorf("%s says not who may call it: add option (guildhall.options.v1.authorization)", m.FullName())
			return
		}
		for _, service := range auth.GetServices() {
			if !slices.Contains(services, service) && service != "gateway" {
				t.Errorf("%s: may be called by %q, which is no service", m.FullName(), service)
			}
		}
		switch rule := auth.GetRule().(type) {
		case *optionsv1.Authorization_Permission:
			checkPermission(t, m, auth)
		case *optionsv1.Authorization_Internal:
			if !rule.Internal || len(auth.GetServices()) == 0 {
				t.Errorf("%s is internal: list the services that may call it", m.FullName())
			}
		case *optionsv1.Authorization_Public:
			if !rule.Public {
				t.Errorf("%s: public: false says nothing", m.FullName())
			}
		case *optionsv1.Authorization_Authenticated:
			if !rule.Authenticated {
				t.Errorf("%s: authenticated: false says nothing", m.FullName())
			}
		}
	})
}

// checkPermission checks the name of a permission and that exactly one resource
// is named, by a field that is there or by a fixed name.
func checkPermission(t *testing.T, m protoreflect.MethodDescriptor, auth *optionsv1.Authorization) {
	t.Helper()
	parts := permissionName.FindStringSubmatch(auth.GetPermission())
	if parts == nil {
		t.Errorf("%s: permission %q is not service.resources.verb", m.FullName(), auth.GetPermission())
	} else if pkg := string(m.ParentFile().Package()); pkg != "guildhall."+parts[1]+".v1" {
		t.Errorf("%s: permission %q belongs to another service", m.FullName(), auth.GetPermission())
	}
	if (auth.GetResource() == "") == (auth.GetResourceName() == "") {
		t.Errorf("%s needs a permission: on exactly one of a field or a fixed resource", m.FullName())
	}
	if path := auth.GetResource(); path != "" && !namesString(m.Input(), path) {
		t.Errorf("%s: %q is no string field of %s", m.FullName(), path, m.Input().Name())
	}
}

// namesString reports whether path, as in "group.name", leads to a string field,
// repeated or not, of the message.
func namesString(message protoreflect.MessageDescriptor, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return false
		}
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return false
		}
		if message = field.Message(); message == nil {
			return field.Kind() == protoreflect.StringKind && strings.HasSuffix("."+path, "."+name)
		}
	}
	return false
}

// overHTTP is how the comment of a stream begins the paragraph that says which
// route of the gateway's own serves it.
const overHTTP = "// Over HTTP:"

func TestRPCs_areOnHTTPOrInternal(t *testing.T) {
	methods(t, func(m protoreflect.MethodDescriptor) {
		internal := authorization(m).GetInternal()
		bound := httpRule(m) != nil
		streams := m.IsStreamingClient() || m.IsStreamingServer()
		switch {
		case internal && bound:
			t.Errorf("%s is internal and has an HTTP route: drop one", m.FullName())
		case internal, bound:
		case streams && strings.Contains(commentOf(t, m), overHTTP):
		case streams:
			t.Errorf("%s is a stream without a route: bind it, mark it internal, or say in its comment which route of the gateway serves it: %s …", m.FullName(), overHTTP)
		default:
			t.Errorf("%s has neither an HTTP route nor the internal mark", m.FullName())
		}
	})
}

// commentOf returns the comment before an RPC in its file: linked descriptors do
// not keep comments.
func commentOf(t *testing.T, m protoreflect.MethodDescriptor) string {
	t.Helper()
	before, _, found := strings.Cut(read(t, "proto/"+m.ParentFile().Path()), "  rpc "+string(m.Name())+"(")
	if !found {
		t.Fatalf("%s is not in its file as `rpc %s(`", m.FullName(), m.Name())
	}
	lines := strings.Split(strings.TrimSuffix(before, "\n"), "\n")
	for i, line := range slices.Backward(lines) {
		if !strings.HasPrefix(strings.TrimSpace(line), "//") {
			return strings.Join(lines[i+1:], "\n")
		}
	}
	return before
}
