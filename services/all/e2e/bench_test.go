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
// that no check is answered wrongly meanwhile, is for every one.
func TestBenchCheck_measures(t *testing.T) {
	t.Parallel()
	for on, settings := range map[string]func() []string{
		"bbolt": func() []string { return nil },
		"PostgreSQL + Redis": func() []string {
			return []string{"GUILDHALL_STORE=" + testkit.Postgres(t), "GUILDHALL_REDIS_URL=" + testkit.Redis(t).URL}
		},
	} {
		t.Run(on, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, filepath.Join(binaries, "guildhall"),
				"bench", "check", "--users=100", "--callers=2", "--rounds=1", "--duration=200ms")
			command.Env = append(environment(), settings()...)
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			for _, want := range []string{on, "empty", "Check", "BatchCheck of 50", "cold", "throughput"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
		})
	}
}
