package role

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

var update = flag.Bool("update", false, "write the golden file of levels anew")

// The whole derivation, for a reviewer: who adds an RPC sees here what level
// it came to. Write the file anew with: go test -run golden -update
func TestLevelOf_golden(t *testing.T) {
	var b strings.Builder
	collection := ""
	for _, p := range authz.Catalogue() {
		if now := p.Service + "." + p.Resource; now != collection {
			collection = now
			fmt.Fprintf(&b, "%s\n", collection)
		}
		fmt.Fprintf(&b, "  %-6s %s\n", strings.TrimPrefix(LevelOf(p).String(), "LEVEL_"), p.Verb)
	}
	const file = "testdata/levels.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("levels have changed; if that is right, run go test -run golden -update (-want +got):\n%s", diff)
	}
}

func TestLevel_eachHasThoseBeforeIt(t *testing.T) {
	c := NewCatalogue(authz.Catalogue())
	for _, p := range c.Permissions() {
		before := 0
		for _, level := range []permissionv1.Level{permissionv1.Level_LEVEL_READ, permissionv1.Level_LEVEL_EDIT, permissionv1.Level_LEVEL_MANAGE} {
			names, known := c.level(p.Service+"."+p.Resource, level)
			if !known || len(names) < before {
				t.Errorf("%s at %s has %v", p.Name, level, names)
			}
			before = len(names)
		}
		if all := len(c.match(p.Service + "." + p.Resource + ".*")); before != all {
			t.Errorf("MANAGE of the collection of %s has %d permissions, want %d", p.Name, before, all)
		}
	}
	if _, known := c.level("groupchat.message", permissionv1.Level_LEVEL_READ); known {
		t.Error("a collection that is none is known")
	}
}

func TestLevelOf_collectionsOfPowerExist(t *testing.T) {
	c := NewCatalogue(authz.Catalogue())
	power := make(map[string]bool)
	for _, p := range c.Permissions() {
		if collection := p.Service + "." + p.Resource; decidesPower(collection) {
			power[collection] = true
		}
	}
	if len(power) != 17 {
		t.Errorf("of the collections that decide power there are %v", power)
	}
}

func TestCollections_ofTheSuiteAreReserved(t *testing.T) {
	c := NewCatalogue(authz.Catalogue())
	for _, word := range []string{"groups", "messages", "staff", "customers", "teams", "complaints", "roles", "grants", "allStaff", "organizations"} {
		if !c.collections()[word] {
			t.Errorf("%s can be declared", word)
		}
	}
	if c.collections()["records"] || c.collections()["*"] || c.collections()[""] {
		t.Error("words are reserved that need not be")
	}
}
