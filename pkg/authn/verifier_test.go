package authn

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
)

const issuer = "https://id.example"

// bench is an identity and a verifier that share a clock.
type bench struct {
	now      time.Time
	keys     KeySet
	signer   *Signer
	cluster  *ClusterKey
	verifier *Verifier
	fetches  int
	away     error // of identity
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{
		now:     time.Unix(1_800_000_000, 0),
		keys:    KeySet{Next: newKey(t), Current: newKey(t)},
		cluster: NewClusterKey(),
	}
	var err error
	if b.signer, err = NewSigner(issuer, b.keys); err != nil {
		t.Fatal(err)
	}
	b.verifier, err = NewVerifier(VerifierConfig{
		Issuer: issuer, Cluster: b.cluster, Services: []string{"groupchat", "identity"},
		Keys: func(context.Context) (JWKS, error) {
			b.fetches++
			return b.signer.JWKS(), b.away
		},
		Now: func() time.Time { return b.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) claims() Claims {
	return Claims{
		Subject: "organizations/acme/staff/s1", Session: "sess1", ID: "t1", Factors: []string{"pwd", "otp"},
		AuthTime: b.now.Add(-time.Minute), IssuedAt: b.now, Expires: b.now.Add(5 * time.Minute),
	}
}

func (b *bench) token(t testing.TB) string {
	t.Helper()
	token, err := b.signer.Sign(b.claims())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge signs any header and body.
func forge(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, body map[string]any) string {
	t.Helper()
	opts := &jose.SignerOptions{ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	token, err := compact(signer, text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerify_signedTokenNamesItsCaller(t *testing.T) {
	b := newBench(t)
	token := b.token(t)
	want := Caller{
		Name: "organizations/acme/staff/s1", Session: "sess1", Client: "guildhall", Factors: []string{"pwd", "otp"},
		AuthTime: b.now.Add(-time.Minute), Expires: b.now.Add(5 * time.Minute),
	}
	for _, when := range []string{"verified", "remembered"} {
		got, err := b.verifier.Verify(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
}

func TestVerify_refuses(t *testing.T) {
	b := newBench(t)
	private, id := b.keys.Current.Private, b.keys.Current.ID
	public := private.Public().(ed25519.PublicKey)
	access := map[jose.HeaderKey]any{"typ": "at+jwt", "kid": id}
	body := func(changes map[string]any) map[string]any {
		out := map[string]any{
			"iss": issuer, "aud": "guildhall", "sub": "organizations/acme/staff/s1", "org": "organizations/acme",
			"sid": "sess1", "jti": "t1", "iat": b.now.Unix(), "nbf": b.now.Unix(), "exp": b.now.Add(5 * time.Minute).Unix(),
		}
		maps.Copy(out, changes)
		maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
		return out
	}
	signed := func(changes map[string]any) string { return forge(t, jose.EdDSA, private, access, body(changes)) }
	with := func(header map[jose.HeaderKey]any) string { return forge(t, jose.EdDSA, private, header, body(nil)) }
	good := signed(nil)
	if _, err := b.verifier.Verify(t.Context(), good); err != nil {
		t.Fatalf("the token that the others are made from: %v", err)
	}
	parts := strings.Split(good, ".")
	raw := base64.RawURLEncoding
	tampered := strings.Replace(string(mustDecode(t, parts[1])), "staff/s1", "staff/s2", 1)
	foreign := newKey(t)
	service := func(iss, aud string, key *ClusterKey, lifetime time.Duration) string {
		secret, err := key.derive(iss)
		if err != nil {
			t.Fatal(err)
		}
		return forge(t, jose.HS256, secret, map[jose.HeaderKey]any{"typ": serviceType}, map[string]any{
			"iss": iss, "aud": aud, "iat": b.now.Unix(), "exp": b.now.Add(lifetime).Unix(),
		})
	}

	const invalid, expired = "TOKEN_INVALID", "TOKEN_EXPIRED"
	for name, c := range map[string]struct{ token, reason string }{
		"empty":            {"", invalid},
		"not a token":      {"hello", invalid},
		"huge":             {good + strings.Repeat("A", maxToken), invalid},
		"truncated":        {good[:len(good)-20], invalid},
		"without a part":   {parts[0] + "." + parts[1], invalid},
		"tampered payload": {parts[0] + "." + raw.EncodeToString([]byte(tampered)) + "." + parts[2], invalid},
		"alg none":         {raw.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+id+`"}`)) + "." + parts[1] + ".", invalid},
		"alg none with a signature": {
			raw.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+id+`"}`)) + "." + parts[1] + "." + parts[2], invalid},
		"HS256 under the public key": {forge(t, jose.HS256, []byte(public), access, body(nil)), invalid},
		"HS512":                      {forge(t, jose.HS512, make([]byte, 64), access, body(nil)), invalid},
		"wrong typ":                  {with(map[jose.HeaderKey]any{"typ": "JWT", "kid": id}), invalid},
		"missing typ":                {with(map[jose.HeaderKey]any{"kid": id}), invalid},
		"service typ with EdDSA":     {with(map[jose.HeaderKey]any{"typ": serviceType, "kid": id}), invalid},
		"missing kid":                {with(map[jose.HeaderKey]any{"typ": "at+jwt"}), invalid},
		"unknown kid":                {with(map[jose.HeaderKey]any{"typ": "at+jwt", "kid": "other"}), invalid},
		"critical extension":         {with(map[jose.HeaderKey]any{"typ": "at+jwt", "kid": id, "crit": []string{"x"}, "x": 1}), invalid},
		"foreign key":                {forge(t, jose.EdDSA, foreign.Private, access, body(nil)), invalid},
		"key of the header itself": {forge(t, jose.EdDSA, foreign.Private,
			map[jose.HeaderKey]any{"typ": "at+jwt", "kid": id, "jwk": jose.JSONWebKey{Key: foreign.Private.Public()}}, body(nil)), invalid},
		"wrong aud":              {signed(map[string]any{"aud": "elsewhere"}), invalid},
		"missing aud":            {signed(map[string]any{"aud": nil}), invalid},
		"wrong iss":              {signed(map[string]any{"iss": "https://evil.example"}), invalid},
		"missing exp":            {signed(map[string]any{"exp": nil}), invalid},
		"missing iat":            {signed(map[string]any{"iat": nil}), invalid},
		"expired":                {signed(map[string]any{"iat": b.now.Unix() - 300, "exp": b.now.Add(-Skew).Unix()}), expired},
		"not yet valid":          {signed(map[string]any{"nbf": b.now.Add(Skew + time.Second).Unix()}), invalid},
		"issued in the future":   {signed(map[string]any{"iat": b.now.Add(Skew + time.Second).Unix()}), invalid},
		"too long a life":        {signed(map[string]any{"exp": b.now.Add(maxLifetime + time.Second).Unix()}), invalid},
		"subject of another org": {signed(map[string]any{"org": "organizations/other"}), invalid},
		"subject is a service":   {signed(map[string]any{"sub": "services/identity", "org": ""}), invalid},
		"subject is a group":     {signed(map[string]any{"sub": "organizations/acme/groups/g1"}), invalid},
		"missing session":        {signed(map[string]any{"sid": nil}), invalid},
		"missing jti":            {signed(map[string]any{"jti": nil}), invalid},
		"claims of other types":  {signed(map[string]any{"sub": 7}), invalid},

		"sister for another audience":  {service("services/groupchat", "services/feedback", b.cluster, time.Minute), invalid},
		"sister of another cluster":    {service("services/groupchat", "services/identity", NewClusterKey(), time.Minute), invalid},
		"sister with an expired token": {service("services/groupchat", "services/identity", b.cluster, -Skew), expired},
		"sister with a long token":     {service("services/groupchat", "services/identity", b.cluster, time.Hour), invalid},
		"sister that is a person":      {service("organizations/acme/staff/s1", "services/identity", b.cluster, time.Minute), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := b.verifier.Verify(t.Context(), c.token)
			if !errs.Is(err, errs.Unauthenticated) || errs.ReasonOf(err) != c.reason {
				t.Errorf("got %v, %v; want %s", caller, err, c.reason)
			}
			if caller.Name != "" {
				t.Errorf("a refused token named %q", caller.Name)
			}
		})
	}
}

func TestVerify_clocksMayDifferByTheSkew(t *testing.T) {
	b := newBench(t)
	c := b.claims()
	c.IssuedAt, c.Expires = b.now.Add(Skew), b.now.Add(Skew+time.Minute)
	early, err := b.signer.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.verifier.Verify(t.Context(), early); err != nil {
		t.Errorf("a token from a clock that is ahead: %v", err)
	}
	b.now = c.Expires.Add(Skew - time.Second)
	if _, err := b.verifier.Verify(t.Context(), early); err != nil {
		t.Errorf("a token just within the skew: %v", err)
	}
	b.now = c.Expires.Add(Skew)
	if _, err := b.verifier.Verify(t.Context(), early); errs.ReasonOf(err) != "TOKEN_EXPIRED" {
		t.Errorf("a remembered token past its time: %v", err)
	}
}

func TestSign_refusesClaimsNoTokenMayCarry(t *testing.T) {
	b := newBench(t)
	for name, spoil := range map[string]func(*Claims){
		"service":     func(c *Claims) { c.Subject = "services/identity" },
		"no account":  func(c *Claims) { c.Subject = "organizations/acme/groups/g1" },
		"no session":  func(c *Claims) { c.Session = "" },
		"no id":       func(c *Claims) { c.ID = "" },
		"no lifetime": func(c *Claims) { c.Expires = c.IssuedAt },
		"two hours":   func(c *Claims) { c.Expires = c.IssuedAt.Add(2 * time.Hour) },
	} {
		c := b.claims()
		spoil(&c)
		if token, err := b.signer.Sign(c); err == nil {
			t.Errorf("%s: signed %q", name, token)
		}
	}
	c := b.claims()
	c.Subject, c.Session = "organizations/acme/serviceAccounts/ci", ""
	if _, err := b.signer.Sign(c); err != nil {
		t.Errorf("a service account needs no session: %v", err)
	}
}

func TestBearerToken(t *testing.T) {
	for name, c := range map[string]struct {
		values        []string
		token, reason string
	}{
		"one":           {[]string{"Bearer abc"}, "abc", ""},
		"lower case":    {[]string{"bearer abc"}, "abc", ""},
		"none":          {nil, "", "TOKEN_MISSING"},
		"duplicate":     {[]string{"Bearer abc", "Bearer def"}, "", "TOKEN_INVALID"},
		"other scheme":  {[]string{"Basic abc"}, "", "TOKEN_INVALID"},
		"without token": {[]string{"Bearer "}, "", "TOKEN_INVALID"},
		"bare":          {[]string{"abc"}, "", "TOKEN_INVALID"},
	} {
		token, err := BearerToken(c.values)
		if token != c.token || errs.ReasonOf(err) != c.reason {
			t.Errorf("%s: got %q, %v", name, token, err)
		}
	}
}

func mustDecode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzVerify(f *testing.F) {
	b := newBench(f)
	good := b.token(f)
	f.Add(good)
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := b.verifier.Verify(t.Context(), token)
		// Base64 leaves unused bits at the end of a part, so more than one
		// spelling of the good token verifies; no other caller may come out.
		if err == nil && caller.Name != "organizations/acme/staff/s1" {
			t.Fatalf("%q verified as %v", token, caller)
		}
		if _, ours := errors.AsType[*errs.Error](err); err != nil && !ours {
			t.Fatalf("%q: %v", token, err)
		}
	})
}
