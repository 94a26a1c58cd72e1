// Package stage starts programs of the suite as an operator does, and as much
// of a sister service as the one on stage needs. Benchmarks and the tests of
// the revocation promise drive it over the network.
//
// It is not how the suite is run: that is package serve.
package stage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"guildhall.dev/pkg/serve"
)

// Loopback is where everything on stage listens, on a free port.
const Loopback = "127.0.0.1:0"

// Program says what to start.
type Program struct {
	// Binary is the path of the program; Name is what it is called here.
	Binary, Name string
	// Folder holds its data folder and what it writes at its start.
	Folder string
	Args   []string
	// Env are settings that no flag may hold, as in "GUILDHALL_STORE=…".
	Env []string
	// Notes gets its standard error; nil drops it.
	Notes io.Writer
}

// Process is a running program.
type Process struct {
	At serve.Addresses

	name    string
	command *exec.Cmd
	ended   chan struct{}
}

// Spawn starts a program and returns once it is ready. It ends with ctx at the
// latest.
func Spawn(ctx context.Context, program Program) (*Process, error) {
	ready := filepath.Join(program.Folder, program.Name+".ready.json")
	if err := os.RemoveAll(ready); err != nil {
		return nil, err
	}
	p := &Process{name: program.Name, ended: make(chan struct{})}
	p.command = exec.CommandContext(ctx, program.Binary, append(program.Args[:len(program.Args):len(program.Args)],
		"--ready-file="+ready, "--data="+filepath.Join(program.Folder, program.Name),
		"--grpc.address="+Loopback, "--admin.address="+Loopback)...)
	p.command.Stderr = program.Notes
	// What configures another installation must not reach this one.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GUILDHALL_") {
			p.command.Env = append(p.command.Env, v)
		}
	}
	p.command.Env = append(p.command.Env, program.Env...)
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program.Name, err)
	}
	go func() { p.command.Wait(); close(p.ended) }()
	if err := Await(ctx, program.Name+" is ready", time.Minute, func() (bool, error) { return p.ready(ready) }); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

func (p *Process) ready(file string) (bool, error) {
	select {
	case <-p.ended:
		return false, fmt.Errorf("%s ended before it was ready", p.name)
	default:
	}
	text, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(text, &p.At) == nil, nil
}

// Kill ends the process at once, as kill -9 does, and waits for it.
func (p *Process) Kill() {
	p.command.Process.Kill() // an error is that it has ended
	<-p.ended
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error { return p.command.Process.Signal(s) }

// Metrics returns the metrics without labels of the admin port's page
// (Prometheus text format), by name.
func (p *Process) Metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.At.Admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", p.name, err)
	}
	defer resp.Body.Close()
	found := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			found[name] = v
		}
	}
	return found, lines.Err()
}

// Await returns when the condition holds, or an error that says what did not
// come.
func Await(ctx context.Context, what string, limit time.Duration, condition func() (bool, error)) error {
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
