package postgres_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvtest"
	"guildhall.dev/pkg/kv/postgres"
	"guildhall.dev/pkg/testkit"
)

func open(t *testing.T, rawURL string, o kv.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), rawURL, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// endConnections makes the server end all connections to the database.
const endConnections = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE datname = current_database() AND pid <> pg_backend_pid()`

func TestUpdate_conflictRunsTheClosureAgain(t *testing.T) {
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	s := open(t, testkit.Postgres(t), kv.Options{Name: "test", Tables: kvtest.Tables(), Meter: meter})
	put := func(tx kv.Tx, value string) error { return tx.Put("words", []byte("a"), []byte(value)) }
	runs := 0
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		runs++
		old, err := tx.Get("words", []byte("a"))
		if err != nil {
			return err
		}
		if runs == 1 { // another transaction comes between, on another connection
			if err := s.Update(t.Context(), func(tx kv.Tx) error { return put(tx, "theirs") }); err != nil {
				return err
			}
		}
		return put(tx, string(old)+" and ours")
	})
	if err != nil || runs != 2 {
		t.Errorf("Update = %v after %d runs, want success after 2", err, runs)
	}
	wantWord(t, s, "theirs and ours")
	if got := retries(t, reader); got != 1 {
		t.Errorf("the metric counts %d retries, want 1", got)
	}
}

func retries(t *testing.T, reader sdk.Reader) int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "guildhall.kv.retries" {
				return data.DataPoints[0].Value
			}
		}
	}
	return 0
}

func wantWord(t *testing.T, s kv.Store, want string) {
	t.Helper()
	err := s.View(t.Context(), func(r kv.Reader) error {
		got, err := r.Get("words", []byte("a"))
		if err == nil && string(got) != want {
			t.Errorf("words/a = %q, want %q", got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestUpdate_contentionHasABound loses every race to a transaction of its own.
func TestUpdate_contentionHasABound(t *testing.T) {
	s := open(t, testkit.Postgres(t), options())
	runs := 0
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		runs++
		if _, err := tx.Get("words", []byte("a")); err != nil {
			return err
		}
		if err := s.Update(t.Context(), func(tx kv.Tx) error {
			return tx.Put("words", []byte("a"), []byte{byte(runs)})
		}); err != nil {
			return err
		}
		return tx.Put("words", []byte("a"), []byte("never"))
	})
	if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != kv.ReasonContention || errs.From(err).RetryAfter == 0 {
		t.Errorf("Update = %v after %d runs, want Unavailable %s with a time to wait", err, runs, kv.ReasonContention)
	}
}

func TestTransaction_lostConnectionIsReplacedBeforeCommit(t *testing.T) {
	url := testkit.Postgres(t)
	s := open(t, url, options())
	run := func(r kv.Reader, runs *int) error {
		if *runs++; *runs == 1 {
			if _, err := r.Get("words", []byte("a")); err != nil {
				return err
			}
			testkit.ExecPostgres(t, url, endConnections)
		}
		_, err := r.Get("words", []byte("a"))
		return err
	}
	views, updates := 0, 0
	if err := s.View(t.Context(), func(r kv.Reader) error { return run(r, &views) }); err != nil || views != 2 {
		t.Errorf("View = %v after %d runs, want success after 2", err, views)
	}
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if err := run(tx, &updates); err != nil {
			return err
		}
		return tx.Put("words", []byte("a"), []byte("written"))
	})
	if err != nil || updates != 2 {
		t.Errorf("Update = %v after %d runs, want success after 2", err, updates)
	}
	wantWord(t, s, "written")
}

// TestUpdate_connectionLostInCommitIsUnknown makes the server kill its own
// side of the connection in the midst of COMMIT.
func TestUpdate_connectionLostInCommitIsUnknown(t *testing.T) {
	url := testkit.Postgres(t)
	s := open(t, url, options())
	testkit.ExecPostgres(t, url, `
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER die AFTER INSERT ON test.words
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`)
	runs := 0
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		runs++
		return tx.Put("words", []byte("a"), []byte("?"))
	})
	if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != kv.ReasonUnknownOutcome || runs != 1 {
		t.Errorf("Update = %v after %d runs, want Unavailable %s after 1", err, runs, kv.ReasonUnknownOutcome)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping on a new connection: %v", err)
	}
}

func TestUpdate_readOnlyServerSaysSo(t *testing.T) {
	url := testkit.Postgres(t)
	s := open(t, url, options())
	put := func() error {
		return s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put("words", []byte("a"), []byte("written")) })
	}
	setReadOnly := func(value string) {
		testkit.ExecPostgres(t, url, `DO $$ BEGIN EXECUTE format(
			'ALTER DATABASE %I SET default_transaction_read_only = `+value+`', current_database()); END $$`)
	}
	setReadOnly("on")
	testkit.ExecPostgres(t, url, endConnections)
	if err := put(); !errs.Is(err, errs.Precondition) || errs.ReasonOf(err) != kv.ReasonReadOnly {
		t.Errorf("Update = %v, want Precondition %s", err, kv.ReasonReadOnly)
	}
	wantWord(t, s, "") // reading goes on
	testkit.ExecPostgres(t, url, "BEGIN READ WRITE; DO $$ BEGIN EXECUTE format("+
		"'ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$; COMMIT")
	// Connections from before are replaced, so the end is noticed at once.
	if err := put(); err != nil {
		t.Errorf("Update after the server takes writes again: %v", err)
	}
}

func TestStore_serverThatIsAwayIsUnavailableUntilItIsBack(t *testing.T) {
	direct := testkit.Postgres(t)
	line := newLine(t, host(t, direct))
	s := open(t, edit(t, direct, func(u *url.URL) { u.Host = line.address }), options())
	read := func() error {
		return s.View(t.Context(), func(r kv.Reader) error { _, err := r.Get("words", []byte("a")); return err })
	}
	write := func() error {
		return s.Update(t.Context(), func(tx kv.Tx) error {
			if _, err := tx.Get("words", []byte("a")); err != nil {
				return err
			}
			return tx.Put("words", []byte("a"), nil)
		})
	}
	ping := func() error { return s.Ping(t.Context()) }
	calls := map[string]func() error{"View": read, "Update": write, "Ping": ping}
	line.cut()
	for name, call := range calls {
		if err := call(); !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != kv.ReasonUnavailable {
			t.Errorf("%s while the server is away = %v, want Unavailable %s", name, err, kv.ReasonUnavailable)
		}
	}
	line.mend(t)
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s after the server is back = %v", name, err)
		}
	}
}

// line is a connection to a server that a test can cut.
type line struct {
	address, target string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	copies   sync.WaitGroup
}

func newLine(t *testing.T, target string) *line {
	l := &line{address: "127.0.0.1:0", target: target}
	l.mend(t)
	t.Cleanup(l.cut)
	return l
}

func (l *line) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	l.listener, l.address = listener, listener.Addr().String()
	l.copies.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // cut
			}
			far, err := net.Dial("tcp", l.target)
			if err != nil {
				near.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, near, far)
			l.mu.Unlock()
			l.copies.Go(func() { io.Copy(far, near); far.Close() })
			l.copies.Go(func() { io.Copy(near, far); near.Close() })
		}
	})
}

// cut ends all connections and refuses new ones.
func (l *line) cut() {
	l.listener.Close()
	l.mu.Lock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
	l.mu.Unlock()
	l.copies.Wait()
}
