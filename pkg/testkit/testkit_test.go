package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
)

// holdServers makes this binary a process that starts servers and waits to be
// killed.
const holdServers = "GUILDHALL_TESTKIT_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdServers) == "" {
		os.Exit(m.Run())
	}
	if err := hold(); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func hold() error {
	c, err := sharedPostgres()
	if err != nil {
		return err
	}
	r := &RedisServer{}
	if r.binary, err = findBinary("redis-server"); err != nil {
		return err
	}
	if r.port, err = freePort(); err != nil {
		return err
	}
	if err := r.start(); err != nil {
		return err
	}
	for _, s := range []*server{c.server, r.server} {
		fmt.Println(s.pid, s.folder)
	}
	_, err = io.ReadAll(os.Stdin)
	return err
}

func TestServers_endWithTheTestProcessHoweverItEnds(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), holdServers+"=yes")
	out, outErr := cmd.StdoutPipe()
	in, inErr := cmd.StdinPipe()
	if err := errors.Join(outErr, inErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var servers []*server
	lines := bufio.NewScanner(out)
	for len(servers) < 2 && lines.Scan() {
		number, folder, _ := strings.Cut(lines.Text(), " ")
		pid, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("the process says: %s", lines.Text())
		}
		servers = append(servers, &server{pid: pid, folder: folder})
	}
	if len(servers) < 2 {
		t.Fatal("the process started no servers")
	}
	for _, s := range servers {
		if s.ended() {
			t.Errorf("server %d in %s is not there before the kill", s.pid, s.folder)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	for _, s := range servers {
		await(t, fmt.Sprintf("server %d and its folder %s to be gone", s.pid, s.folder), func() bool {
			_, err := os.Stat(s.folder)
			return s.ended() && errors.Is(err, os.ErrNotExist)
		})
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(startTime)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestRedis_stopsStartsAndPauses(t *testing.T) {
	r := Redis(t)
	if !strings.HasPrefix(r.URL, "redis://127.0.0.1:") {
		t.Errorf("URL = %s", r.URL)
	}
	for range 2 {
		r.Stop()
		if err := r.ping(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("ping of a stopped server = %v, want connection refused", err)
		}
		r.Start()
		if err := r.ping(); err != nil {
			t.Errorf("ping of a started server: %v", err)
		}
	}
	r.Pause()
	if err := r.ping(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ping of a paused server = %v, want a timeout", err)
	}
	r.Resume()
	if err := r.ping(); err != nil {
		t.Errorf("ping of a resumed server: %v", err)
	}
	r.Pause() // and it can still be ended
}

func TestPostgres_databasesAreEmptyAndApart(t *testing.T) {
	var used string
	t.Run("first", func(t *testing.T) {
		used = Postgres(t)
		if other := Postgres(t); other == used {
			t.Error("two calls of one test share a database")
		}
		ExecPostgres(t, used, "CREATE SCHEMA mine; CREATE TABLE mine.t (i int); CREATE TABLE public.t (i int)")
	})
	t.Run("next", func(t *testing.T) {
		for range 2 { // both that the first test left
			ExecPostgres(t, Postgres(t), "CREATE SCHEMA mine; CREATE TABLE mine.t (i int); CREATE TABLE public.t (i int)")
		}
	})
}

func TestEachStore_runsOnBothEngines(t *testing.T) {
	seen := 0
	EachStore(t, "test", []string{"a"}, func(t *testing.T, s kv.Store) {
		seen++
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	})
	if seen != len(Engines()) {
		t.Errorf("ran %d times, want once for each of %v", seen, Engines())
	}
}
