// Package bench measures the suite as its users meet it: `guildhall bench`.
//
// Each measurement starts its own processes in a folder that it removes
// afterwards, drives them over the network, and measures beside them, in the
// same run and in turns, the least that the same machine can do: an empty gRPC
// call of the same message sizes. Only the ratios of one run mean something;
// figures of two machines, or of two hours on one, do not compare.
//
// It is not a test: it fails when it cannot measure, and says so when a figure
// misses its target, but a busy machine is no fault of the code.
package bench

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"guildhall.dev/pkg/serve"
)

// Command is `guildhall bench`, for serve.WithCommand.
type Command struct {
	Check Check `cmd:"" help:"Measure permission checks beside an empty gRPC call."`
	Empty Empty `cmd:"" hidden:"" help:"Serve the empty call that others are measured beside."`
}

// Builder adds the command to a program.
func Builder() serve.Builder {
	return serve.WithCommand("bench", "Measure the suite on this machine.", &Command{})
}

// run is one measurement under way: where its processes live and what it
// reports to.
type run struct {
	ctx     context.Context
	program string // the binary of the processes that are measured: this one
	folder  string
	out     io.Writer
	// notes hears what is being done, for the person who waits.
	notes io.Writer
}

// newRun makes the folder of a run; end removes it.
func newRun(ctx context.Context, env *serve.Env) (r *run, end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp("", "guildhall-bench-")
	if err != nil {
		return nil, nil, err
	}
	r = &run{ctx: ctx, program: program, folder: folder, out: env.Stdout, notes: env.Stderr}
	return r, func() { os.RemoveAll(folder) }, nil
}

// sub returns the path of a file or folder of the run.
func (r *run) sub(name string) string { return filepath.Join(r.folder, name) }

// await returns when the condition holds, or an error that says what did not
// come.
func await(ctx context.Context, what string, limit time.Duration, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, missing(what))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// missing names what did not come in time.
type missing string

func (m missing) Error() string { return "it takes too long until " + string(m) }
