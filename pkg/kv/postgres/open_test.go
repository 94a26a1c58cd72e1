package postgres_test

import (
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvtest"
	"guildhall.dev/pkg/kv/postgres"
	"guildhall.dev/pkg/testkit"
)

func options() kv.Options { return kv.Options{Name: "test", Tables: kvtest.Tables()} }

// edit returns the URL after change, for what is wrong with it.
func edit(t *testing.T, rawURL string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func host(t *testing.T, rawURL string) string {
	var host string
	edit(t, rawURL, func(u *url.URL) { host = u.Host })
	return host
}

// wantOpenError wants an error whose message says all of the words.
func wantOpenError(t *testing.T, rawURL string, o kv.Options, kind errs.Kind, reason string, words ...string) {
	t.Helper()
	s, err := postgres.Open(t.Context(), rawURL, o)
	if err == nil {
		s.Close()
		t.Fatal("Open succeeded")
	}
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("Open = %v, want %v %s", err, kind, reason)
	}
	for _, word := range words {
		if message := errs.From(err).Message; !strings.Contains(message, word) {
			t.Errorf("message %q does not say %q", message, word)
		}
	}
	var secret string
	edit(t, rawURL, func(u *url.URL) { secret, _ = u.User.Password() })
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestOpen_unreachableSaysWhere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // nobody listens there now
	wantOpenError(t, "postgres://user:hunter2@"+address+"/db", options(),
		errs.Unavailable, kv.ReasonUnavailable, address, "check that it runs")
}

func TestOpen_silentServerTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	wantOpenError(t, "postgres://user:hunter2@"+address+"/db?connect_timeout=1", options(),
		errs.Unavailable, kv.ReasonUnavailable, address)
}

func TestOpen_wrongPasswordSaysCorrectIt(t *testing.T) {
	good := testkit.Postgres(t)
	bad := edit(t, good, func(u *url.URL) { u.User = url.UserPassword("guildhall", "hunter2") })
	wantOpenError(t, bad, options(), errs.Precondition, kv.ReasonCredentials, host(t, good), `"guildhall"`, "password")
}

func TestOpen_missingDatabaseSaysCreateIt(t *testing.T) {
	bad := edit(t, testkit.Postgres(t), func(u *url.URL) { u.Path = "/nowhere" })
	wantOpenError(t, bad, options(), errs.Precondition, kv.ReasonDatabaseMissing, `"nowhere"`, "createdb")
}

func TestOpen_readOnlySaysNameThePrimary(t *testing.T) {
	good := testkit.Postgres(t)
	bad := good + "&default_transaction_read_only=on"
	words := []string{host(t, good), "primary", "default_transaction_read_only"}
	wantOpenError(t, bad, options(), errs.Precondition, kv.ReasonReadOnly, words...)
	s, err := postgres.Open(t.Context(), good, options())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	// Also when nothing is left to create.
	wantOpenError(t, bad, options(), errs.Precondition, kv.ReasonReadOnly, words...)
}

func TestOpen_withoutRightToCreateSaysGrant(t *testing.T) {
	good := testkit.Postgres(t)
	testkit.ExecPostgres(t, good, "CREATE ROLE guest LOGIN PASSWORD 'hunter2'")
	t.Cleanup(func() { testkit.ExecPostgres(t, good, "DROP OWNED BY guest; DROP ROLE guest") })
	guest := edit(t, good, func(u *url.URL) { u.User = url.UserPassword("guest", "hunter2") })
	wantOpenError(t, guest, options(), errs.Precondition, kv.ReasonNotWritable, `"guest"`, "grant")

	// A complete store needs no right to create.
	s, err := postgres.Open(t.Context(), good, options())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	testkit.ExecPostgres(t, good, "GRANT USAGE ON SCHEMA test TO guest; "+
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA test TO guest")
	s, err = postgres.Open(t.Context(), guest, options())
	if err != nil {
		t.Fatalf("Open of a complete store: %v", err)
	}
	defer s.Close()
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put("words", []byte("a"), nil) }); err != nil {
		t.Errorf("Update: %v", err)
	}
}

func TestOpen_replicasMayStartTogether(t *testing.T) {
	for range 3 {
		url := testkit.Postgres(t)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				s, err := postgres.Open(t.Context(), url, options())
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				s.Close()
			})
		}
		wg.Wait()
	}
}
