package repotest

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// route returns the method and the path of an HTTP rule.
func route(rule *annotations.HttpRule) (method, path string) {
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, pattern.Post
	case *annotations.HttpRule_Put:
		return http.MethodPut, pattern.Put
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, pattern.Delete
	}
	return rule.GetCustom().GetKind(), rule.GetCustom().GetPath()
}

// variable matches a path variable: "{name=organizations/*}" or "{id}".
var variable = regexp.MustCompile(`\{[^}=]+(?:=([^}]+))?\}`)

// shape returns a path with its variables replaced by what they match.
func shape(path string) string {
	return variable.ReplaceAllStringFunc(path, func(v string) string {
		if matched := variable.FindStringSubmatch(v)[1]; matched != "" {
			return matched
		}
		return "*"
	})
}

// TestRoutes_belongToTheirService holds the gateway's promise: it has one mux
// per service, chosen by the first segments of the path.
func TestRoutes_belongToTheirService(t *testing.T) {
	owner := map[string]protoreflect.FullName{}
	methods(t, func(m protoreflect.MethodDescriptor) {
		rule := httpRule(m)
		if rule == nil {
			return
		}
		for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			method, path := route(r)
			service := strings.Split(string(m.ParentFile().Package()), ".")[1]
			if !strings.HasPrefix(path, "/"+service+"/v1/") {
				t.Errorf("%s: %s is not below /%s/v1/", m.FullName(), path, service)
			}
			key := method + " " + shape(path)
			if other, taken := owner[key]; taken {
				t.Errorf("%s and %s are both %s", m.FullName(), other, key)
			}
			owner[key] = m.FullName()
		}
	})
}

// TestRoutes_sayWhetherTheyChange keeps caches, audit and read-only mode right:
// a GET changes nothing, the verbs that change say so.
func TestRoutes_sayWhetherTheyChange(t *testing.T) {
	methods(t, func(m protoreflect.MethodDescriptor) {
		mutates := authorization(m).GetMutates()
		method, _ := route(httpRule(m))
		switch method {
		case http.MethodGet:
			if mutates {
				t.Errorf("%s mutates behind a GET", m.FullName())
			}
		case http.MethodPut, http.MethodPatch, http.MethodDelete:
			if !mutates {
				t.Errorf("%s is a %s: it mutates", m.FullName(), method)
			}
		}
	})
}

// secretName matches fields that hold a secret by their name. Page and
// consistency tokens give no access.
var secretName = regexp.MustCompile(`^(.*_)?(password|secret|access_token|refresh_token|one_time_code)$`)

func TestFields_markSecrets(t *testing.T) {
	var check func(message protoreflect.MessageDescriptor)
	check = func(message protoreflect.MessageDescriptor) {
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			marked := proto.GetExtension(field.Options(), optionsv1.E_Secret) == true
			if secretName.MatchString(string(field.Name())) && field.Kind() == protoreflect.StringKind && !marked {
				t.Errorf("%s is a secret by its name: mark it with (guildhall.options.v1.secret)", field.FullName())
			}
		}
		for i := range message.Messages().Len() {
			check(message.Messages().Get(i))
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Messages().Len() {
			if strings.HasPrefix(file.Path(), "guildhall/") {
				check(file.Messages().Get(i))
			}
		}
		return true
	})
}
