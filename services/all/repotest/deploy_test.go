package repotest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// compose is what the tests look at of docker-compose.yml.
type compose struct {
	Services map[string]struct {
		Image       string
		Build       struct{ Args map[string]string }
		Environment map[string]string
		Secrets     []string
		Volumes     []string
		Networks    []string
		DependsOn   map[string]any `yaml:"depends_on"`
		Healthcheck struct{ Test []string }
	}
	Networks, Volumes map[string]any
	Secrets           map[string]struct{ File string }
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &c); err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	return c
}

func TestCompose_refersToWhatItDeclares(t *testing.T) {
	c := readCompose(t)
	stages := dockerStages(t)
	for name, s := range c.Services {
		if service, built := s.Build.Args["SERVICE"]; built == (s.Image != "") {
			t.Errorf("%s: has exactly one of an image and a build", name)
		} else if built && stages[service] == nil {
			t.Errorf("%s: builds SERVICE=%s, which is no stage of the Dockerfile", name, service)
		}
		if len(s.Healthcheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		declared(t, name, "secret", s.Secrets, slices.Collect(maps.Keys(c.Secrets)))
		declared(t, name, "network", s.Networks, slices.Collect(maps.Keys(c.Networks)))
		var volumes []string
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			volumes = append(volumes, source)
		}
		declared(t, name, "volume", volumes, slices.Collect(maps.Keys(c.Volumes)))
		for key, value := range s.Environment {
			file, isSecret := strings.CutPrefix(value, "/run/secrets/")
			if isSecret && !slices.Contains(s.Secrets, file) {
				t.Errorf("%s: %s names the secret %s, which it is not given", name, key, file)
			}
		}
	}
	for _, service := range append([]string{"gateway"}, services...) {
		if _, ok := c.Services[service]; !ok {
			t.Errorf("%s is not in docker-compose.yml", service)
		}
	}
}

func declared(t *testing.T, service, kind string, used, known []string) {
	t.Helper()
	for _, name := range used {
		if !slices.Contains(known, name) {
			t.Errorf("%s uses the %s %s, which is not declared", service, kind, name)
		}
	}
}

// TestCompose_secretsAreMade finds a secret file that `make secrets` does not
// write, and a secret that is written into the compose file itself.
func TestCompose_secretsAreMade(t *testing.T) {
	script := read(t, "tools/secrets.sh")
	c := readCompose(t)
	for name, secret := range c.Secrets {
		file, ok := strings.CutPrefix(secret.File, "secrets/")
		if !ok || !strings.Contains(script, "keep "+file) {
			t.Errorf("secret %s: %s is not written by tools/secrets.sh", name, secret.File)
		}
	}
	inURL := regexp.MustCompile(`://[^/@\s]*:[^/@\s]+@`)
	for name, s := range c.Services {
		for key, value := range s.Environment {
			if inURL.MatchString(value) {
				t.Errorf("%s: %s holds a password", name, key)
			}
		}
	}
}

var (
	stageLine = regexp.MustCompile(`(?m)^FROM (\S+) AS (\S+)$`)
	copyLine  = regexp.MustCompile(`(?m)^COPY ([^-\s]\S*) \S+$`)
)

// dockerStages returns the folders that each stage of the Dockerfile copies, its
// parents' included. The stage of SERVICE=x is x.
func dockerStages(t *testing.T) map[string][]string {
	t.Helper()
	text := read(t, "Dockerfile")
	stages := map[string][]string{}
	starts := stageLine.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		parent, name := text[at[2]:at[3]], text[at[4]:at[5]]
		stages[name] = slices.Clone(stages[parent])
		for _, copied := range copyLine.FindAllStringSubmatch(text[at[1]:end], -1) {
			stages[name] = append(stages[name], copied[1])
		}
	}
	return stages
}

// TestDockerfile_copiesWhatEachModuleReplaces keeps images building: a module's
// stage has itself and every sibling that its go.mod names, and no other.
func TestDockerfile_copiesWhatEachModuleReplaces(t *testing.T) {
	stages := dockerStages(t)
	for _, dir := range modules() {
		if dir == "proto" || dir == "pkg" {
			continue
		}
		stage := stages[filepath.Base(dir)]
		if stage == nil {
			t.Errorf("the Dockerfile has no stage for %s", dir)
			continue
		}
		needed := []string{dir}
		for _, r := range readGoMod(t, dir).Require {
			if sibling, ok := strings.CutPrefix(r.Path, prefix); ok {
				needed = append(needed, sibling)
			}
		}
		for _, folder := range needed {
			if !slices.ContainsFunc(stage, func(copied string) bool { return under(copied)(folder) }) {
				t.Errorf("SERVICE=%s does not copy %s", filepath.Base(dir), folder)
			}
		}
		for _, copied := range stage {
			if !slices.ContainsFunc(needed, under(copied)) {
				t.Errorf("SERVICE=%s copies %s, which it does not need", filepath.Base(dir), copied)
			}
			if _, err := os.Stat(filepath.Join(root(t), copied)); err != nil {
				t.Errorf("the Dockerfile copies %s: %v", copied, err)
			}
		}
	}
}

// TestModules_haveOneCommand holds what the Dockerfile builds: ./cmd/... of a
// service is one program.
func TestModules_haveOneCommand(t *testing.T) {
	for _, dir := range modules() {
		if dir == "proto" || dir == "pkg" {
			continue
		}
		name := filepath.Base(dir)
		if name == "all" {
			name = "guildhall"
		}
		found, err := filepath.Glob(filepath.Join(root(t), dir, "cmd", "*", "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || filepath.Base(filepath.Dir(found[0])) != name {
			t.Errorf("%s has the commands %v, want only cmd/%s", dir, found, name)
		}
	}
}
