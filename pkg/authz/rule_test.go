package authz

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// testFile is a proto file with one service, whose one RPC has the option (as
// prototext; "none" for no option at all).
func testFile(t testing.TB, option string) *protoregistry.Files {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	err := prototext.Unmarshal([]byte(`
		name: "guildhall/authztest.proto" package: "guildhall.authztest.v1" syntax: "proto3"
		message_type { name: "Thing"
			field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "size" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL }
		}
		message_type { name: "Request"
			field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "names" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
			field { name: "thing" number: 3 type: TYPE_MESSAGE type_name: ".guildhall.authztest.v1.Thing" label: LABEL_OPTIONAL }
			field { name: "things" number: 4 type: TYPE_MESSAGE type_name: ".guildhall.authztest.v1.Thing" label: LABEL_REPEATED }
			field { name: "labels" number: 5 type: TYPE_MESSAGE type_name: ".guildhall.authztest.v1.Request.LabelsEntry" label: LABEL_REPEATED }
			nested_type { name: "LabelsEntry" options { map_entry: true }
				field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
				field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
			}
		}
		service { name: "ThingService"
			method { name: "Do" input_type: ".guildhall.authztest.v1.Request" output_type: ".guildhall.authztest.v1.Thing" }
		}`), file)
	if err != nil {
		t.Fatal(err)
	}
	if option != "none" {
		rule := &optionsv1.Authorization{}
		if err := prototext.Unmarshal([]byte(option), rule); err != nil {
			t.Fatal(err)
		}
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, optionsv1.E_Authorization, rule)
		file.Service[0].Method[0].Options = options
	}
	built, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	if err := files.RegisterFile(built); err != nil {
		t.Fatal(err)
	}
	return files
}

const testMethod = "/guildhall.authztest.v1.ThingService/Do"

func TestLoadRules_brokenOptionsHaveNoRule(t *testing.T) {
	for option, want := range map[string]string{
		"none":                               "has no authorization option",
		"":                                   "needs exactly one rule",
		"public: false":                      "needs exactly one rule",
		`public: true services: "groupchat"`: "public lists no services",
		"authenticated: false":               "needs exactly one rule",
		"internal: true":                     "lists no service",
		`internal: true services: "services/groupchat"`:                        "no service's name",
		`permission: "things.get" resource: "name"`:                            "service.resources.verb",
		`permission: "test.Things.get" resource: "name"`:                       "service.resources.verb",
		`permission: "test.things.*" resource: "name"`:                         "service.resources.verb",
		`permission: "test.things.get"`:                                        "either the field",
		`permission: "test.things.get" resource: "name" resource_name: "x"`:    "either the field",
		`permission: "test.things.get" resource_name: "organizations/acme"`:    "belongs to no organisation",
		`permission: "test.things.get" resource: "nome"`:                       `no field "nome"`,
		`permission: "test.things.get" resource: "thing.nome"`:                 `no field "nome"`,
		`permission: "test.things.get" resource: "name.name"`:                  "past a string",
		`permission: "test.things.get" resource: "thing"`:                      "no string",
		`permission: "test.things.get" resource: "thing.size"`:                 "no string",
		`permission: "test.things.get" resource: "labels"`:                     "to follow",
		`authenticated: true resource: "name"`:                                 "needs no permission",
		`internal: true services: "groupchat" resource_name: "installation"`:   "needs no permission",
		`permission: "test.things.get" resource: "name" services: "Groupchat"`: "no service's name",
		`permission: "test.things.get" resource: "name" varies_by: "colour"`:   "no text among the attributes",
		`permission: "test.things.get" resource: "name" varies_by: "subject"`:  "no text among the attributes",
		`authenticated: true varies_by: "message_type"`:                        "needs a permission",
	} {
		rules := LoadRules(testFile(t, option))
		if rules.Lookup(testMethod) != nil {
			t.Errorf("%s: has a rule", option)
		}
		if err := rules.Err(testMethod); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), testMethod) {
			t.Errorf("%s: got %v, want %q with the method's name", option, err, want)
		}
	}
	if err := LoadRules(testFile(t, "none")).Err("/other.Service/Do"); err == nil {
		t.Error("a method that is in no proto has a rule")
	}
}

