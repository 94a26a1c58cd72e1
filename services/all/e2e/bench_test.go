package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/testkit"
)

// What a bench measures is for a quiet machine to say; that it measures, and
// that nothing is answered wrongly meanwhile, is for every one.
func TestBench_measures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args, want string
	}{
		"check":     {"--users=100 --callers=2 --rounds=1 --duration=200ms", "empty|Check|BatchCheck of 50|cold|throughput"},
		"directory": {"--sizes=100,300 --duration=20ms", "mail address|pinyin|the slowest p99"},
	} {
		for on, settings := range map[string]func() []string{
			"bbolt": func() []string { return nil },
			"PostgreSQL + Redis": func() []string {
				return []string{"GUILDHALL_STORE=" + testkit.Postgres(t), "GUILDHALL_REDIS_URL=" + testkit.Redis(t).URL}
			},
		} {
			t.Run(name+"/"+on, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
				defer cancel()
				command := exec.CommandContext(ctx, filepath.Join(binaries, "guildhall"), append([]string{"bench", name}, strings.Fields(c.args)...)...)
				command.Env = append(environment(), settings()...)
				out, err := command.CombinedOutput()
				if err != nil {
					t.Fatalf("%v:\n%s", err, out)
				}
				for want := range strings.SplitSeq(on+"|"+c.want, "|") {
					if !strings.Contains(string(out), want) {
						t.Errorf("%q is missing in:\n%s", want, out)
					}
				}
			})
		}
	}
}

func TestBenchLogin_measures(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(binaries, "guildhall"),
		"bench", "login", "--accounts=4", "--callers=4", "--rounds=1", "--duration=300ms")
	command.Env = environment()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{"4 accounts on bbolt", "bare hash", "logins/s", "beside the bare hash"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}
