package authz

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Access is the kind of rule an RPC has.
type Access uint8

const (
	// Internal is open to the sister services that the rule lists.
	Internal Access = iota
	// Authenticated is open to every caller with a valid token.
	Authenticated
	// ByPermission is open to callers who hold the permission on the resource.
	ByPermission
	// Public is open to all, without a token.
	Public
)

// Installation is the one resource that belongs to no organisation. RPCs that
// create organisations name it in their option.
const Installation = "installation"

// Rule is an RPC's authorization option, compiled once. It is read-only.
type Rule struct {
	// Method is the full gRPC name: "/guildhall.groupchat.v1.GroupService/GetGroup".
	Method string
	Access Access
	// Permission is set when Access is ByPermission.
	Permission string
	// Services are the short names of sister services that may call.
	Services []string
	// Mutates says that the RPC changes state.
	Mutates bool
	// VariesBy is the attribute that the answer varies by, as in
	// "message_type": then it takes a Scope to authorise a call. Empty for most.
	VariesBy string
	// StepUp is how old a person's last proof of who they are may be; zero for any.
	StepUp time.Duration

	field string // the resource's path in the request, for messages
	path  []protoreflect.FieldDescriptor
	fixed string
	// varies is the field of permissionv1.Attributes that VariesBy names.
	varies protoreflect.FieldDescriptor
}

