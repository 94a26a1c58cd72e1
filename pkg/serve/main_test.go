package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), "guildhall", args, &out, io.Discard, newFake(), newEdge(), WithCommand("greet", "Say hello.", &greetCmd{}))
	return out.String(), err
}

type greetCmd struct {
	Name string `default:"world" help:"Whom."`
}

func (c *greetCmd) Run(ctx context.Context, env *Env) error {
	if ctx == nil {
		return errors.New("no context")
	}
	cfg, err := env.Load()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s greets %s from %s\n", env.Program, c.Name, cfg.Data)
	return err
}

func TestRun_furtherCommands(t *testing.T) {
	out, err := run(t, "greet", "--name=ada", "--data=/d")
	if err != nil || out != "guildhall greets ada from /d\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestRun_helpAndVersion(t *testing.T) {
	out, err := run(t, "--help")
	if err != nil || !strings.Contains(out, "serve") || !strings.Contains(out, "greet") || !strings.Contains(out, "--section.key=value") {
		t.Errorf("help is %q, %v", out, err)
	}
	if out, err = run(t, "version"); err != nil || !strings.HasPrefix(out, "guildhall ") {
		t.Errorf("version is %q, %v", out, err)
	}
}

func TestRun_configCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guildhall.yaml")
	if err := os.WriteFile(file, []byte("identity:\n  password: hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "config", "check", "--config", file)
	if err != nil || out != "the configuration is good\n" {
		t.Errorf("check: %q, %v", out, err)
	}
	if out, err = run(t, "config", "print", "-c", file, "--identity.slow", "never"); err != nil || !strings.Contains(out, "  slow: never\n") || strings.Contains(out, "hunter2") {
		t.Errorf("print: %q, %v", out, err)
	}
	if out, err = run(t, "config", "default"); err != nil || !strings.Contains(out, "  # When a call returns. (no | drain | never; GUILDHALL_IDENTITY_SLOW)\n") {
		t.Errorf("default: %q, %v", out, err)
	}
	if err := os.WriteFile(file, []byte("identity:\n  pasword: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "the configuration has a fault:\n  " + file + ":2: identity.pasword: unknown key; did you mean identity.password?"
	if _, err = run(t, "config", "check", "--config", file); err == nil || errs.From(err).Message != want {
		t.Errorf("check: %v", err)
	}
}

func TestRun_environment(t *testing.T) {
	t.Setenv("GUILDHALL_IDENTITY_SLOW", "drain")
	t.Setenv("GUILDHALL_TARGET", "identity")
	if out, err := run(t, "config", "print"); err != nil || !strings.Contains(out, "  slow: drain\n") {
		t.Errorf("print: %q, %v", out, err)
	}
	t.Setenv("GUILDHALL_IDENTITY_SLOWLY", "x")
	if _, err := run(t, "config", "check"); err == nil || !strings.Contains(err.Error(), "did you mean GUILDHALL_IDENTITY_SLOW?") {
		t.Errorf("check: %v", err)
	}
}

func TestExitCode_saysWhatIsAtFault(t *testing.T) {
	_, usage := run(t, "serv")
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{nil, 0, ""},
		{errors.New("x"), 1, "error: x\n"},
		{usage, 2, "error: unexpected argument serv, did you mean \"serve\"?\n"},
		{errs.New(errs.Invalid, conf.ReasonInvalid, "bad"), 2, "error: bad\n"},
		{fmt.Errorf("service a: %w", errs.New(errs.Precondition, "X", "do y", errs.Cause(errors.New("z")))), 1, "error: service a: do y (z)\n"},
		{errors.Join(errs.New(errs.Precondition, "X", "a"), errors.New("b")), 1, "error: a\nb\n"},
		{&secondSignal{15}, 143, "error: a second signal: exiting at once\n"},
	} {
		var text bytes.Buffer
		if code := exitCode(c.err, &text); code != c.code || text.String() != c.text {
			t.Errorf("%v: code %d, %q", c.err, code, text.String())
		}
	}
}

func TestSplitSettings(t *testing.T) {
	env, err := newEnv("guildhall", io.Discard, io.Discard, []Builder{newFake()})
	if err != nil {
		t.Fatal(err)
	}
	rest, settings := splitSettings([]string{
		"serve", "-target=identity", "--config", "x", "--grpc.address", ":1", "--data=/d", "--identity.slow=no",
		"--redis.cluster", "--folder=y", "--", "--data=z",
	}, env.sections)
	if diff := cmp.Diff([]string{"serve", "--target=identity", "--config", "x", "--folder=y", "--", "--data=z"}, rest); diff != "" {
		t.Error(diff)
	}
	want := []conf.Setting{{Key: "grpc.address", Value: ":1"}, {Key: "data", Value: "/d"}, {Key: "identity.slow", Value: "no"}, {Key: "redis.cluster", Value: "true"}}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Error(diff)
	}
}

func TestNewEnv_refusesNamesTwice(t *testing.T) {
	for _, builders := range [][]Builder{{newFake(), newFake()}, {{Name: "process", Build: newFake().Build}}, {{Build: newFake().Build}}} {
		if _, err := newEnv("guildhall", io.Discard, io.Discard, builders); err == nil {
			t.Error("no error")
		}
	}
}
