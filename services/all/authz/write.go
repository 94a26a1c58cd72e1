package authz

import (
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// write returns a policy as a file. The same policy is always the same text,
// with a line for each fact, so that a change is a small difference.
func write(home string, p *permissionv1.Policy) ([]byte, error) {
	d := document{APIVersion: apiVersion, Policy: p.GetPolicyId()}
	for _, t := range p.GetResourceTypes() {
		out := resourceType{ID: last(t.GetName()), Collection: t.GetCollection(), DisplayName: t.GetDisplayName()}
		for _, a := range t.GetActions() {
			out.Actions = append(out.Actions, action{ID: a.GetId(), DisplayName: a.GetDisplayName(), Level: levelText(a.GetLevel())})
		}
		d.ResourceTypes = append(d.ResourceTypes, out)
	}
	for _, r := range p.GetRoles() {
		out := role{ID: last(r.GetName()), DisplayName: r.GetDisplayName(), Description: r.GetDescription(), Permissions: r.GetPermissions()}
		for _, l := range r.GetLevels() {
			out.Levels = append(out.Levels, level{l.GetCollection(), levelText(l.GetLevel())})
		}
		for _, name := range r.GetIncludedRoles() {
			out.IncludedRoles = append(out.IncludedRoles, shortRole(home, name))
		}
		d.Roles = append(d.Roles, out)
	}
	for _, g := range p.GetGrants() {
		d.Grants = append(d.Grants, grantText(home, g))
	}
	for _, x := range p.GetProperties() {
		d.Properties = append(d.Properties, properties{Entity: shorten(home, x.GetEntity()), Values: x.GetValues().AsMap()})
	}
	text, err := yaml.MarshalWithOptions(d, yaml.Indent(2), yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, fmt.Errorf("writing the policy: %w", err)
	}
	return text, nil
}

func grantText(home string, g *permissionv1.Grant) grant {
	out := grant{
		ID: last(g.GetName()), Subject: shorten(home, g.GetSubject()), Role: shortRole(home, g.GetRole()),
		Resource: shorten(home, g.GetResource()), Reason: g.GetReason(),
	}
	if g.GetEffect() == permissionv1.Effect_EFFECT_DENY {
		out.Effect = "deny"
	}
	if c := g.GetCondition(); c != nil {
		out.Condition = &condition{Expression: c.GetExpression(), Title: c.GetTitle()}
	}
	if g.GetExpireTime() != nil {
		out.ExpireTime = g.GetExpireTime().AsTime().Format(time.RFC3339)
	}
	return out
}

func levelText(l permissionv1.Level) string {
	return strings.ToLower(strings.TrimPrefix(l.String(), "LEVEL_"))
}

func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
