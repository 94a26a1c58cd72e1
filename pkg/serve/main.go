package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

// Main runs the program and exits: 0 when all went well, 2 when command line
// or configuration are at fault, 128 plus the signal's number on a second
// signal, 1 otherwise.
func Main(program string, builders ...Builder) {
	// go-redis writes lines of its own to standard error. Readiness and the
	// errors of its calls say the same, in our format.
	redis.SetLogger(silence{})
	collectLess()
	os.Exit(exitCode(Run(context.Background(), program, os.Args[1:], os.Stdout, os.Stderr, builders...), os.Stderr))
}

// collectLess lets the heap grow to four times of what is alive before it is
// collected, and not to twice. Services keep little alive and answer many small
// calls: collecting was a quarter of what a permission check cost. GOGC, when
// set, decides, and GOMEMLIMIT bounds the heap either way.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// exitCode prints the error, for people, and returns the code that says it to
// programs.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	exit, chosen := errors.AsType[*Exit](err)
	if chosen && exit.Err == nil {
		return exit.Code
	}
	fmt.Fprintln(stderr, "error: "+explain(err))
	if chosen {
		return exit.Code
	}
	if second, ok := errors.AsType[*secondSignal](err); ok {
		return 128 + second.number
	}
	if _, ok := errors.AsType[*kong.ParseError](err); ok || errs.Is(err, errs.Invalid) {
		return 2
	}
	return 1
}

// Exit is the error of a command that chooses the program's exit code: one
// whose answer is in the code, as that of diff is. Without Err nothing is
// printed.
type Exit struct {
	Code int
	Err  error
}

// Error implements error.
func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *Exit) Unwrap() error { return e.Err }

// explain puts an error into words for the person who started the program: the
// public message, what stands around it, and the cause in brackets.
func explain(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, each := range joined.Unwrap() {
			lines = append(lines, explain(each))
		}
		return strings.Join(lines, "\n")
	}
	e, ok := errors.AsType[*errs.Error](err)
	if !ok {
		return err.Error()
	}
	message := e.Message
	if cause := errors.Unwrap(e); cause != nil && e.Reason != conf.ReasonInvalid {
		message += " (" + cause.Error() + ")"
	}
	return strings.Replace(err.Error(), e.Error(), message, 1)
}

// Command is a further command of a program.
type Command struct {
	Name, Help string
	// Run is a pointer to a kong command struct whose Run method may take a
	// context.Context and an *Env.
	Run any
}

// WithCommand returns a Builder that adds a command to a program and nothing
// else:
//
//	serve.Main("guildhall", permission.Builder(), serve.WithCommand("bench", "Measure.", &benchCmd{}))
func WithCommand(name, help string, command any) Builder {
	return Builder{Commands: []Command{{Name: name, Help: help, Run: command}}}
}

// Env is what a command gets.
type Env struct {
	// Program is the program's name, as in "guildhall".
	Program        string
	Stdout, Stderr io.Writer

	builders []Builder
	process  *conf.Process
	sections []conf.Section
	units    []*unit
	source   conf.Source
}

// Load reads the configuration as `serve` would and returns its process
// section; the services' are filled too.
func (e *Env) Load() (*conf.Process, error) {
	if err := conf.Load(e.sections, e.source); err != nil {
		return nil, err
	}
	return e.process, nil
}

// Sections returns the configuration's sections, filled once Load has run.
func (e *Env) Sections() []conf.Section { return e.sections }

// newEnv pairs each service with its section. A builder's Config is filled in
// place, so builders serve one Run.
func newEnv(program string, stdout, stderr io.Writer, builders []Builder) (*Env, error) {
	e := &Env{Program: program, Stdout: stdout, Stderr: stderr, builders: builders, process: conf.DefaultProcess()}
	e.sections = []conf.Section{{Name: "process", Values: []any{e.process}}}
	seen := map[string]bool{"process": true}
	for _, b := range builders {
		if b.Build == nil {
			continue
		}
		if seen[b.Name] || b.Name == "" {
			return nil, fmt.Errorf("serve: service name %q is taken or empty", b.Name)
		}
		seen[b.Name] = true
		u := &unit{Builder: b}
		e.units = append(e.units, u)
		e.sections = append(e.sections, conf.Section{Name: b.Name, Values: []any{&u.overrides, b.Config}})
	}
	return e, nil
}

// Run is Main without the exit: it parses args, runs the command and returns
// its error. Ending ctx stops a running process as SIGTERM does.
func Run(ctx context.Context, program string, args []string, stdout, stderr io.Writer, builders ...Builder) error {
	env, err := newEnv(program, stdout, stderr, builders)
	if err != nil {
		return err
	}
	rest, settings := splitSettings(args, env.sections)
	cli, helped := &commands{}, false
	parser, err := kong.New(cli, cliOptions(env, &helped)...)
	if err != nil {
		return fmt.Errorf("serve: the command line's definition: %w", err)
	}
	parsed, err := parser.Parse(rest)
	if helped {
		return nil
	}
	if err != nil {
		return err
	}
	env.source = conf.Source{
		File: cli.File, Env: os.Environ(), Flags: settings,
		Ignore: []string{envConfig, envTarget, envReadyFile, envServer, envToken},
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(env)
}

func cliOptions(env *Env, helped *bool) []kong.Option {
	options := []kong.Option{
		kong.Name(env.Program),
		kong.Description("Settings of the configuration are flags too: --section.key=value (see: " + env.Program + " config default)."),
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(int) { *helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}
	for _, b := range env.builders {
		for _, c := range b.Commands {
			options = append(options, kong.DynamicCommand(c.Name, c.Help, "", c.Run))
		}
	}
	return options
}

// splitSettings takes the flags that set configuration keys out of args. They
// are not kong's: they come from the sections, and their errors name the
// nearest key. What follows "--" is left alone.
func splitSettings(args []string, sections []conf.Section) (rest []string, settings []conf.Setting) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(rest, args[i:]...), settings
		}
		if after, ok := strings.CutPrefix(arg, "-target"); ok && (after == "" || after[0] == '=') {
			arg = "-" + arg // Go's own flag style, which operators of Go programs know
		}
		flag, isFlag := strings.CutPrefix(arg, "--")
		key, value, hasValue := strings.Cut(flag, "=")
		settable, isBool := conf.Settable(key, sections...)
		switch {
		case !isFlag || !settable:
			rest = append(rest, arg)
			continue
		case hasValue:
		case isBool:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		}
		settings = append(settings, conf.Setting{Key: key, Value: value})
	}
	return rest, settings
}

// version says which source the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, changed := info.Main.Version, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && (v == "" || v == "(devel)"):
			v = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changed"
		}
	}
	if v == "" || v == "(devel)" {
		return "devel"
	}
	return strings.TrimSuffix(v, "+dirty") + changed
}
