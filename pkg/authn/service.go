package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc/credentials"
)

const (
	// serviceType is the "typ" of a service token.
	serviceType = "gh-svc+jwt"
	// serviceLifetime is short because a service mints its tokens itself.
	serviceLifetime = time.Minute
	// ForwarderHeader is the metadata key under which the gateway proves that
	// it is the gateway, beside the caller's own token in "authorization".
	ForwarderHeader = "guildhall-forwarder"
)

// ServiceCredentials attaches the service token of self, for target, to each
// call as its authorization. The names are short ones, as in "groupchat".
func ServiceCredentials(key *ClusterKey, self, target string) credentials.PerRPCCredentials {
	return newServiceCredentials(key, self, target, "authorization", "Bearer ", time.Now)
}

// ForwarderCredentials attaches the same token under ForwarderHeader and
// leaves the authorization to the caller whose request is passed on.
func ForwarderCredentials(key *ClusterKey, self, target string) credentials.PerRPCCredentials {
	return newServiceCredentials(key, self, target, ForwarderHeader, "", time.Now)
}

type serviceCredentials struct {
	key            *ClusterKey
	self, target   string
	header, prefix string
	now            func() time.Time
	last           atomic.Pointer[serviceToken]
}

type serviceToken struct {
	metadata map[string]string // read-only once stored
	renew    time.Time
}

func newServiceCredentials(key *ClusterKey, self, target, header, prefix string, now func() time.Time) *serviceCredentials {
	return &serviceCredentials{
		key: key, self: ServiceName(self), target: ServiceName(target), header: header, prefix: prefix, now: now,
	}
}

// GetRequestMetadata returns the token, a new one when the last has lived half
// its life. Two calls may mint one at the same time; both are good.
func (c *serviceCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	now := c.now()
	if t := c.last.Load(); t != nil && now.Before(t.renew) {
		return t.metadata, nil
	}
	token, err := c.key.mint(c.self, c.target, now)
	if err != nil {
		return nil, err
	}
	t := &serviceToken{metadata: map[string]string{c.header: c.prefix + token}, renew: now.Add(serviceLifetime / 2)}
	c.last.Store(t)
	return t.metadata, nil
}

// RequireTransportSecurity is false: between services of one process the calls
// never leave its memory, and on one machine or in a mesh the connection is
// protected outside of gRPC. A token that is overheard opens one service for a
// minute; an installation that spans untrusted networks configures TLS.
func (c *serviceCredentials) RequireTransportSecurity() bool { return false }

// OwnName reports whether calls with these credentials are made in the
// service's own name, and not in that of the callers whose requests it passes
// on. pkg/rpc asks, to tell whose token a server refused.
func (c *serviceCredentials) OwnName() bool { return c.header != ForwarderHeader }

func (k *ClusterKey) mint(issuer, audience string, now time.Time) (string, error) {
	secret, err := k.derive(issuer)
	if err != nil {
		return "", fmt.Errorf("deriving the service key: %w", err)
	}
	opts := (&jose.SignerOptions{}).WithType(serviceType)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, opts)
	if err != nil {
		return "", fmt.Errorf("preparing the service key: %w", err)
	}
	body, err := json.Marshal(jwt.Claims{
		Issuer: issuer, Audience: jwt.Audience{audience},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(serviceLifetime)),
	})
	if err != nil {
		return "", fmt.Errorf("encoding a service token: %w", err)
	}
	return compact(signer, body)
}

func (v *Verifier) verifyService(signed *jose.JSONWebSignature) (*verified, error) {
	// Who claims to speak decides the key; a lie there fails the HMAC.
	var c jwt.Claims
	if err := decodeClaims(signed.UnsafePayloadWithoutVerification(), &c); err != nil {
		return nil, err
	}
	if kind, _, ok := ParseName(c.Issuer); !ok || kind != System {
		return nil, invalid(errors.New("the issuer is no service"))
	}
	secret, err := v.cluster.derive(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("deriving the service key: %w", err)
	}
	if _, err := signed.Verify(secret); err != nil {
		return nil, invalid(err)
	}
	if len(c.Audience) != 1 || !slices.Contains(v.audiences, c.Audience[0]) {
		return nil, invalid(errors.New("a service token for another service"))
	}
	if err := checkTimes(c, v.now(), serviceLifetime); err != nil {
		return nil, err
	}
	expires := c.Expiry.Time()
	return &verified{caller: Caller{Name: c.Issuer, Expires: expires}, until: expires.Add(Skew)}, nil
}
