package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTime bounds how long a server may take to come up on a busy machine.
const startTime = 60 * time.Second

// sharedPostgres starts the one cluster of the process at its first use. It is
// the package's only state: a cluster costs a second or two.
var sharedPostgres = sync.OnceValues(func() (*cluster, error) {
	folder, err := newFolder()
	if err != nil {
		return nil, err
	}
	c, err := startPostgres(folder)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return c, nil
})

// cluster is a running PostgreSQL. A database that a test has left is emptied
// and given to the next one: that takes a tenth of the time of a new one.
type cluster struct {
	server *server
	url    *url.URL // of its database postgres

	mu   sync.Mutex
	free []string
}

// Postgres returns the URL of an empty database that is this test's own until
// it ends. The cluster below is private to the test process and asks for a
// password; it does not flush (fsync=off), so a test may kill its clients but
// not pull the machine's plug.
func Postgres(t testing.TB) string {
	t.Helper()
	c, err := sharedPostgres()
	if err != nil {
		t.Fatalf("testkit: PostgreSQL: %v", err)
	}
	name, err := c.take()
	if err != nil {
		t.Fatalf("testkit: create database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.giveBack(name); err != nil {
			t.Errorf("testkit: empty database: %v", err)
		}
	})
	return c.database(name)
}

func (c *cluster) database(name string) string {
	u := *c.url
	u.Path = "/" + name
	return u.String()
}

func (c *cluster) take() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		name := c.free[n-1]
		c.free = c.free[:n-1]
		return name, nil
	}
	name := "test_" + word()
	return name, execPostgres(c.url.String(), "CREATE DATABASE "+name)
}

// emptyDatabase leaves a database as it was created, also when the test made
// it read-only or left connections open.
const emptyDatabase = `
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE;
DO $$
DECLARE s text;
BEGIN
	PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid();
	FOR s IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', s);
	END LOOP;
	EXECUTE format('ALTER DATABASE %I RESET ALL', current_database());
END $$;
CREATE SCHEMA public;`

func (c *cluster) giveBack(name string) error {
	u := c.database(name)
	if err := execPostgres(u, emptyDatabase); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, name)
	return nil
}

// ExecPostgres runs SQL on the database of the URL, for what a store has no
// method for: another user, a setting, a broken connection.
func ExecPostgres(t testing.TB, rawURL, sql string) {
	t.Helper()
	if err := execPostgres(rawURL, sql); err != nil {
		t.Fatalf("testkit: %s: %v", sql, err)
	}
}

func execPostgres(rawURL, sql string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conn, err := pgx.Connect(ctx, rawURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

func startPostgres(folder string) (*cluster, error) {
	initdb, err := findBinary("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := findBinary("postgres")
	if err != nil {
		return nil, err
	}
	password := word()
	data := filepath.Join(folder, "data")
	if err := initCluster(initdb, folder, data, password); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s, err := startServer(folder, "QUIT", postgres, "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200",
		"-c", "shared_buffers=64MB", "-c", "autovacuum=off", "-c", "max_wal_size=256MB")
	if err != nil {
		return nil, err
	}
	u := &url.URL{
		Scheme: "postgres", User: url.UserPassword("guildhall", password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	if err := awaitServer(s, func() error { return execPostgres(u.String(), "SELECT 1") }); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return &cluster{server: s, url: u}, nil
}

// initCluster makes a cluster whose one user needs the password.
func initCluster(initdb, folder, data, password string) error {
	secret := filepath.Join(folder, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if c := credential(); c != nil {
		if err := os.Chown(secret, int(c.Uid), int(c.Gid)); err != nil {
			return err
		}
	}
	cmd := exec.Command(initdb, "-D", data, "-U", "guildhall", "--pwfile", secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// awaitServer asks until the server answers, dies, or takes too long.
func awaitServer(s *server, ask func() error) error {
	deadline := time.Now().Add(startTime)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		switch {
		case err == nil:
			return nil
		case s.ended():
			return fmt.Errorf("the server ended: %s", s.log())
		case time.Now().After(deadline):
			return fmt.Errorf("the server does not answer: %w\n%s", err, s.log())
		}
		<-tick.C
	}
}
