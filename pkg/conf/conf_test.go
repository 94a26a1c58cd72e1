package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
)

type limits struct {
	TTL  time.Duration `yaml:"ttl" min:"1s" max:"1h" doc:"How long."`
	Size Size          `yaml:"size" doc:"How much."`
}

type permission struct {
	Limits   limits            `yaml:"limits" doc:"Limits."`
	Mode     string            `yaml:"mode" enum:"fast,safe" doc:"How."`
	Names    []string          `yaml:"names" doc:"Who."`
	Password string            `yaml:"password" secret:"true" doc:"Secret."`
	Peers    map[string]string `yaml:"peers" doc:"Where."`
	Hooks    []hook            `yaml:"hooks" doc:"What else."`
	On       bool              `yaml:"on" doc:"Whether."`
	Count    int               `yaml:"count" doc:"How many."`
}

type hook struct {
	URL   string `yaml:"url" secret:"url" doc:"Address."`
	Tries int    `yaml:"tries" doc:"Tries."`
}

func (p *permission) Check(r *Report) {
	if p.Count > len(p.Names) {
		r.Fault("count", "must not exceed the number of names")
	}
}

func sections() (*Process, *permission, []Section) {
	process, own := DefaultProcess(), &permission{Mode: "safe", Limits: limits{TTL: time.Minute, Size: 4 * MiB}}
	return process, own, []Section{
		{Name: "process", Values: []any{process}},
		{Name: "permission", Values: []any{&Overrides{}, own}},
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "guildhall.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad_laterSourcesWin(t *testing.T) {
	process, own, s := sections()
	file := write(t, `
process:
  grpc: {address: "127.0.0.1:1"}
  http:
    address: 127.0.0.1:2
  admin:
    address: 127.0.0.1:3
permission:
  limits: {ttl: 5s, size: 64KiB}
  names: [ada, grace]
  peers:
    identity: dns:///identity:7700
  hooks:
    - url: https://a:b@example.org/x
      tries: 3
`)
	err := Load(s, Source{
		File: file,
		Env: []string{
			"GUILDHALL_HTTP_ADDRESS=127.0.0.1:22", "GUILDHALL_PROCESS_ADMIN_ADDRESS=127.0.0.1:33",
			"GUILDHALL_PERMISSION_NAMES=ada, grace,joan", "GUILDHALL_SERVICES_IDENTITY=identity:7700", "HOME=/",
		},
		Flags: []Setting{{"admin.address", "127.0.0.1:333"}, {"permission.count", "3"}, {"permission.peers.groupchat", "x:1"}, {"process.data", "/d"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{process.GRPC.Address, process.HTTP.Address, process.Admin.Address, process.Data, process.Services["identity"]}
	if diff := cmp.Diff([]string{"127.0.0.1:1", "127.0.0.1:22", "127.0.0.1:333", "/d", "identity:7700"}, got); diff != "" {
		t.Errorf("process (-want +got):\n%s", diff)
	}
	want := &permission{
		Limits: limits{5 * time.Second, 64 * KiB}, Mode: "safe", Names: []string{"ada", "grace", "joan"}, Count: 3,
		Peers: map[string]string{"identity": "dns:///identity:7700", "groupchat": "x:1"},
		Hooks: []hook{{"https://a:b@example.org/x", 3}},
	}
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("permission (-want +got):\n%s", diff)
	}
}

func TestLoad_namesEveryFaultAndWhereItIs(t *testing.T) {
	_, _, s := sections()
	file := write(t, `process:
  grpc:
    adress: x
  drain: 5
permision:
  mode: fast
permission:
  limits:
    ttl: soon
  hooks:
    - uri: x
`)
	err := Load(s, Source{
		File:  file,
		Env:   []string{"GUILDHALL_GRPC_ADRESS=x", "GUILDHALL_PERMISSION_COUNT=many"},
		Flags: []Setting{{"grpc.adres", "x"}, {"permission.on", "maybe"}},
	})
	want := []string{
		file + ":3: process.grpc.adress: unknown key; did you mean process.grpc.address?",
		file + ":4: process.drain: want keys under it, not a value",
		file + ":5: permision: unknown section; did you mean permission?; this program has: process, permission",
		file + ":9: permission.limits.ttl: must be a duration as in \"500ms\", \"5s\" or \"1h30m\"",
		file + ":11: permission.hooks[0].uri: unknown key; did you mean url?",
		"environment GUILDHALL_GRPC_ADRESS: unknown variable; did you mean GUILDHALL_GRPC_ADDRESS?",
		"environment GUILDHALL_PERMISSION_COUNT: permission.count: must be a whole number in range",
		"flag --grpc.adres: unknown key; did you mean grpc.address?",
		"flag --permission.on: permission.on: must be true or false",
	}
	var got []string
	for _, v := range errs.From(err).Violations {
		got = append(got, v.Description)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "9 faults") {
		t.Errorf("error is %v", err)
	}
}

func TestLoad_appliesBoundsAndRules(t *testing.T) {
	_, _, s := sections()
	file := write(t, "permission:\n  mode: quick\n  limits:\n    ttl: 2h\n")
	err := Load(s, Source{File: file, Flags: []Setting{{"permission.count", "1"}, {"grpc.tls.cert_file", "x"}, {"admin.address", "nowhere"}}})
	want := []string{
		file + ":4: permission.limits.ttl: must be between 1s and 1h",
		file + ":2: permission.mode: must be one of: fast, safe",
		"default: process.grpc.tls.key_file: is needed with cert_file",
		`flag --admin.address: process.admin.address: must be host:port, as in "127.0.0.1:7700" or ":7700"`,
		"flag --permission.count: permission.count: must not exceed the number of names",
	}
	var got []string
	for _, v := range errs.From(err).Violations {
		got = append(got, v.Description)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestLoad_refusesYAMLItDoesNotRead(t *testing.T) {
	for name, text := range map[string]string{
		"broken":         "process: [",
		"duplicate key":  "process:\n  data: a\n  data: b\n",
		"anchor":         "process:\n  data: &x a\n",
		"two documents":  "process: {}\n---\nprocess: {}\n",
		"not a mapping":  "- process\n",
		"list for value": "process:\n  data: [a]\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, s := sections()
			if err := Load(s, Source{File: write(t, text)}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "guildhall.yaml:") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestLoad_emptyFileAndSectionsKeepDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "process:\npermission:\n", "permission:\n  mode:\n"} {
		process, own, s := sections()
		if err := Load(s, Source{File: write(t, text)}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if process.GRPC.Address != "127.0.0.1:7700" || own.Mode != "safe" {
			t.Errorf("%q changed a default", text)
		}
	}
}

func TestLoad_ignoresWhatKubernetesSets(t *testing.T) {
	_, _, s := sections()
	err := Load(s, Source{Env: []string{
		"GUILDHALL_SERVICE_HOST=10.0.0.1", "GUILDHALL_SERVICE_PORT=7700", "GUILDHALL_SERVICE_PORT_GRPC=7700",
		"GUILDHALL_PORT=tcp://10.0.0.1:7700", "GUILDHALL_PERMISSION_PORT_7700_TCP_ADDR=10.0.0.1",
		"GUILDHALL_TEST_POSTGRES=x", "GUILDHALL_CONFIG=x",
	}, Ignore: []string{"GUILDHALL_CONFIG"}})
	if err != nil {
		t.Error(err)
	}
}

func TestLoad_neverQuotesSecrets(t *testing.T) {
	_, _, s := sections()
	file := write(t, "process:\n  redis:\n    url: hunter2\n  store: [hunter2]\npermission:\n  password: {a: hunter2}\n")
	err := Load(s, Source{File: file, Flags: []Setting{{"process.limits.message_size", "hunter2"}}})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error is %v", err)
	}
}

func TestLoad_refusesSecretsInFlags(t *testing.T) {
	_, _, s := sections()
	err := Load(s, Source{Flags: []Setting{
		{"permission.password", "hunter2"}, {"store", "postgres://u:hunter2@h/d"}, {"redis.url", "redis://a,redis://:hunter2@b"},
		{"permission.store", "postgres://u@h/d"},
	}})
	if n := len(errs.From(err).Violations); n != 3 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%d faults: %v", n, err)
	}
	if !strings.Contains(err.Error(), "use GUILDHALL_PERMISSION_PASSWORD or the file") {
		t.Errorf("error is %v", err)
	}
}

func TestKeys_listsEveryKey(t *testing.T) {
	_, _, s := sections()
	keys, err := Keys(s...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Key{}
	for _, k := range keys {
		found[k.Path] = k
		if k.Doc == "" || k.Type == "" {
			t.Errorf("%s has no doc or type", k.Path)
		}
	}
	want := Key{
		Path: "process.grpc.address", Env: "GUILDHALL_GRPC_ADDRESS", Flag: "grpc.address", Type: "string",
		Default: `"127.0.0.1:7700"`, Doc: "host:port to listen on; port 0 picks a free one.",
	}
	if diff := cmp.Diff(want, found[want.Path]); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{"process.services.*", "permission.store", "permission.redis.url", "permission.seal.keyset_file", "permission.limits.ttl"} {
		if found[path].Path == "" {
			t.Errorf("%s is missing", path)
		}
	}
}

func TestDefault_canBeReadBack(t *testing.T) {
	process, own, s := sections()
	var text strings.Builder
	if err := Default(&text, s...); err != nil {
		t.Fatal(err)
	}
	got, gotOwn, s2 := sections()
	got.Drain.Timeout, gotOwn.Mode = 0, ""
	if err := Load(s2, Source{File: write(t, text.String())}); err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	// An empty list and map are written as such and come back non-nil.
	if diff := cmp.Diff(process, got, ignoreEmpty()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(own, gotOwn, ignoreEmpty()); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{
		`  # Folder for everything the process keeps on this machine: stores, keysets, files. (string; GUILDHALL_DATA)`,
		`    # Least severity that is written. (debug | info | warn | error; GUILDHALL_LOG_LEVEL)`,
		`    message_size: 4MiB`,
	} {
		if !strings.Contains(text.String(), line+"\n") {
			t.Errorf("no line %q in:\n%s", line, text.String())
		}
	}
}

func ignoreEmpty() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		a, b := p.Last().Values()
		kind := p.Last().Type().Kind().String()
		return (kind == "slice" || kind == "map") && a.IsValid() && b.IsValid() && a.Len() == 0 && b.Len() == 0
	}, cmp.Ignore())
}

func TestPrint_masksSecrets(t *testing.T) {
	process, own, s := sections()
	process.Store = "postgres://app:hunter2@db:5432/guildhall?sslmode=verify-full&sslpassword=hunter2"
	process.Redis.URL = []string{"rediss://:hunter2@r1:6379", "rediss://r2:6379"}
	own.Password, own.Hooks = "hunter2", []hook{{URL: "https://u:hunter2@x/"}}
	own.Peers = map[string]string{"identity": "x:1"}
	var text strings.Builder
	if err := Print(&text, s...); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "hunter2") {
		t.Errorf("a secret was printed:\n%s", text.String())
	}
	for _, line := range []string{
		`store: "postgres://app:****@db:5432/guildhall?sslmode=verify-full&sslpassword=****"`,
		`url: ["rediss://:****@r1:6379", "rediss://r2:6379"]`, `password: "****"`, `identity: "x:1"`,
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %s in:\n%s", line, text.String())
		}
	}
	process.Store = "host=db password=hunter2"
	text.Reset()
	if err := Print(&text, s...); err != nil || strings.Contains(text.String(), "hunter2") {
		t.Errorf("a DSN was printed: %v", err)
	}
}

func TestSchema_refusesWhatCannotBeConfigured(t *testing.T) {
	for name, value := range map[string]any{
		"no doc": &struct {
			A string `yaml:"a"`
		}{},
		"no tag": &struct{ A string }{},
		"type": &struct {
			A chan int `yaml:"a" doc:"x"`
		}{},
		"secret": &struct {
			A string `yaml:"a" doc:"x" secret:"yes"`
		}{},
		"twice": &struct {
			A, B string `yaml:"a" doc:"x"`
		}{},
		"same env": &struct {
			A string `yaml:"b_c" doc:"x"`
			B struct {
				C string `yaml:"c" doc:"x"`
			} `yaml:"b" doc:"x"`
		}{},
		"no pointer": struct{}{},
	} {
		if _, err := Keys(Section{Name: "x", Values: []any{value}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSize_readsWhatItWrites(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "512": 512, "64KiB": 64 * KiB, "4MiB": 4 * MiB, "1536KiB": 1536 * KiB, "2TiB": 2 * TiB} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "4MB", "4 mib", "1.5KiB", "99999999TiB"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestSettable_tellsSettingsFromFlags(t *testing.T) {
	_, _, s := sections()
	for name, want := range map[string][2]bool{
		"grpc.address": {true, false}, "process.data": {true, false}, "data": {true, false}, "permission.on": {true, true},
		"grpc.adress": {true, false}, "config": {false, false}, "target": {false, false},
	} {
		settable, isBool := Settable(name, s...)
		if got := [2]bool{settable, isBool}; got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func FuzzLoad_file(f *testing.F) {
	f.Add("process:\n  data: x\npermission: {limits: {ttl: 5s}}\n")
	f.Add("process: &a\n  <<: *a\n")
	f.Add("permission:\n  hooks: [{url: x, tries: 1}]\n  peers: {a: b}\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, s := sections()
		l := &loader{origin: map[string]string{}}
		var err error
		if l.schema, err = newSchema(s); err != nil {
			t.Fatal(err)
		}
		l.file("x.yaml", []byte(text))
		l.check()
	})
}
