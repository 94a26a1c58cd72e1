package serve

import (
	"context"
	"fmt"
	"runtime"

	"guildhall.dev/pkg/conf"
)

// Environment variables that belong to the program and not to a section.
const (
	envConfig    = conf.EnvPrefix + "CONFIG"
	envTarget    = conf.EnvPrefix + "TARGET"
	envReadyFile = conf.EnvPrefix + "READY_FILE"
	// These two are of commands that call a server.
	envServer = conf.EnvPrefix + "SERVER"
	envToken  = conf.EnvPrefix + "TOKEN"
)

// commands is the command line that every program of the suite has.
type commands struct {
	File string `name:"config" short:"c" placeholder:"FILE" env:"GUILDHALL_CONFIG" help:"YAML file with the configuration."`

	Serve  serveCmd `cmd:"" help:"Run the services until SIGTERM."`
	Config struct {
		Check   checkCmd   `cmd:"" help:"Check the configuration, every source of it, and report all faults."`
		Print   printCmd   `cmd:"" help:"Print the configuration in effect, secrets masked."`
		Default defaultCmd `cmd:"" help:"Print every key with its default and what it is for: a file to start from."`
	} `cmd:"" help:"Check or print the configuration."`
	Backup  backupCmd  `cmd:"" help:"Write a consistent copy of the stores of a running process."`
	Health  healthCmd  `cmd:"" help:"Ask the running process whether it is ready: exit 0 when it is."`
	Version versionCmd `cmd:"" help:"Print the program's version."`
}

type serveCmd struct {
	Target    []string `placeholder:"NAME,…" env:"GUILDHALL_TARGET" help:"Services to run in this process; all when not given."`
	ReadyFile string   `placeholder:"FILE" env:"GUILDHALL_READY_FILE" help:"Write the chosen addresses to this file, as JSON, once ready."`
}

func (c *serveCmd) Run(ctx context.Context, env *Env) error {
	return env.serve(ctx, c.Target, c.ReadyFile)
}

type checkCmd struct{}

func (checkCmd) Run(env *Env) error {
	if _, err := env.Load(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(env.Stdout, "the configuration is good")
	return err
}

type printCmd struct{}

func (printCmd) Run(env *Env) error {
	if _, err := env.Load(); err != nil {
		return err
	}
	return conf.Print(env.Stdout, env.sections...)
}

type defaultCmd struct{}

func (defaultCmd) Run(env *Env) error { return conf.Default(env.Stdout, env.sections...) }

type versionCmd struct{}

func (versionCmd) Run(env *Env) error {
	_, err := fmt.Fprintf(env.Stdout, "%s %s (%s %s/%s)\n", env.Program, version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
