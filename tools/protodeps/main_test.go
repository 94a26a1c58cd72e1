package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_writesEveryImport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "proto")
	stale := filepath.Join(out, "stale.proto")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("a file that no root needs is still there: %v", err)
	}
	err := filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, line := range strings.Split(string(text), "\n") {
			name, ok := strings.CutPrefix(line, `import "`)
			if !ok || strings.HasPrefix(name, builtin) {
				continue
			}
			name = strings.TrimSuffix(name, `";`)
			if _, err := os.Stat(filepath.Join(out, name)); err != nil {
				t.Errorf("%s imports %s, which is not written", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestClosure_namesTheRootThatIsNotLinked(t *testing.T) {
	_, err := closure([]string{"google/api/nothing.proto"})
	if err == nil || !strings.Contains(err.Error(), "google/api/nothing.proto") {
		t.Fatalf("error is %v, want one that names the file", err)
	}
}
