package authz

import "strings"

const organizations = "organizations/"

// lengthen returns the full name of what a file calls by a short one.
func lengthen(home, name string) string {
	switch {
	case name == "" || name == "installation" || strings.HasPrefix(name, organizations):
		return name
	case name == ".":
		return home
	}
	if holders, role, ok := strings.Cut(name, "#"); ok {
		return home + "/" + holders + "#" + longRole(home, role)
	}
	return home + "/" + name
}

// shorten is the inverse of lengthen.
func shorten(home, name string) string {
	if name == home {
		return "."
	}
	rest, ok := strings.CutPrefix(name, home+"/")
	if !ok {
		return name
	}
	if holders, role, ok := strings.Cut(rest, "#"); ok {
		return holders + "#" + shortRole(home, role)
	}
	return rest
}

func longRole(home, name string) string {
	if name == "" || strings.Contains(name, "/") {
		return name
	}
	return home + "/roles/" + name
}

func shortRole(home, name string) string { return strings.TrimPrefix(name, home+"/roles/") }

// organizationOf returns the organisation of a full name.
func organizationOf(name string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(name, organizations), "/")
	return organizations + id
}

// camel turns a field's name in the proto into that in a file.
func camel(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		if r == '_' {
			upper = true
			continue
		}
		if upper && 'a' <= r && r <= 'z' {
			r += 'A' - 'a'
		}
		upper = false
		b.WriteRune(r)
	}
	return b.String()
}
