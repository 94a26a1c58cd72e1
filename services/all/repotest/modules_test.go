package repotest

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goMod is what `go mod edit -json` says of a go.mod.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Require []struct{ Path, Version string }
	Replace []struct{ Old, New struct{ Path string } }
}

func readGoMod(t *testing.T, dir string) goMod {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json", filepath.Join(root(t), dir, "go.mod"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s/go.mod: %v", dir, err)
	}
	var mod goMod
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatalf("%s/go.mod: %v", dir, err)
	}
	return mod
}

func TestModules_haveOneGoLine(t *testing.T) {
	want := readGoMod(t, "proto").Go
	for _, dir := range append(modules(), "tools") {
		if got := readGoMod(t, dir).Go; got != want {
			t.Errorf("%s/go.mod says go %s, proto says go %s", dir, got, want)
		}
	}
	if !strings.Contains(read(t, "go.work"), "\ngo "+want+"\n") && !strings.HasPrefix(read(t, "go.work"), "go "+want+"\n") {
		t.Errorf("go.work does not say go %s", want)
	}
}

// TestModules_replaceTheirSiblings keeps GOWORK=off builds, and with them the
// images, working: each sibling is required and found beside the module.
func TestModules_replaceTheirSiblings(t *testing.T) {
	for _, dir := range modules() {
		mod := readGoMod(t, dir)
		if mod.Module.Path != prefix+dir {
			t.Errorf("%s/go.mod is module %s", dir, mod.Module.Path)
		}
		replaced := map[string]string{}
		for _, r := range mod.Replace {
			replaced[r.Old.Path] = r.New.Path
		}
		for _, r := range mod.Require {
			sibling, ok := strings.CutPrefix(r.Path, prefix)
			if !ok {
				continue
			}
			want, err := filepath.Rel(dir, sibling)
			if err != nil {
				t.Fatal(err)
			}
			if got := replaced[r.Path]; got != filepath.ToSlash(want) {
				t.Errorf("%s/go.mod replaces %s by %q, want %s", dir, r.Path, got, want)
			}
			delete(replaced, r.Path)
		}
		for path, target := range replaced {
			t.Errorf("%s/go.mod replaces %s by %s without requiring it", dir, path, target)
		}
	}
}

// TestModules_agreeWithTheWorkspace finds a module that was added to the tree
// but not to go.work, or the reverse.
func TestModules_agreeWithTheWorkspace(t *testing.T) {
	work := read(t, "go.work")
	found := files(t, func(path string) bool { return strings.HasSuffix(path, "/go.mod") })
	for _, path := range found {
		dir := strings.TrimSuffix(path, "/go.mod")
		listed := strings.Contains(work, "\t./"+dir+"\n")
		if tool := under("tools")(dir); listed == tool {
			t.Errorf("%s: in go.work is %v, a tool is %v: exactly tools stay outside", dir, listed, tool)
		}
	}
	if want := len(modules()) + 2; len(found) != want {
		t.Errorf("the tree has %d modules, the tests know %d: %v", len(found), want, found)
	}
}

// TestTools_areTheVersionsWeShip keeps generated code and its runtime together,
// and the imported protos equal to the Go packages that services link.
func TestTools_areTheVersionsWeShip(t *testing.T) {
	shipped := map[string]string{}
	for _, r := range readGoMod(t, "proto").Require {
		shipped[r.Path] = r.Version
	}
	matched := 0
	for _, r := range readGoMod(t, "tools").Require {
		version, ok := shipped[r.Path]
		if !ok || strings.HasPrefix(r.Path, "golang.org/x/") {
			continue
		}
		matched++
		if r.Version != version {
			t.Errorf("tools/go.mod has %s %s, proto/go.mod has %s", r.Path, r.Version, version)
		}
	}
	if matched < 4 {
		t.Errorf("only %d modules are in both tools/go.mod and proto/go.mod", matched)
	}
}
