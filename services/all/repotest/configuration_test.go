package repotest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/services/all"
)

var update = flag.Bool("update", false, "rewrite CONFIGURATION.md")

const configurationHead = `# Configuration

Every key of every service, written from the code by
` + "`go test ./services/all/repotest -run Configuration -update`" + `. A value comes from the default, then the file
(` + "`--config`, or `GUILDHALL_CONFIG`" + `), then the environment, then flags (` + "`--grpc.address=…`" + `: the key, without
` + "`process.`" + `); the last one wins. An unknown key is an error in each of them.

` + "`guildhall config default`" + ` prints a file to start from, ` + "`config check`" + ` reports all faults of one, and
` + "`config print`" + ` shows what is in effect, with secrets masked.

Each service's section also takes ` + "`store`, `redis.*` and `seal.keyset_file`" + `, in place of the process's own.
`

// TestConfiguration_isDocumented keeps CONFIGURATION.md as the code is, and
// finds keys of a service that its README does not explain.
func TestConfiguration_isDocumented(t *testing.T) {
	dir := root(t)
	text := configurationHead
	for _, section := range sections() {
		keys, err := conf.Keys(section)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			continue
		}
		text += fmt.Sprintf("\n## %s\n\n| key | environment | default | what |\n|---|---|---|---|\n", section.Name)
		for _, k := range keys {
			text += fmt.Sprintf("| `%s` | `%s` | %s | %s (%s) |\n", k.Path, k.Env, code(k.Default), k.Doc, k.Type)
		}
		if section.Name != processSection {
			inReadme(t, dir, section.Name, keys)
		}
	}
	path := filepath.Join(dir, "CONFIGURATION.md")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != text {
		t.Errorf("CONFIGURATION.md is not what the code says (%v): run go test ./services/all/repotest -run Configuration -update", err)
	}
}

const processSection = "process"

func sections() []conf.Section {
	out := []conf.Section{{Name: processSection, Values: []any{conf.DefaultProcess()}}}
	for _, b := range all.Builders() {
		out = append(out, conf.Section{Name: b.Name, Values: []any{b.Config}})
	}
	return out
}

func code(value string) string {
	if value == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(value, "|", "\\|") + "`"
}

// inReadme reports the keys of a service that its README does not name.
func inReadme(t *testing.T, dir, service string, keys []conf.Key) {
	t.Helper()
	folder := "services/" + service
	if service == "gateway" {
		folder = service
	}
	readme, err := os.ReadFile(filepath.Join(dir, folder, "README.md"))
	if err != nil {
		t.Error(err)
		return
	}
	for _, k := range keys {
		if _, own, _ := strings.Cut(k.Path, "."); !strings.Contains(string(readme), "`"+own+"`") && !strings.Contains(string(readme), "`"+k.Path+"`") {
			t.Errorf("%s/README.md does not explain the key %s", folder, k.Path)
		}
	}
}

// TestCompose_namesRealKeys finds settings in docker-compose.yml that no
// configuration has: a process would refuse to start with them.
func TestCompose_namesRealKeys(t *testing.T) {
	keys, err := conf.Keys(sections()...)
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, k := range keys {
		known = append(known, k.Env)
	}
	text, err := os.ReadFile(filepath.Join(root(t), "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^\s+(GUILDHALL_[A-Z_]+):`).FindAllStringSubmatch(string(text), -1)
	if len(named) == 0 {
		t.Error("docker-compose.yml sets nothing")
	}
	for _, m := range named {
		isKey := func(env string) bool {
			entries, isMap := strings.CutSuffix(env, "*")
			return env == m[1] || isMap && strings.HasPrefix(m[1], entries)
		}
		if !slices.ContainsFunc(known, isKey) {
			t.Errorf("docker-compose.yml sets %s, which is no key", m[1])
		}
	}
}
