package repotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// prefix begins the import path of every package of the repository.
const prefix = "guildhall.dev/"

// services are the modules under services/ that are services.
var services = []string{"identity", "permission", "groupchat", "feedback"}

// modules returns the folders of all modules of the workspace.
func modules() []string {
	dirs := []string{"proto", "pkg", "gateway", "services/all"}
	for _, service := range services {
		dirs = append(dirs, "services/"+service)
	}
	return dirs
}

// root returns the folder of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil {
		t.Fatalf("the tests do not run inside the repository: %v", err)
	}
	return dir
}

// read returns a file's text by its path from the root.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notOurs are the top-level folders that are never committed.
var notOurs = []string{".git", ".bin", ".deps", "data", "secrets"}

// files returns the slash-separated paths from the root of all files that match
// keep, in lexical order.
func files(t *testing.T, keep func(path string) bool) []string {
	t.Helper()
	dir := root(t)
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (slices.Contains(notOurs, rel) || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.Type().IsRegular() && keep(rel):
			found = append(found, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no file matches: the test looks in the wrong place")
	}
	return found
}

// goPackage is what `go list -json` says of a package.
type goPackage struct {
	Dir, ImportPath, Doc               string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

// packages returns all packages of the workspace but the generated ones. Those
// that do not compile are there too: saying so is the compiler's task.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports", "work")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.ImportPath, prefix+"proto/gen/") {
			all = append(all, p)
		}
	}
	return all
}
