package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// binding is one HTTP route of one RPC, as its proto declares it.
type binding struct {
	// rpc is the full method, as in "/guildhall.identity.v1.TeamService/GetTeam".
	rpc           string
	method        protoreflect.MethodDescriptor
	authorization *optionsv1.Authorization
	verb, pattern string
	// body is the request field that the body is, "*" for all of the request,
	// "" for none.
	body string
	// variables are the request fields that the path holds.
	variables []string

	// etag and requestID are the request fields that If-Match and
	// Idempotency-Key stand for; nil when there is none.
	etag      []protoreflect.FieldDescriptor
	requestID protoreflect.FieldDescriptor
	// mask is the update_mask of a PATCH, and inferable the fields that it may
	// hold when it is inferred from the body.
	mask      protoreflect.FieldDescriptor
	inferable []string
}

// variable matches a variable of a path and its field.
var variable = regexp.MustCompile(`\{([^}=]+)`)

// bindings returns the routes of a service, by RPC name and then in the order
// of the proto.
func bindings(service string) ([]*binding, error) {
	var out []*binding
	var err error
	pkg := protoreflect.FullName("guildhall." + service + ".v1")
	protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				var routes []*binding
				if routes, err = routesOf(methods.Get(j)); err != nil {
					return false
				}
				out = append(out, routes...)
			}
		}
		return true
	})
	// The registry yields files in no fixed order.
	slices.SortStableFunc(out, func(a, b *binding) int { return strings.Compare(a.rpc, b.rpc) })
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("gateway: no RPC of %s has a route", pkg)
	}
	return out, err
}

func routesOf(m protoreflect.MethodDescriptor) ([]*binding, error) {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil, nil
	}
	var out []*binding
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		b := newBinding(m)
		b.body = r.GetBody()
		if b.verb, b.pattern = route(r); b.verb == "" {
			return nil, fmt.Errorf("gateway: %s has a route of a kind that is not served", m.FullName())
		}
		for _, match := range variable.FindAllStringSubmatch(b.pattern, -1) {
			b.variables = append(b.variables, match[1])
		}
		b.findFields()
		out = append(out, b)
	}
	return out, nil
}

// newBinding returns a binding that has no route yet.
func newBinding(m protoreflect.MethodDescriptor) *binding {
	b := &binding{rpc: fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), method: m}
	b.authorization, _ = proto.GetExtension(m.Options(), optionsv1.E_Authorization).(*optionsv1.Authorization)
	return b
}

func route(rule *annotations.HttpRule) (verb, pattern string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	}
	return "", ""
}

// findFields finds the fields that headers stand for.
func (b *binding) findFields() {
	input := b.method.Input().Fields()
	b.requestID = stringField(input, "request_id")
	if etag := stringField(input, "etag"); etag != nil {
		b.etag = []protoreflect.FieldDescriptor{etag}
	}
	resource := b.resource()
	if resource == nil || b.verb != http.MethodPatch {
		return
	}
	fields := resource.Message().Fields()
	if etag := stringField(fields, "etag"); etag != nil && b.etag == nil {
		b.etag = []protoreflect.FieldDescriptor{resource, etag}
	}
	mask := input.ByName("update_mask")
	if mask == nil || mask.Message() == nil || mask.Message().FullName() != (&fieldmaskpb.FieldMask{}).ProtoReflect().Descriptor().FullName() {
		return
	}
	b.mask = mask
	for i := range fields.Len() {
		if field := fields.Get(i); isInput(field) {
			b.inferable = append(b.inferable, string(field.Name()))
		}
	}
}

// resource is the field that the body is, or nil.
func (b *binding) resource() protoreflect.FieldDescriptor {
	if b.body == "" || b.body == "*" {
		return nil
	}
	return b.method.Input().Fields().ByName(protoreflect.Name(b.body))
}

// isInput reports whether callers may set a field of a resource (AIP-203).
func isInput(field protoreflect.FieldDescriptor) bool {
	behavior, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return field.Name() != "etag" && !slices.ContainsFunc(behavior, func(fb annotations.FieldBehavior) bool {
		return fb == annotations.FieldBehavior_OUTPUT_ONLY || fb == annotations.FieldBehavior_IDENTIFIER
	})
}

func stringField(fields protoreflect.FieldDescriptors, name protoreflect.Name) protoreflect.FieldDescriptor {
	if field := fields.ByName(name); field != nil && field.Kind() == protoreflect.StringKind && !field.IsList() {
		return field
	}
	return nil
}

// bodyType is the message that the body of the route is read into, nil when
// the route has no body.
func (b *binding) bodyType() (protoreflect.MessageType, error) {
	descriptor := b.method.Input()
	if resource := b.resource(); resource != nil {
		descriptor = resource.Message()
	}
	if b.body == "" || descriptor == nil {
		return nil, nil
	}
	return protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
}

// elsewhere says what to do with a name in a body that is one field of the request, when
// the name is one of the request's: that field sent with its name around it, or another
// one, which is read from the query. It is "" for any other name.
func (b *binding) elsewhere(name string) string {
	field := b.method.Input().Fields().ByJSONName(name)
	if field == nil {
		field = b.method.Input().Fields().ByTextName(name)
	}
	if field == nil || b.resource() == nil {
		return ""
	}
	switch name := string(field.Name()); {
	case slices.Contains(b.variables, name):
		return "the path says this already: leave it out"
	case name == b.body:
		return "the body is this already: send its fields without its name around them"
	}
	return fmt.Sprintf("the body is the %s alone: send this in the query, as in ?%s=…", b.resource().JSONName(), field.JSONName())
}

// takesQuery reports whether the route reads a query parameter into a field
// of the request: its name is that of a field in the spelling of JSON or of
// the proto, with dots between fields, and neither path nor body hold it.
func (b *binding) takesQuery(key string) bool {
	if b.body == "*" {
		return false
	}
	key, _, _ = strings.Cut(key, "[") // labels[colour]=red fills a map
	var path []string
	message := b.method.Input()
	for name := range strings.SplitSeq(key, ".") {
		if message == nil {
			return false
		}
		field := message.Fields().ByJSONName(name)
		if field == nil {
			if field = message.Fields().ByTextName(name); field == nil {
				return false
			}
		}
		path = append(path, string(field.Name()))
		message = field.Message()
		if field.IsList() || field.IsMap() {
			message = nil
		}
	}
	full := strings.Join(path, ".")
	return path[0] != b.body && !slices.Contains(b.variables, full)
}

// unknownQuery returns the first query parameter, in lexical order, that the
// route does not take, or "".
func (b *binding) unknownQuery(keys map[string][]string) string {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !b.takesQuery(key) {
			return key
		}
	}
	return ""
}
