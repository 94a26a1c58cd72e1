package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// file is a policy file that was read: what it says, and where.
type file struct {
	name   string
	tree   *ast.File
	home   string // the organisation
	policy *permissionv1.Policy
}

// parse reads a policy file for an organisation. The error names each fault
// with its line.
func parse(name, home string, text []byte) (*file, error) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlFault(name, err)
	}
	f := &file{name: name, tree: tree, home: home}
	var d document
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&d); err != nil {
		return nil, yamlFault(name, err)
	}
	if d.APIVersion != apiVersion {
		return nil, fmt.Errorf("%s: apiVersion is %q; this program reads %s", f.place("apiVersion"), d.APIVersion, apiVersion)
	}
	var faults []error
	f.policy = f.proto(&d, func(field, message string) {
		faults = append(faults, fmt.Errorf("%s: %s: %s", f.place(field), field, message))
	})
	return f, errors.Join(faults...)
}

func yamlFault(name string, err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", name, e.GetToken().Position.Line, e.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// place returns where a field stands, as "policy.yaml:12". A field that is not
// in the file stands where the thing does that lacks it.
func (f *file) place(field string) string {
	path := camel(strings.TrimPrefix(field, "policy."))
	for path != "" {
		if p, err := yaml.PathString("$." + path); err == nil {
			if n, err := p.FilterFile(f.tree); err == nil && n != nil && n.GetToken() != nil {
				return fmt.Sprintf("%s:%d", f.name, first(n).GetToken().Position.Line)
			}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return f.name
}

// first returns the node that a mapping begins with: the token of a mapping is
// the colon behind its first key.
func first(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key
		}
	case *ast.MappingValueNode:
		return n.Key
	}
	return n
}

// explain adds the places to the faults that the server found.
func (f *file) explain(err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || len(p.Violations) == 0 {
		return err
	}
	lines := []error{err}
	for _, v := range p.Violations {
		lines = append(lines, fmt.Errorf("%s: %s: %s [%s]", f.place(v.Field), strings.TrimPrefix(v.Field, "policy."), v.Description, v.Reason))
	}
	return errors.Join(lines...)
}

// proto returns what the document says in the API's terms. What cannot be said
// there goes to fault.
func (f *file) proto(d *document, fault func(field, message string)) *permissionv1.Policy {
	p := &permissionv1.Policy{PolicyId: d.Policy}
	for i, t := range d.ResourceTypes {
		p.ResourceTypes = append(p.ResourceTypes, f.resourceType(t, fmt.Sprintf("resourceTypes[%d]", i), fault))
	}
	for i, r := range d.Roles {
		p.Roles = append(p.Roles, f.role(r, fmt.Sprintf("roles[%d]", i), fault))
	}
	for i, g := range d.Grants {
		p.Grants = append(p.Grants, f.grant(g, fmt.Sprintf("grants[%d]", i), fault))
	}
	for i, x := range d.Properties {
		values, err := structOf(x.Values)
		if err != nil {
			fault(fmt.Sprintf("properties[%d].values", i), "is not what JSON can say")
		}
		p.Properties = append(p.Properties, &permissionv1.Properties{Entity: lengthen(f.home, x.Entity), Values: values})
	}
	for i, a := range d.Assertions {
		p.Assertions = append(p.Assertions, f.assertion(a, fmt.Sprintf("assertions[%d]", i), fault))
	}
	return p
}

func (f *file) resourceType(t resourceType, field string, fault func(field, message string)) *permissionv1.ResourceType {
	out := &permissionv1.ResourceType{Name: f.home + "/resourceTypes/" + t.ID, Collection: t.Collection, DisplayName: t.DisplayName}
	for i, a := range t.Actions {
		out.Actions = append(out.Actions, &permissionv1.ResourceAction{
			Id: a.ID, DisplayName: a.DisplayName, Level: levelOf(a.Level, fmt.Sprintf("%s.actions[%d].level", field, i), fault),
		})
	}
	return out
}

func levelOf(text, field string, fault func(field, message string)) permissionv1.Level {
	n, ok := permissionv1.Level_value["LEVEL_"+strings.ToUpper(text)]
	if !ok || n == 0 || text != strings.ToLower(text) {
		fault(field, "want read, edit or manage")
	}
	return permissionv1.Level(n)
}

func (f *file) role(r role, field string, fault func(field, message string)) *permissionv1.Role {
	out := &permissionv1.Role{
		Name: longRole(f.home, r.ID), DisplayName: r.DisplayName, Description: r.Description, Permissions: r.Permissions,
	}
	for i, l := range r.Levels {
		out.Levels = append(out.Levels, &permissionv1.CollectionLevel{
			Collection: l.Collection, Level: levelOf(l.Level, fmt.Sprintf("%s.levels[%d].level", field, i), fault),
		})
	}
	for _, name := range r.IncludedRoles {
		out.IncludedRoles = append(out.IncludedRoles, longRole(f.home, name))
	}
	return out
}

func (f *file) grant(g grant, field string, fault func(field, message string)) *permissionv1.Grant {
	out := &permissionv1.Grant{
		Subject: lengthen(f.home, g.Subject), Role: longRole(f.home, g.Role), Resource: lengthen(f.home, g.Resource),
		Reason: g.Reason, ExpireTime: timeOf(g.ExpireTime, field+".expireTime", fault),
	}
	if g.ID != "" {
		out.Name = f.home + "/grants/" + g.ID
	}
	switch g.Effect {
	case "", "allow":
	case "deny":
		out.Effect = permissionv1.Effect_EFFECT_DENY
	default:
		fault(field+".effect", "want allow or deny")
	}
	if g.Condition != nil {
		out.Condition = &permissionv1.Condition{Expression: g.Condition.Expression, Title: g.Condition.Title}
	}
	return out
}

func timeOf(text, field string, fault func(field, message string)) *timestamppb.Timestamp {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		fault(field, `want a time as in "2026-12-31T16:00:00Z"`)
		return nil
	}
	return timestamppb.New(t)
}

func structOf(values map[string]any) (*structpb.Struct, error) {
	out := &structpb.Struct{}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	return out, out.UnmarshalJSON(text)
}
