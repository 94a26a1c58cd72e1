// Package bench measures the suite as its users meet it: `guildhall bench`.
//
// Each measurement starts its own processes in a folder that it removes
// afterwards, drives them over the network, and measures beside them, in the
// same run and in turns, the least that the same machine can do: an empty gRPC
// call of the same message sizes, or the bare hash of a password. Only the
// ratios of one run mean something; figures of two machines, or of two hours on
// one, do not compare.
//
// It is not a test: it fails when it cannot measure, and says so when a figure
// misses its target, but a busy machine is no fault of the code.
package bench

import (
	"context"
	"io"
	"os"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/all/internal/stage"
)

// Command is `guildhall bench`, for serve.WithCommand.
type Command struct {
	Check     Check     `cmd:"" help:"Measure permission checks beside an empty gRPC call."`
	Directory Directory `cmd:"" help:"Measure how customers are found, among more and more of them."`
	Login     Login     `cmd:"" help:"Measure logins beside the bare password hash."`
	Empty     Empty     `cmd:"" hidden:"" help:"Serve the empty call that others are measured beside."`
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
	// configured says what the measured processes store in.
	configured *conf.Process
}

// newRun reads the configuration and makes the folder of a run; end removes it.
func newRun(ctx context.Context, env *serve.Env) (r *run, end func(), err error) {
	configured, err := env.Load()
	if err != nil {
		return nil, nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp("", "guildhall-bench-")
	if err != nil {
		return nil, nil, err
	}
	r = &run{ctx: ctx, program: program, folder: folder, out: env.Stdout, notes: env.Stderr, configured: configured}
	return r, func() { os.RemoveAll(folder) }, nil
}

// spawn starts this program with the settings and arguments, and returns once it is ready.
func (r *run) spawn(name string, env []string, args ...string) (*process, error) {
	p, err := stage.Spawn(r.ctx, stage.Program{Binary: r.program, Name: name, Folder: r.folder, Args: args, Env: env, Notes: r.notes})
	if err != nil {
		return nil, err
	}
	return &process{Process: p, answers: name != "empty"}, nil
}

// process is a server that is measured.
type process struct {
	*stage.Process
	answers bool // what it says is an answer
}

// usage is what a process has used since it started.
type usage struct {
	cpu     float64 // seconds
	mallocs float64
}

// Names of metrics that every process has.
const (
	cpuSeconds    = "process_cpu_seconds_total"
	mallocsTotal  = "go_memstats_mallocs_total"
	residentBytes = "process_resident_memory_bytes"
)

func (p *process) usage(ctx context.Context) (u usage, err error) {
	found, err := p.Metrics(ctx)
	return usage{cpu: found[cpuSeconds], mallocs: found[mallocsTotal]}, err
}

// resident returns the process's memory; 0 where the platform does not say.
func (p *process) resident(ctx context.Context) (float64, error) {
	found, err := p.Metrics(ctx)
	return found[residentBytes], err
}
