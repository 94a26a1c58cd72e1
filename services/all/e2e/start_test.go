package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestStart_again stops the suite and starts it on the same data: no second
// password, everything still there.
func TestStart_again(t *testing.T) {
	t.Parallel()
	s := oneProcess(t)
	c := s.found(t, grpcDoor)
	if err := s.processes["guildhall"].stop(); err != nil {
		t.Errorf("SIGTERM ended it with: %v", err)
	}
	first := s.processes["guildhall"].output()
	s.start("guildhall")
	again := strings.TrimPrefix(s.processes["guildhall"].output(), first)
	if strings.Contains(again, "password") || !strings.Contains(again, "is ready after") {
		t.Errorf("the second start printed:\n%s", again)
	}
	tokens := need(c.login(c.admin.name))(t)
	need(c.as(tokens).organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{Name: c.name}))(t)
	// Tokens from before are still good: the keys that sign them are kept.
	need(c.admin.organizations.GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{Name: c.name}))(t)
	if c.admin.tokens.GetExpiresIn() <= 0 {
		t.Error("tokens have no end")
	}
}

// TestStart_isQuick holds the promise of make run, where the race detector and
// a busy machine leave room for it.
func TestStart_isQuick(t *testing.T) {
	began := time.Now()
	s, _, _ := fresh(t)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("ready after %s", took)
	}
	for path, mode := range map[string]os.FileMode{"data": 0o700, "data/keys/identity.json": 0o600, "data/cluster.key": 0o600, "data/identity.db": 0o600} {
		info, err := os.Stat(filepath.Join(s.folder, path))
		if err != nil {
			t.Error(err)
			continue
		}
		wants(t, "the mode of "+path, info.Mode().Perm(), mode)
	}
}

// run runs a command of guildhall to its end.
func run(t testing.TB, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "guildhall"), args...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestStart_faultsSayWhatToDo(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // not deferred: the subtests are parallel
	free := []string{"--grpc.address=127.0.0.1:0", "--http.address=127.0.0.1:0", "--admin.address=127.0.0.1:0"}
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"a taken port": {[]string{"--data=" + t.TempDir(), "--http.address=" + taken.Addr().String(), free[0], free[2]},
			1, []string{"address " + taken.Addr().String() + " is in use", "process.http.address"}},
		"a store that is open": {append([]string{"--data=" + s.specs["guildhall"].folder}, free...),
			1, []string{"identity.db", "another process"}},
		"a misspelt setting": {append([]string{"--data=" + t.TempDir(), "--identity.token.ttl=5m"}, free...),
			2, []string{"identity.token.ttl", "did you mean identity.tokens.ttl?"}},
		"a service of another suite": {append([]string{"--data=" + t.TempDir(), "-target=billing"}, free...),
			2, []string{"billing", "identity, permission, groupchat, feedback, gateway"}},
		"a store that is away": {append([]string{"--data=" + t.TempDir(), "--identity.store=postgres://127.0.0.1:1/x"}, free...),
			1, []string{"127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := run(t, append([]string{"serve"}, test.args...)...)
			wants(t, "the exit status", code, test.code)
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("the error does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(out, "goroutine") || !strings.HasPrefix(out, "error: ") {
				t.Errorf("it says more than an error:\n%s", out)
			}
		})
	}
}

func TestHealth_saysWhetherTheProcessIsReady(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	admin := "--admin.address=" + s.processes["guildhall"].admin
	out, code := run(t, "health", admin)
	if code != 0 || !strings.Contains(out, "identity: ok") {
		t.Errorf("exit status %d: %s", code, out)
	}
	s.kill("guildhall")
	if out, code = run(t, "health", admin); code != 1 || !strings.Contains(out, "no process answers") {
		t.Errorf("exit status %d: %s", code, out)
	}
}

// TestBackup_isWhole writes a backup of a running suite: a file for each store,
// in which nothing can be read.
func TestBackup_isWhole(t *testing.T) {
	t.Parallel()
	s := oneProcess(t)
	c := s.found(t, grpcDoor)
	folder := t.TempDir()
	if out, code := run(t, "backup", "--admin.address="+s.processes["guildhall"].admin, "--folder="+folder); code != 0 {
		t.Fatalf("exit status %d: %s", code, out)
	}
	for _, service := range services[:4] {
		found, err := filepath.Glob(filepath.Join(folder, service+"-*.backup"))
		if err != nil || len(found) != 1 {
			t.Fatalf("backups of %s: %v %v", service, found, err)
		}
		text, err := os.ReadFile(found[0])
		if err != nil || len(text) < 200 {
			t.Errorf("the backup of %s: %d bytes, %v", service, len(text), err)
		}
		if bytes.Contains(text, []byte("admin@acme.example")) || bytes.Contains(text, []byte("陈管理")) {
			t.Errorf("the backup of %s shows who is in %s", service, c.name)
		}
	}
}
