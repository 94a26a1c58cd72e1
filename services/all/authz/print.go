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
		said := "it is allowed by " + a.GetResult().GetGrant()
		if !a.GetResult().GetAllowed() {
			said = "it is denied: " + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(a.GetResult().GetDenial().String(), "DENIAL_"), "_", " "))
		}
		fmt.Fprintf(out, "  FAIL  %s (%s): %s\n", title, f.place(a.GetField()), said)
	}
	fmt.Fprintf(out, "%d assertions, %d failed.\n", len(p.GetAssertions()), p.GetFailedAssertionCount())
}
