package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// awaitReady reads the ready file once it is there. died ends the wait early.
func awaitReady(t *testing.T, path string, died func() error) Addresses {
	t.Helper()
	var a Addresses
	until(t, "ready", func() bool {
		if err := died(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		return err == nil && json.Unmarshal(text, &a) == nil
	})
	return a
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not %s in time", what)
		}
	}
}

// child is a program of the suite in a process of its own.
type child struct {
	*exec.Cmd
	stderr *buffer
	at     Addresses
	conn   *grpc.ClientConn
	waited chan error
}

func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	data := t.TempDir()
	readyFile := filepath.Join(data, "ready.json")
	c := &child{stderr: &buffer{}, waited: make(chan error, 1)}
	c.Cmd = exec.Command(os.Args[0], append([]string{"serve", "--ready-file", readyFile, "--data", data,
		"--grpc.address=127.0.0.1:0", "--http.address=127.0.0.1:0", "--admin.address=127.0.0.1:0"}, args...)...)
	c.Env = append(os.Environ(), childVariable+"=1")
	c.Stderr = c.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.waited <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill() }) // it has ended already, unless the test failed
	c.at = awaitReady(t, readyFile, func() error {
		select {
		case err := <-c.waited:
			return errors.Join(err, errors.New(c.stderr.String()))
		default:
			return nil
		}
	})
	key, err := authn.OpenClusterKey(filepath.Join(data, "cluster.key"))
	if err != nil {
		t.Fatal(err)
	}
	c.conn, err = grpc.NewClient(c.at.GRPC, rpc.DialOptions(rpc.DialConfig{
		Credentials: authn.ServiceCredentials(key, "groupchat", "identity"), Timeout: 20 * time.Second,
	})...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// exit waits for the end and returns the exit code.
func (c *child) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-c.waited:
		return c.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		t.Fatalf("the process does not end:\n%s", c.stderr)
		return -1
	}
}

// busy opens a stream and makes a slow call, and returns when both are in
// their handlers, with what they will end with.
func (c *child) busy(t *testing.T) (call, stream <-chan error) {
	t.Helper()
	events, err := identityv1.NewIdentityEventServiceClient(c.conn).StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: "-"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.Recv(); err != nil {
		t.Fatal(err)
	}
	called := make(chan error, 1)
	go func() {
		_, err := identityv1.NewAuthServiceClient(c.conn).GetJwks(context.WithoutCancel(t.Context()), &identityv1.GetJwksRequest{})
		called <- err
	}()
	if _, err := events.Recv(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := events.Recv()
		ended <- err
	}()
	return called, ended
}

func (c *child) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestSignal_callsFinishAndStreamsEnd(t *testing.T) {
	c := startChild(t, "--identity.slow=drain", "--drain.timeout=15s", "--drain.streams=50ms")
	call, stream := c.busy(t)
	begun := time.Now()
	c.signal(t, syscall.SIGTERM)
	if err := <-call; err != nil {
		t.Errorf("the slow call ended with %v", err)
	}
	err := <-stream
	if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != ReasonDraining {
		t.Errorf("the stream ended with %v", err)
	}
	if code := c.exit(t); code != 0 {
		t.Errorf("exit code is %d:\n%s", code, c.stderr)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the drain took %s", took)
	}
}

func TestSignal_deadlineCutsOff(t *testing.T) {
	c := startChild(t, "--identity.slow=never", "--drain.timeout=300ms", "--drain.streams=10ms")
	call, stream := c.busy(t)
	c.signal(t, syscall.SIGTERM)
	if err := <-call; err == nil {
		t.Error("the endless call succeeded")
	}
	if err := <-stream; errs.ReasonOf(err) != ReasonDraining {
		t.Errorf("the stream ended with %v", err)
	}
	if code := c.exit(t); code != 1 || !strings.Contains(c.stderr.String(), "error: the drain deadline of 300ms passed: 1 calls were cut off") {
		t.Errorf("exit code is %d:\n%s", code, c.stderr)
	}
}

func TestSignal_secondExitsAtOnce(t *testing.T) {
	c := startChild(t, "--identity.slow=never", "--drain.timeout=1h")
	c.busy(t)
	c.signal(t, syscall.SIGTERM)
	until(t, "draining", func() bool {
		code, body := get(t, "http://"+c.at.Admin+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "process: failing: is draining")
	})
	begun := time.Now()
	c.signal(t, syscall.SIGTERM)
	if code := c.exit(t); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code is %d:\n%s", code, c.stderr)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the second signal took %s", took)
	}
}

func TestSignal_lameDuckServesOn(t *testing.T) {
	c := startChild(t, "--drain.timeout=1h", "--drain.lame_duck=30m")
	c.signal(t, syscall.SIGTERM)
	until(t, "draining", func() bool {
		code, _ := get(t, "http://"+c.at.Admin+"/readyz")
		return code == http.StatusServiceUnavailable
	})
	if _, err := identityv1.NewAuthServiceClient(c.conn).GetJwks(t.Context(), &identityv1.GetJwksRequest{}); err != nil {
		t.Errorf("a call in the lame-duck time: %v", err)
	}
	c.signal(t, syscall.SIGINT)
	if code := c.exit(t); code != 128+int(syscall.SIGINT) {
		t.Errorf("exit code is %d", code)
	}
}
