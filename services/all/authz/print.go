package authz

import (
	"fmt"
	"io"
	"strings"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

var marks = map[permissionv1.PolicyChange_Action]string{
	permissionv1.PolicyChange_ACTION_CREATE: "+", permissionv1.PolicyChange_ACTION_UPDATE: "~",
	permissionv1.PolicyChange_ACTION_DELETE: "-", permissionv1.PolicyChange_ACTION_ADOPT: "=",
}

// printPlan writes what is to be done, a line for each thing and one for each
// field that differs.
func printPlan(out io.Writer, p *permissionv1.PolicyPlan) {
	for _, c := range p.GetChanges() {
		_, short, _ := strings.Cut(strings.TrimPrefix(c.GetName(), "organizations/"), "/")
		fmt.Fprintf(out, "  %s %s", marks[c.GetAction()], short)
		if g := c.GetGrant(); g != nil {
			fmt.Fprintf(out, ": %s", sentence(g))
		}
		fmt.Fprintln(out)
		for _, f := range c.GetFields() {
			fmt.Fprintf(out, "      %s:", camel(f.GetField()))
			for _, text := range f.GetRemoved() {
				fmt.Fprintf(out, " -%q", text)
			}
			for _, text := range f.GetAdded() {
				fmt.Fprintf(out, " +%q", text)
			}
			fmt.Fprintln(out)
		}
	}
	if len(p.GetChanges()) == 0 {
		fmt.Fprintln(out, "Nothing to do: all is as the policy says.")
	} else {
		fmt.Fprintf(out, "Plan: %d to create, %d to update, %d to delete, %d to adopt.\n",
			p.GetCreateCount(), p.GetUpdateCount(), p.GetDeleteCount(), p.GetAdoptCount())
	}
	if n := p.GetFailedAssertionCount(); n > 0 {
		fmt.Fprintf(out, "%d of %d assertions would fail: see guildhall authz test.\n", n, len(p.GetAssertions()))
	}
}

func sentence(g *permissionv1.Grant) string {
	verb := "holds"
	if g.GetEffect() == permissionv1.Effect_EFFECT_DENY {
		verb = "is denied"
	}
	home := organizationOf(g.GetName())
	text := fmt.Sprintf("%s %s %s on %s", shorten(home, g.GetSubject()), verb, shortRole(home, g.GetRole()), shorten(home, g.GetResource()))
	if e := g.GetCondition().GetExpression(); e != "" {
		text += " when " + e
	}
	return text
}

// printAssertions writes how each came out, with its place.
func printAssertions(out io.Writer, f *file, p *permissionv1.PolicyPlan) {
	for _, a := range p.GetAssertions() {
		title := a.GetTitle()
		if title == "" {
			title = "an assertion"
		}
		if a.GetPassed() {
			fmt.Fprintf(out, "  ok    %s\n", title)
			continue
		}
		fmt.Fprintf(out, "  FAIL  %s (%s): %s\n", title, f.place(a.GetField()), f.said(a))
	}
	fmt.Fprintf(out, "%d assertions, %d failed.\n", len(p.GetAssertions()), p.GetFailedAssertionCount())
}

// said is what came instead of what was asserted.
func (f *file) said(a *permissionv1.PolicyAssertionResult) string {
	r := a.GetResult()
	switch {
	case r.GetAllowed():
		return "it is allowed by " + r.GetGrant()
	case r != nil:
		return "it is denied: " + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(r.GetDenial().String(), "DENIAL_"), "_", " "))
	}
	var parts []string
	add := func(what string, names []string) {
		for _, name := range names {
			parts = append(parts, what+shorten(f.home, name))
		}
	}
	add("-", a.GetMissing())
	add("+", a.GetUnexpected())
	if a.GetTruncated() {
		parts = append(parts, "and more than 1000 in all")
	}
	return "the list differs: " + strings.Join(parts, " ")
}
