package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. It is long because the race detector is slow and
// the machine may be busy; a wait that succeeds is short.
const patience = 30 * time.Second

// tailLines is how much of a program's log a failure shows.
const tailLines = 40

// supervise runs a program under a shell that ends it when our end of its
// standard input closes, which the kernel does even when we are killed.
const supervise = `
exec 3<&0
"$@" >>"$LOG" 2>&1 </dev/null 3<&- &
pid=$!
echo $pid
exec >/dev/null
{ cat <&3; kill -9 $pid; } 2>/dev/null &
watcher=$!
wait $pid
status=$?
kill $watcher 2>/dev/null
exit $status
`

// process is one running program of the suite.
type process struct {
	name string
	pid  int
	// grpc, http and admin are its addresses, once it is ready.
	grpc, http, admin string

	t      testing.TB
	log    string // file
	ready  string // file
	shell  *exec.Cmd
	input  io.Closer
	ended  chan struct{} // closed when the program has ended
	wanted bool          // that it ends
	status error         // of the program, once ended is closed
}

// spec says what to start.
type spec struct {
	name, binary string
	folder       string // data folder, kept over restarts
	args, env    []string
}

// environment is what programs run in. The race detector's own wait at the end
// of a program is for what the program has waited for already.
func environment() []string {
	return append(os.Environ(), "GORACE=halt_on_error=1 atexit_sleep_ms=0")
}

// spawn starts a program and does not wait until it is ready. It dies with the
// test; when the test fails, the end of its log is shown.
func spawn(t testing.TB, s spec) *process {
	t.Helper()
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &process{
		name: s.name, t: t, log: s.folder + ".log", ready: s.folder + ".ready.json", ended: make(chan struct{}),
	}
	if err := os.Remove(p.ready); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if log, err := os.OpenFile(p.log, os.O_CREATE, 0o600); err != nil {
		t.Fatal(err)
	} else if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-c", supervise, "sh", filepath.Join(binaries, s.binary), "serve",
		"--data=" + s.folder, "--ready-file=" + p.ready}, s.args...)
	p.shell = exec.Command("/bin/sh", args...)
	p.shell.Dir = filepath.Dir(s.folder)
	p.shell.Env = slices.Concat(environment(), []string{"LOG=" + p.log}, s.env)
	p.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours alone
	input, err := p.shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := p.shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.shell.Start(); err != nil {
		t.Fatal(err)
	}
	p.input = input
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("starting %s: %v", s.name, err)
	}
	if p.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatalf("starting %s: %v", s.name, err)
	}
	go func() {
		defer close(p.ended)
		p.status = p.shell.Wait()
	}()
	t.Cleanup(p.close)
	return p
}

// close ends the process without grace and shows its log when the test failed.
func (p *process) close() {
	if !p.wanted {
		p.alive()
	}
	p.kill()
	if p.t.Failed() {
		p.t.Logf("log of %s (%s):\n%s", p.name, p.log, p.tail(tailLines))
	}
	if text := p.output(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
		p.t.Errorf("%s has a race or a panic:\n%s", p.name, text)
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.wanted = true
	_ = p.input.Close() // may be closed: the shell ends its program then, and itself
	<-p.ended
}

// stop is SIGTERM; it returns how the program ended.
func (p *process) stop() error {
	p.t.Helper()
	p.wanted = true
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil {
		p.t.Fatalf("stopping %s: %v", p.name, err)
	}
	return p.wait()
}

// wait returns how the program ended.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.status
	case <-time.After(patience):
		p.t.Fatalf("%s does not end; its log:\n%s", p.name, p.tail(tailLines))
		return nil
	}
}

// awaitReady returns when the program says that it is ready.
func (p *process) awaitReady() {
	p.t.Helper()
	until(p.t, p.name+" is ready", func(context.Context) error {
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended (%v) before it was ready; its log:\n%s", p.name, p.status, p.tail(tailLines))
		default:
		}
		text, err := os.ReadFile(p.ready)
		if err != nil {
			return fmt.Errorf("%w; its log ends with:\n%s", err, p.tail(5))
		}
		var at struct{ GRPC, HTTP, Admin string }
		if err := json.Unmarshal(text, &at); err != nil {
			return err
		}
		p.grpc, p.http, p.admin = at.GRPC, at.HTTP, at.Admin
		return nil
	})
}

// alive wants the program to be running.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Errorf("%s ended (%v); its log:\n%s", p.name, p.status, p.tail(tailLines))
	default:
	}
}

// output is all that the program has written.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Errorf("the log of %s: %v", p.name, err)
	}
	return string(text)
}

// tail is the last lines of it.
func (p *process) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(p.output()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// until asks again and again until f returns nil, and fails the test with what
// f said last when that takes too long.
func until(t testing.TB, what string, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// freePort returns a port that is free on the addresses. It is below the range
// of outgoing connections: while a program is down, nobody takes its port, and
// nobody who dials it is connected to itself.
func freePort(t testing.TB, hosts ...string) string {
	t.Helper()
search:
	for range 1000 {
		port := strconv.Itoa(15000 + rand.IntN(15000))
		for _, host := range hosts {
			l, err := net.Listen("tcp", net.JoinHostPort(host, port))
			if err != nil {
				continue search
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return port
	}
	t.Fatal("no port is free")
	return ""
}