func TestResources_readsEachShape(t *testing.T) {
	const a, b = "organizations/acme/things/a", "organizations/acme/things/b"
	for name, c := range map[string]struct {
		path, request string
		want          []string
	}{
		"field":             {"name", `name: "` + a + `"`, []string{a}},
		"nested":            {"thing.name", `thing { name: "` + a + `" }`, []string{a}},
		"repeated":          {"names", `names: "` + b + `" names: "` + a + `" names: "` + b + `"`, []string{a, b}},
		"repeated message":  {"things.name", `things { name: "` + b + `" } things { name: "` + a + `" }`, []string{a, b}},
		"organisation":      {"name", `name: "organizations/acme"`, []string{"organizations/acme"}},
		"wildcard":          {"name", `name: "organizations/acme/things/-"`, []string{"organizations/acme/things/-"}},
		"missing":           {"name", ``, nil},
		"missing message":   {"thing.name", ``, nil},
		"empty list":        {"names", ``, nil},
		"one of many":       {"names", `names: "` + a + `" names: ""`, nil},
		"no organisation":   {"name", `name: "things/a"`, nil},
		"installation":      {"name", `name: "installation"`, nil},
		"only a prefix":     {"name", `name: "organizations/"`, nil},
		"dots":              {"name", `name: "organizations/acme/../other/things/a"`, nil},
		"double slash":      {"name", `name: "organizations/acme//things/a"`, nil},
		"trailing slash":    {"name", `name: "organizations/acme/"`, nil},
		"leading slash":     {"name", `name: "/organizations/acme"`, nil},
		"escaped":           {"name", `name: "organizations/acme%2fother"`, nil},
		"control character": {"name", `name: "organizations/acme\n"`, nil},
		"too long":          {"name", `name: "organizations/` + strings.Repeat("a", maxName) + `"`, nil},
		"too deep":          {"name", `name: "organizations/a` + strings.Repeat("/a", maxSegments) + `"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rule, request := ruleAndRequest(t, c.path, c.request)
			got, err := rule.Resources(request)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.want != nil {
				return
			}
			e := errs.From(err)
			if e == nil || e.Kind != errs.Invalid || e.Reason != "RESOURCE_NAME_INVALID" || e.Violations[0].Field != c.path {
				t.Errorf("got %v, want Invalid on field %s", err, c.path)
			}
		})
	}
	rule, request := ruleAndRequest(t, "names", strings.Repeat(`names: "`+a+`" `, maxResources+1))
	if _, err := rule.Resources(request); errs.ReasonOf(err) != "TOO_MANY_RESOURCES" {
		t.Errorf("too many names: %v", err)
	}
}

func TestSilent_onlyWithoutAnyName(t *testing.T) {
	for request, want := range map[string]bool{
		``:                     true,
		`thing { size: 1 }`:    true,
		`thing { name: "bad"}`: false,
	} {
		rule, m := ruleAndRequest(t, "thing.name", request)
		if got := rule.Silent(m); got != want {
			t.Errorf("%q: got %v", request, got)
		}
	}
}

func ruleAndRequest(t testing.TB, path, text string) (*Rule, protoreflect.Message) {
	t.Helper()
	files := testFile(t, `permission: "test.things.get" resource: "`+path+`"`)
	rules := LoadRules(files)
	rule := rules.Lookup(testMethod)
	if rule == nil {
		t.Fatal(rules.Err(testMethod))
	}
	d, err := files.FindDescriptorByName("guildhall.authztest.v1.Request")
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(d.(protoreflect.MessageDescriptor))
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return rule, m
}

// FuzzWellFormed holds the resource name's parser to what the guard needs of
// it: what it takes belongs to exactly one tenant.
func FuzzWellFormed(f *testing.F) {
	for _, s := range []string{"organizations/acme", "organizations/acme/groups/g1", "organizations//x", "organizations/acme/../b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !wellFormed(name) {
			return
		}
		org := organizationOf(name)
		id := strings.TrimPrefix(org, organizations)
		if id == "" || strings.Contains(id, "/") || name != org && !strings.HasPrefix(name, org+"/") {
			t.Fatalf("%q has the organisation %q", name, org)
		}
		if kind, tenant, ok := authn.ParseName(name); ok && (kind == authn.System || tenant != org) {
			t.Fatalf("%q belongs to %q here and to %q in authn", name, org, tenant)
		}
	})
}

// TestCompileRule_stepUp: an age that is none, or callers who are no persons, are a
// mistake in the proto.
func TestCompileRule_stepUp(t *testing.T) {
	for name, c := range map[string]struct {
		option string
		age    int32
		want   time.Duration
		ok     bool
	}{
		"of callers": {`authenticated: true`, 300, 5 * time.Minute, true},
		"of nobody":  {`public: true`, 300, 0, false},
		"of sisters": {`internal: true services: "groupchat"`, 300, 0, false},
		"no age":     {`authenticated: true`, 0, 0, false},
	} {
		files := testFile(t, c.option)
		d, err := files.FindDescriptorByName("guildhall.authztest.v1.ThingService.Do")
		if err != nil {
			t.Fatal(err)
		}
		m := d.(protoreflect.MethodDescriptor)
		proto.SetExtension(m.Options(), optionsv1.E_StepUp, &optionsv1.StepUp{MaxAgeSeconds: c.age})
		r, err := CompileRule(m)
		if (err == nil) != c.ok || c.ok && r.StepUp != c.want {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}
