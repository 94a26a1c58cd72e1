package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"guildhall.dev/pkg/serve"
)

// process is a server that is measured.
type process struct {
	name    string
	at      serve.Addresses
	answers bool // what it says is an answer
	command *exec.Cmd
	ended   chan struct{}
}

// loopback is where everything of a run listens.
const loopback = "127.0.0.1:0"

// spawn starts this program with the arguments and returns once it is ready.
func (r *run) spawn(name string, args ...string) (*process, error) {
	ready := r.sub(name + ".ready.json")
	if err := os.RemoveAll(ready); err != nil {
		return nil, err
	}
	p := &process{name: name, answers: name != "empty", ended: make(chan struct{})}
	p.command = exec.CommandContext(r.ctx, r.program, append(args, "--ready-file="+ready, "--data="+r.sub(name))...)
	p.command.Args = append(p.command.Args, "--grpc.address="+loopback, "--admin.address="+loopback)
	p.command.Stderr = r.notes
	// What configures another installation must not reach this one.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GUILDHALL_") {
			p.command.Env = append(p.command.Env, v)
		}
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", name, err)
	}
	go func() { p.command.Wait(); close(p.ended) }()
	err := await(r.ctx, name+" is ready", time.Minute, func() (bool, error) {
		select {
		case <-p.ended:
			return false, fmt.Errorf("bench: %s ended before it was ready", name)
		default:
		}
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, &p.at) == nil, nil
	})
	if err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// kill ends the process at once and waits for it.
func (p *process) kill() {
	p.command.Process.Kill() // an error is that it has ended
	<-p.ended
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
	found, err := p.metrics(ctx)
	return usage{cpu: found[cpuSeconds], mallocs: found[mallocsTotal]}, err
}

// metric returns one metric without labels; 0 where the platform has none.
func (p *process) metric(ctx context.Context, name string) (float64, error) {
	found, err := p.metrics(ctx)
	return found[name], err
}

// metrics reads the admin port's page (Prometheus text format).
func (p *process) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.at.Admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("bench: metrics of %s: %w", p.name, err)
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
