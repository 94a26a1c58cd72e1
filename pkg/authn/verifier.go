package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"

	"guildhall.dev/pkg/errs"
)

const (
	// Skew is how far two machines' clocks may differ: a token is good that
	// much before its time and after it.
	Skew = 30 * time.Second
	// maxToken bounds a token before anything of it is parsed.
	maxToken = 8 << 10
	// cachedTokens bounds the verified tokens that are remembered, at about
	// half a kilobyte each.
	cachedTokens = 50_000
)

// VerifierConfig is what a Verifier needs. Fields without a default are
// required.
type VerifierConfig struct {
	// Issuer is identity's issuer URL, as tokens carry it in "iss".
	Issuer string
	// Keys fetches identity's keys.
	Keys KeySource
	// Cluster verifies tokens of the suite's own services.
	Cluster *ClusterKey
	// Services are the short names of the services that this process runs; a
	// service token for any other is refused.
	Services []string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Verifier verifies access tokens and service tokens. It is safe for
// concurrent use, remembers what it verified until that expires, and needs
// identity only for new keys: without it, known keys serve for a day.
//
// It is built on go-jose rather than golang-jwt: a call there names the
// algorithms it takes, so that "none" and an HMAC under a public key fail
// while parsing, and JWS, JWK and thumbprints come from one library.
type Verifier struct {
	issuer    string
	audiences []string
	keys      *keyCache
	cluster   *ClusterKey
	now       func() time.Time
	verified  *otter.Cache[[sha256.Size]byte, *verified]
}

// verified is a token that passed. Kept under the token's hash, so that a
// memory dump holds no usable token of this cache.
type verified struct {
	caller Caller
	until  time.Time
	// kid and key are what verified an access token. It stays good only while
	// identity publishes that key.
	kid string
	key ed25519.PublicKey
}

// NewVerifier returns a verifier. It fetches no key yet.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.Issuer == "" || cfg.Keys == nil || cfg.Cluster == nil {
		return nil, errors.New("a verifier needs an issuer, a key source and the cluster key")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	// Expiry is checked at each read and dead entries are the first that a
	// full cache drops, so the cache needs no expiry of its own, nor the
	// goroutine that comes with it.
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, *verified]{MaximumSize: cachedTokens})
	if err != nil {
		return nil, fmt.Errorf("making the token cache: %w", err)
	}
	v := &Verifier{
		issuer: cfg.Issuer, keys: newKeyCache(cfg.Keys, cfg.Now),
		cluster: cfg.Cluster, now: cfg.Now, verified: cache,
	}
	for _, s := range cfg.Services {
		v.audiences = append(v.audiences, ServiceName(s))
	}
	return v, nil
}

// Verify returns whom the token speaks for. Errors are Unauthenticated with
// reason TOKEN_INVALID or TOKEN_EXPIRED, or Unavailable with KEYS_UNAVAILABLE
// when identity's keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, token string) (Caller, error) {
	if len(token) > maxToken {
		return Caller{}, invalid(errors.New("longer than 8 KiB"))
	}
	var stack [1024]byte // a plain conversion would allocate for each call
	hash := sha256.Sum256(append(stack[:0], token...))
	if hit, ok := v.verified.GetIfPresent(hash); ok {
		live, err := v.stillGood(ctx, hit)
		if err != nil {
			return Caller{}, err
		}
		if live {
			return hit.caller, nil
		}
	}
	found, err := v.verify(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	v.verified.Set(hash, found)
	return found.caller, nil
}

// stillGood reports whether a remembered token may be used; false means that
// it has to be verified again, under the key identity publishes now.
func (v *Verifier) stillGood(ctx context.Context, hit *verified) (bool, error) {
	if !v.now().Before(hit.until) {
		return false, Expired()
	}
	if hit.kid == "" {
		return true, nil
	}
	key, err := v.keys.find(ctx, hit.kid)
	return err == nil && hit.key.Equal(key), err
}

func (v *Verifier) verify(ctx context.Context, token string) (*verified, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA, jose.HS256})
	if err != nil {
		return nil, invalid(err)
	}
	// The type decides the rules and with them the one algorithm: the token
	// never chooses between them (RFC 8725 sections 3.1 and 3.11).
	header := signed.Signatures[0].Protected
	switch typ, _ := header.ExtraHeaders[jose.HeaderType].(string); {
	case strings.EqualFold(typ, accessType) && header.Algorithm == string(jose.EdDSA):
		return v.verifyAccess(ctx, signed, header.KeyID)
	case typ == serviceType && header.Algorithm == string(jose.HS256):
		return v.verifyService(signed)
	default:
		return nil, invalid(errors.New("type and algorithm are not those of a token of ours"))
	}
}

func (v *Verifier) verifyAccess(ctx context.Context, signed *jose.JSONWebSignature, kid string) (*verified, error) {
	if kid == "" {
		return nil, invalid(errors.New("no key id"))
	}
	key, err := v.keys.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, invalid(errors.New("unknown key id"))
	}
	c, err := openAccess(signed, key, v.issuer, v.now())
	if err != nil {
		return nil, err
	}
	if !c.Audience.Contains(Audience) {
		return nil, invalid(errors.New("wrong audience"))
	}
	expires := c.Expiry.Time()
	return &verified{
		caller: Caller{
			Name: c.Subject, Session: c.Session, Client: c.Client, Factors: slices.Clip(c.Factors),
			AuthTime: c.AuthTime.Time(), Expires: expires,
		},
		until: expires.Add(Skew), kid: kid, key: key,
	}, nil
}

// openAccess verifies an access token under the key and holds its claims to what
// is true of all of them; whom it is for is the caller's to judge.
func openAccess(signed *jose.JSONWebSignature, key ed25519.PublicKey, issuer string, now time.Time) (c accessClaims, err error) {
	body, err := signed.Verify(key)
	if err != nil {
		return c, invalid(err)
	}
	if err := decodeClaims(body, &c); err != nil {
		return c, err
	}
	if c.Issuer != issuer {
		return c, invalid(errors.New("wrong issuer"))
	}
	if err := checkTimes(c.Claims, now, maxLifetime); err != nil {
		return c, err
	}
	kind, organization, ok := ParseName(c.Subject)
	switch {
	case !ok || kind == System || organization != c.Organization:
		return c, invalid(errors.New("the subject is no account of its organisation"))
	case c.ID == "" || c.Session == "" && kind != ServiceAccount:
		return c, invalid(errors.New("no token id or no session"))
	}
	return c, nil
}

// BearerToken returns the token of an Authorization header's values (RFC 6750
// section 2.1). No value is TOKEN_MISSING; more than one is TOKEN_INVALID,
// because two readers might choose differently.
func BearerToken(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", errs.New(errs.Unauthenticated, "TOKEN_MISSING", "the call needs an access token")
	case 1:
		scheme, token, ok := strings.Cut(values[0], " ")
		if ok && strings.EqualFold(scheme, "Bearer") && token != "" {
			return token, nil
		}
		return "", invalid(errors.New("not a bearer token"))
	default:
		return "", invalid(errors.New("more than one authorization value"))
	}
}

// invalid is the one answer to every kind of bad token: a forger learns
// nothing from it. The cause goes to the log.
func invalid(cause error) error {
	return errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the token is not valid here", errs.Cause(cause))
}

// Expired is the answer to a token whose time is over.
func Expired() *errs.Error {
	return errs.New(errs.Unauthenticated, "TOKEN_EXPIRED", "the token has expired; get a fresh one")
}