var (
	permissionForm = regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z][a-zA-Z0-9]*\.[a-z][a-zA-Z0-9]*$`)
	serviceForm    = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
)

// CompileRule reads the rule off an RPC's descriptor. The error says what is
// missing or wrong in the option.
func CompileRule(m protoreflect.MethodDescriptor) (*Rule, error) {
	option, _ := proto.GetExtension(m.Options(), optionsv1.E_Authorization).(*optionsv1.Authorization)
	if !proto.HasExtension(m.Options(), optionsv1.E_Authorization) || option == nil {
		return nil, errors.New("has no authorization option")
	}
	r := &Rule{
		Method:   "/" + string(m.Parent().FullName()) + "/" + string(m.Name()),
		Services: option.GetServices(), Mutates: option.GetMutates(), Permission: option.GetPermission(),
	}
	if err := r.readAccess(option); err != nil {
		return nil, err
	}
	for _, s := range r.Services {
		if !serviceForm.MatchString(s) {
			return nil, fmt.Errorf("lists %q, which is no service's name", s)
		}
	}
	if err := r.readResource(option, m.Input()); err != nil {
		return nil, err
	}
	if err := r.readVariation(option, m); err != nil {
		return nil, err
	}
	return r, r.readStepUp(m)
}

func (r *Rule) readStepUp(m protoreflect.MethodDescriptor) error {
	option, _ := proto.GetExtension(m.Options(), optionsv1.E_StepUp).(*optionsv1.StepUp)
	if !proto.HasExtension(m.Options(), optionsv1.E_StepUp) {
		return nil
	}
	r.StepUp = time.Duration(option.GetMaxAgeSeconds()) * time.Second
	if r.StepUp <= 0 || r.Access == Public || r.Access == Internal {
		return errors.New("asks for a step up without an age, or of callers who are no persons")
	}
	return nil
}

func (r *Rule) readAccess(option *optionsv1.Authorization) error {
	// A false bool sets the oneof without saying anything, and must not pass
	// for a rule.
	switch rule := option.GetRule().(type) {
	case *optionsv1.Authorization_Permission:
		r.Access = ByPermission
		if !permissionForm.MatchString(rule.Permission) {
			return fmt.Errorf("has the permission %q; write service.resources.verb", rule.Permission)
		}
		return nil
	case *optionsv1.Authorization_Public:
		r.Access = Public
		if rule.Public && len(r.Services) == 0 {
			return nil
		}
	case *optionsv1.Authorization_Authenticated:
		r.Access = Authenticated
		if rule.Authenticated {
			return nil
		}
	case *optionsv1.Authorization_Internal:
		r.Access = Internal
		if rule.Internal && len(r.Services) > 0 {
			return nil
		}
		return errors.New("is internal but lists no service that may call it")
	}
	return errors.New("needs exactly one rule: permission, public, authenticated or internal; public lists no services")
}

func (r *Rule) readResource(option *optionsv1.Authorization, input protoreflect.MessageDescriptor) error {
	field, fixed := option.GetResource(), option.GetResourceName()
	switch {
	case r.Access != ByPermission:
		if field != "" || fixed != "" {
			return errors.New("names a resource but needs no permission on it")
		}
		return nil
	case (field == "") == (fixed == ""):
		return errors.New("needs either the field that names the resource or a fixed name")
	case fixed != "" && fixed != Installation:
		return fmt.Errorf("has the fixed resource %q; only %q belongs to no organisation", fixed, Installation)
	case fixed != "":
		r.fixed = fixed
		return nil
	}
	r.field = field
	message := input
	for name := range strings.SplitSeq(field, ".") {
		if message == nil {
			return fmt.Errorf("has the resource path %q, which goes on past a string", field)
		}
		fd := message.Fields().ByName(protoreflect.Name(name))
		if fd == nil || fd.IsMap() {
			return fmt.Errorf("has the resource path %q, but %s has no field %q to follow", field, message.FullName(), name)
		}
		r.path = append(r.path, fd)
		message = fd.Message()
	}
	if last := r.path[len(r.path)-1]; last.Kind() != protoreflect.StringKind {
		return fmt.Errorf("has the resource path %q, which is no string", field)
	}
	return nil
}

func (r *Rule) readVariation(option *optionsv1.Authorization, m protoreflect.MethodDescriptor) error {
	name := option.GetVariesBy()
	if name == "" {
		return nil
	}
	fd := (&permissionv1.Attributes{}).ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	if fd == nil || fd.Kind() != protoreflect.StringKind {
		return fmt.Errorf("varies by %q, which is no text among the attributes", name)
	}
	if r.Access != ByPermission || m.IsStreamingClient() {
		return errors.New("varies, which only an RPC can that needs a permission and takes one request")
	}
	r.VariesBy, r.varies = name, fd
	return nil
}

// Rules are the rules of all RPCs of a set of proto files. It is read-only.
type Rules struct {
	byMethod map[string]*Rule
	broken   map[string]error
}

// LoadRules compiles the rules of every service in files (nil is all protos
// linked into the program). It does not fail: a method without a valid rule
// has none, which denies it, and Rules.Err says why.
func LoadRules(files *protoregistry.Files) *Rules {
	r := &Rules{byMethod: make(map[string]*Rule), broken: make(map[string]error)}
	for m := range Methods(files) {
		full := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
		rule, err := CompileRule(m)
		switch {
		case standard(full):
			r.byMethod[full] = &Rule{Method: full, Access: Public}
		case err != nil:
			r.broken[full] = fmt.Errorf("rpc %s %w", full, err)
		default:
			r.byMethod[full] = rule
		}
	}
	return r
}

// standard reports whether the method belongs to gRPC's own health and
// reflection services, whose protos cannot carry our option. Whoever registers
// them means them to be open.
func standard(method string) bool {
	services := []string{"/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"}
	return slices.ContainsFunc(services, func(s string) bool { return strings.HasPrefix(method, s) })
}

// Lookup returns the rule of a full method name, or nil when it has none and
// must be denied.
func (r *Rules) Lookup(method string) *Rule { return r.byMethod[method] }

// Err returns why the method has no rule, or nil when it has one.
func (r *Rules) Err(method string) error {
	if r.byMethod[method] != nil {
		return nil
	}
	if err := r.broken[method]; err != nil {
		return err
	}
	return fmt.Errorf("rpc %s is not in a proto linked into this program", method)
}
