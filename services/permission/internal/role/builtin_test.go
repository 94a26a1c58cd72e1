package role

import (
	"testing"

	"guildhall.dev/pkg/authz"
)

// The protos of all services are linked by role_test.go.

func TestBuiltIns_everyPatternMeansSomething(t *testing.T) {
	c := NewCatalogue(authz.Catalogue())
	if len(c.Permissions()) < 80 {
		t.Fatalf("the catalogue has %d permissions; are all protos linked?", len(c.Permissions()))
	}
	for _, b := range builtIns() {
		for _, pattern := range append(b.allow, b.except...) {
			if len(c.match(pattern)) == 0 {
				t.Errorf("%s: no permission matches %q", b.name, pattern)
			}
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    int
	}{
		{"identity.teams.get", 1}, {"identity.teams.*", 5}, {"identity.teams", 0}, {"*.auditEntries.verify", 4}, {"identity.team.*", 0},
	} {
		if got := len(NewCatalogue(authz.Catalogue()).match(c.pattern)); got != c.want {
			t.Errorf("%q matches %d, want %d", c.pattern, got, c.want)
		}
	}
}
