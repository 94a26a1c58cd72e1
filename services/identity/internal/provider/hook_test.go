package provider

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

// theirSecret is one as a receiver would hand it out.
func theirSecret() string {
	return secretPrefix + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
}

// TestSign_isThatOfStandardWebhooks is the example of the specification's own
// libraries.
func TestSign_isThatOfStandardWebhooks(t *testing.T) {
	key, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

func TestHook_postsWhatReceiversCanVerify(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	p, err := NewHook(server.URL+"/messages", theirSecret(), func() time.Time { return time.Unix(1700000000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	want := sign([]byte(strings.Repeat("k", 32)), "d1", "1700000000", body)
	if h := got.Header; h.Get("Webhook-Id") != "d1" || h.Get("Webhook-Timestamp") != "1700000000" || h.Get("Webhook-Signature") != want {
		t.Errorf("the header is %v, want the signature %s", h, want)
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	if e != envelopeOf(letter()) || e.Data.Kind != "INVITATION" || e.Data.Channel != "EMAIL" || e.Type != "guildhall.identity.message.v1" {
		t.Errorf("it posts %+v", e)
	}
}

func TestHook_answers(t *testing.T) {
	for code, c := range map[int]struct{ taken, refused bool }{
		200: {true, false}, 204: {true, false}, 301: {}, 400: {false, true}, 401: {}, 404: {}, 410: {false, true}, 422: {false, true}, 429: {}, 500: {}, 503: {},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Error("a redirect is followed")
			}
			w.Header().Set("Retry-After", "120")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		}))
		p, err := NewHook(server.URL, theirSecret(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		err = p.Send(t.Context(), letter())
		server.Close()
		if (err == nil) != c.taken || errors.Is(err, ErrRefused) != c.refused {
			t.Errorf("%d: %v, want taken %t and refused %t", code, err, c.taken, c.refused)
		}
		if !c.taken && !c.refused && errs.From(err).RetryAfter != 2*time.Minute {
			t.Errorf("%d: try again after %s", code, errs.From(err).RetryAfter)
		}
	}
}

func TestHook_saysNothingOfItsAddress(t *testing.T) {
	p, err := NewHook("http://user:password@127.0.0.1:1/token", theirSecret(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), letter()); err == nil || strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "token") {
		t.Errorf("the error is %v", err)
	}
}

func TestParseSecret_refusesWhatIsNone(t *testing.T) {
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", strings.Repeat("k", 40), "whsec_!" + strings.Repeat("k", 40), theirSecret() + strings.Repeat("AAAA", 40)} {
		if _, err := ParseSecret(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestFile_writesALineForEach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "outbox.ndjson")
	p, err := NewFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := p.Send(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v (%v), want one for its user alone", info.Mode(), err)
	}
	if n := linesOf(t, path); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
	// A full one is put aside.
	if err := os.Truncate(path, mostFile); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	if n := linesOf(t, path); n != 1 {
		t.Errorf("%d lines in the new file, want 1", n)
	}
	if _, err := os.Stat(path + ".old"); err != nil {
		t.Error(err)
	}
}

func linesOf(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e envelope
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e != envelopeOf(letter()) {
			t.Errorf("line %d: %v", n+1, err)
		}
		n++
	}
	return n
}
