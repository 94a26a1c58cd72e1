// Package authz is `guildhall authz`: policy as code from the command line.
//
//	guildhall authz export > policy.yaml
//	guildhall authz plan policy.yaml     exit code 0: nothing to do, 2: something
//	guildhall authz test policy.yaml     do the assertions hold once it is applied?
//	guildhall authz apply policy.yaml
//
// It reads and writes files (see document), and asks a running server for all
// the rest over HTTP: the server works out what a document changes, and makes
// the changes or none. So a plan is never the opinion of an old program about
// rules that have changed.
package authz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Command is `guildhall authz`, for serve.WithCommand.
type Command struct {
	Server       string `env:"GUILDHALL_SERVER" default:"http://127.0.0.1:7780" help:"URL of the gateway."`
	Token        string `env:"GUILDHALL_TOKEN" help:"Access token. Better in the environment: others on the machine see flags."`
	Organization string `short:"o" placeholder:"ID" help:"Organisation; that of the token when not given."`

	Export exportCmd `cmd:"" help:"Print what is there as a policy file."`
	Plan   planCmd   `cmd:"" help:"Say what a policy file would change: exit code 2 when there is something to do."`
	Apply  applyCmd  `cmd:"" help:"Bring about what a policy file says, all of it or nothing."`
	Test   testCmd   `cmd:"" help:"Check the assertions of a policy file in the state that it would bring about: exit code 1 when one fails."`
}

// Builder adds the command to a program.
func Builder() serve.Builder {
	return serve.WithCommand("authz", "Policy as code: roles, grants and assertions as a file.", &Command{})
}

// somethingToDo is the exit code of a plan with changes; failed that of what
// went wrong, whatever it was, so that nobody takes a fault for changes.
const (
	somethingToDo = 2
	failed        = 1
)

func fail(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*serve.Exit](err); ok {
		return err
	}
	return &serve.Exit{Code: failed, Err: err}
}

type exportCmd struct {
	Policy string `help:"Only what belongs to this policy."`
}

// Run is called by kong.
func (c *exportCmd) Run(ctx context.Context, env *serve.Env, top *Command) error {
	return fail(c.run(ctx, env.Stdout, top))
}

func (c *exportCmd) run(ctx context.Context, out io.Writer, top *Command) error {
	s, err := top.connect()
	if err != nil {
		return err
	}
	p, err := s.export(ctx, c.Policy)
	if err != nil {
		return err
	}
	text, err := write(s.organization, p)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// source is the file that a command reads.
type source struct {
	File  string `arg:"" help:"Policy file, - for standard input."`
	Prune bool   `help:"Delete also what belongs to no policy and is not in the file."`
}

func (s source) read(organization string) (*file, error) {
	text, err := os.ReadFile(s.File)
	if s.File == "-" {
		text, err = io.ReadAll(os.Stdin)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	return parse(s.File, organization, text)
}

type planCmd struct{ source }

// Run is called by kong.
func (c *planCmd) Run(ctx context.Context, env *serve.Env, top *Command) error {
	_, _, p, err := c.plan(ctx, top)
	if err != nil {
		return fail(err)
	}
	printPlan(env.Stdout, p)
	if len(p.GetChanges()) > 0 {
		return &serve.Exit{Code: somethingToDo}
	}
	return nil
}

// plan asks what the file would change.
func (s source) plan(ctx context.Context, top *Command) (*server, *file, *permissionv1.PolicyPlan, error) {
	conn, err := top.connect()
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := s.read(conn.organization)
	if err != nil {
		return nil, nil, nil, err
	}
	p, err := conn.plan(ctx, f.policy, s.Prune)
	return conn, f, p, f.explain(err)
}

type applyCmd struct{ source }

// Run is called by kong.
func (c *applyCmd) Run(ctx context.Context, env *serve.Env, top *Command) error {
	conn, f, p, err := c.plan(ctx, top)
	if err != nil {
		return fail(err)
	}
	printPlan(env.Stdout, p)
	if len(p.GetChanges()) == 0 && p.GetFailedAssertionCount() == 0 {
		return nil
	}
	// Exactly what was printed, or nothing.
	if p, err = conn.apply(ctx, f.policy, c.Prune, p.GetEtag()); err != nil {
		return fail(f.explain(err))
	}
	_, err = fmt.Fprintf(env.Stdout, "Applied, at revision %d.\n", p.GetRevision())
	return err
}

type testCmd struct{ source }

// Run is called by kong.
func (c *testCmd) Run(ctx context.Context, env *serve.Env, top *Command) error {
	_, f, p, err := c.plan(ctx, top)
	if err != nil {
		return fail(err)
	}
	printAssertions(env.Stdout, f, p)
	if p.GetFailedAssertionCount() > 0 {
		return &serve.Exit{Code: failed}
	}
	return nil
}
