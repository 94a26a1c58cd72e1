package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a private Redis that a test may stop, start and pause. It
// keeps its port over a Stop and Start, and loses its data, as a cache may.
// Its methods may be called by several goroutines; they fail the test when the
// server does not do as told.
type RedisServer struct {
	// URL is redis://127.0.0.1:<port>/0.
	URL string

	t      testing.TB
	binary string
	port   int
	mu     sync.Mutex
	server *server // nil while stopped
}

// Redis starts a server of the test's own and ends it with the test.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	binary, err := findBinary("redis-server")
	if err != nil {
		t.Fatalf("testkit: Redis: %v", err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatalf("testkit: Redis: %v", err)
	}
	r := &RedisServer{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), t: t, binary: binary, port: port}
	r.Start()
	t.Cleanup(r.Stop)
	return r
}

// Start starts a stopped server, empty, and returns when it answers.
func (r *RedisServer) Start() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		return
	}
	if err := r.start(); err != nil {
		r.t.Errorf("testkit: start Redis: %v", err)
	}
}

func (r *RedisServer) start() error {
	folder, err := newFolder()
	if err != nil {
		return err
	}
	s, err := startServer(folder, "KILL", r.binary, "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", folder)
	if err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	if err := awaitServer(s, r.ping); err != nil {
		return errors.Join(err, s.stop())
	}
	r.server = s
	return nil
}

// Stop kills the server: connections break and new ones are refused.
func (r *RedisServer) Stop() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		return
	}
	if err := r.server.stop(); err != nil {
		r.t.Errorf("testkit: stop Redis: %v", err)
	}
	r.server = nil
}

// Pause freezes the server: connections stay open and nothing answers. This
// is what a client must have a timeout for.
func (r *RedisServer) Pause() { r.t.Helper(); r.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (r *RedisServer) Resume() { r.t.Helper(); r.signal(syscall.SIGCONT) }

func (r *RedisServer) signal(sig syscall.Signal) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		r.t.Errorf("testkit: Redis is stopped")
		return
	}
	if err := r.server.signal(sig); err != nil {
		r.t.Errorf("testkit: signal Redis: %v", err)
	}
}

// ping speaks the inline form of the protocol, so that the kit needs no
// client library.
func (r *RedisServer) ping() (err error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)), time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != "+PONG" {
		return fmt.Errorf("redis answers %q", line)
	}
	return nil
}
