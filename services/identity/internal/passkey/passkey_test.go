package passkey

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"
)

func newParty(t testing.TB, cfg Config) *Party {
	t.Helper()
	cfg.Key = []byte("of a test, and secret")
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCheckChallenge_takesWhatItMadeForWhatItMadeIt: another purpose, session, key,
// or a byte more is another challenge.
func TestCheckChallenge_takesWhatItMadeForWhatItMadeIt(t *testing.T) {
	p := newParty(t, Config{})
	stranger, err := New(Config{Key: []byte("another")})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		purposes := rapid.SampledFrom([]Purpose{Register, Login, Prove})
		subjects := rapid.SampledFrom([]string{"", "organizations/acme/staff/s1/sessions/1", "organizations/acme/staff/s1/sessions/12"})
		purpose, subject := purposes.Draw(t, "purpose"), subjects.Draw(t, "subject")
		now := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "now"))
		expire := now.Add(time.Duration(rapid.IntRange(-10, 10).Draw(t, "seconds")) * time.Second)
		c := p.NewChallenge(purpose, subject, expire)
		until, ok := p.CheckChallenge(c, purpose, subject, now)
		if ok != now.Before(expire) || !until.Equal(expire) {
			t.Fatalf("a challenge until %v is taken at %v: %v, until %v", expire, now, ok, until)
		}
		if other, of := purposes.Draw(t, "another purpose"), subjects.Draw(t, "another subject"); other != purpose || of != subject {
			if _, ok := p.CheckChallenge(c, other, of, now); ok {
				t.Fatalf("one for %s of %q is taken for %s of %q", purpose, subject, other, of)
			}
		}
		if _, ok := stranger.CheckChallenge(c, purpose, subject, now); ok {
			t.Fatal("another's is taken")
		}
		altered := bytes.Clone(c)
		altered[rapid.IntRange(0, len(c)-1).Draw(t, "byte")] ^= 1
		for _, each := range [][]byte{altered, c[:len(c)-1], append(bytes.Clone(c), 0), nil} {
			if _, ok := p.CheckChallenge(each, purpose, subject, now); ok {
				t.Fatalf("%x is taken for %x", each, c)
			}
		}
	})
}

func TestHandle_saysNothingOfTheAccount(t *testing.T) {
	p := newParty(t, Config{})
	const sue = "organizations/acme/staff/sue"
	handle := p.Handle(sue)
	if len(handle) != 32 || bytes.Contains(handle, []byte("sue")) || !bytes.Equal(handle, p.Handle(sue)) || bytes.Equal(handle, p.Handle(sue+"2")) {
		t.Errorf("the handle is %x", handle)
	}
}

// TestNew_refusesWhatNoBrowserTakes: better at start than by nobody's passkey working.
func TestNew_refusesWhatNoBrowserTakes(t *testing.T) {
	good := Config{ID: "example.com", Name: "Acme", Key: []byte("k"), Origins: []string{
		"https://example.com", "https://login.example.com:8443", "android:apk-key-hash:jYzkV8wOQ8WYjpAHXr0KjZ5qJ5b1g2h3i4j5k6l7m8n",
	}}
	if p, err := New(good); err != nil || !p.On() {
		t.Fatal(err)
	}
	if p, err := New(Config{Key: []byte("k")}); err != nil || p.On() {
		t.Errorf("without a domain: %v", err)
	}
	for name, change := range map[string]func(c *Config){
		"no key": func(c *Config) { c.Key = nil }, "no origin": func(c *Config) { c.Origins = nil },
		"an address":                    func(c *Config) { c.ID, c.Origins = "127.0.0.1", []string{"http://127.0.0.1:8080"} },
		"a page elsewhere":              func(c *Config) { c.Origins = []string{"https://example.org"} },
		"a page whose name ends so":     func(c *Config) { c.Origins = []string{"https://evilexample.com"} },
		"a page with a path":            func(c *Config) { c.Origins = []string{"https://example.com/login"} },
		"a page of somebody":            func(c *Config) { c.Origins = []string{"https://a@example.com"} },
		"neither a page nor an app":     func(c *Config) { c.Origins = append(c.Origins, "example.com") },
		"a domain that is a whole link": func(c *Config) { c.ID = "https://example.com" },
	} {
		odd := good
		odd.Origins = append([]string(nil), good.Origins...)
		change(&odd)
		if _, err := New(odd); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestParse_refusesWhatIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": `{}`, "no response": `{"id": "eA", "rawId": "eA", "type": "public-key"}`,
		"another type": `{"id": "eA", "rawId": "eA", "type": "x", "response": {}}`,
		"nulls":        `{"id": null, "rawId": null, "type": null, "response": null}`,
		"too long":     `{"id": "` + strings.Repeat("x", mostBytes) + `"}`,
		"short data":   `{"id": "eA", "rawId": "eA", "type": "public-key", "response": {"clientDataJSON": "e30", "authenticatorData": "eA", "signature": "eA", "attestationObject": "oA"}}`,
	} {
		s := &structpb.Struct{}
		if err := s.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseAssertion(s); !errors.Is(err, ErrUnproven) {
			t.Errorf("an assertion of %s: %v", name, err)
		}
		if _, err := ParseAttestation(s); !errors.Is(err, ErrUnproven) {
			t.Errorf("an attestation of %s: %v", name, err)
		}
	}
	if _, err := ParseAssertion(nil); !errors.Is(err, ErrUnproven) {
		t.Errorf("an assertion of nil: %v", err)
	}
}
