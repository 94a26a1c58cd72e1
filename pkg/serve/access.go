package serve

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// KeySource is a Service that has the keys that tokens are verified with:
// identity. Processes without one ask identity over RPC.
type KeySource interface {
	// Keys returns the public keys. It is safe for concurrent use.
	Keys(ctx context.Context) (authn.JWKS, error)
}

// CheckSource is a Service that answers permission checks itself: permission.
// Processes without one ask it over RPC.
type CheckSource interface {
	// Checker and Discloser are called once, after Build.
	Checker() authz.Checker
	Discloser() authz.Discloser
}

// DenialKeeper is a Service that hears of refused calls to its own RPCs, to
// keep them in its audit log.
type DenialKeeper interface {
	// OnDenied is called before the refusal is returned and must not block.
	// method is the full gRPC name, as in "/guildhall.x.v1.XService/GetX".
	OnDenied(ctx context.Context, r authz.Request, method string)
}

// ValueSource is a Service with RPCs whose rules vary by an attribute
// (authz.Rule.VariesBy): it says what the attribute may be.
type ValueSource interface {
	// Values is asked before the call is authorised, with a request that was
	// not validated and names a resource of the caller's own organisation. Of
	// what is not there, or makes no sense, it returns all values: who holds
	// the permission for none is refused, the others hear what is wrong.
	Values(ctx context.Context, rule *authz.Rule, request proto.Message) (authz.Values, error)
}

// sources passes questions for values to the services whose RPCs they are of,
// by the full name of the gRPC service. It is filled before the servers serve.
type sources map[string]ValueSource

func (s sources) values(ctx context.Context, rule *authz.Rule, request proto.Message) (authz.Values, error) {
	service, _, _ := strings.Cut(strings.TrimPrefix(rule.Method, "/"), "/")
	source, ok := s[service]
	if !ok {
		return authz.Values{}, fmt.Errorf("%s varies by %s, and its service says nothing of it", rule.Method, rule.VariesBy)
	}
	return source.Values(ctx, rule, request)
}

// denials passes refusals to the services whose RPCs they are of, by the full
// name of the gRPC service. It is filled before the servers serve.
type denials map[string]DenialKeeper

func (d denials) onDenied(ctx context.Context, r authz.Request, method string) {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if keeper, ok := d[service]; ok {
		keeper.OnDenied(ctx, r, method)
	}
}

// keysOf returns where the process gets its keys from.
func keysOf(units []*unit, dial func(string) grpc.ClientConnInterface) authn.KeySource {
	for _, u := range units {
		if source, ok := u.service.(KeySource); ok {
			return source.Keys
		}
	}
	client := identityv1.NewAuthServiceClient(dial("identity"))
	return func(ctx context.Context) (authn.JWKS, error) {
		resp, err := client.GetJwks(ctx, &identityv1.GetJwksRequest{})
		if err != nil {
			return authn.JWKS{}, err
		}
		return readKeys(resp)
	}
}

func readKeys(resp *identityv1.GetJwksResponse) (authn.JWKS, error) {
	var set authn.JWKS
	for _, k := range resp.GetKeys() {
		if k.GetKty() != "OKP" || k.GetCrv() != "Ed25519" || k.GetKid() == "" {
			continue // a newer identity may publish more kinds (RFC 7517 section 5)
		}
		key, err := base64.RawURLEncoding.DecodeString(k.GetX())
		if err != nil {
			return authn.JWKS{}, fmt.Errorf("identity published a malformed key: %w", err)
		}
		set.Keys = append(set.Keys, authn.PublicKey{ID: k.GetKid(), Key: key})
	}
	return set, nil
}

// checkerOf returns who answers the process's permission checks, and what
// callers see of data classes.
func checkerOf(units []*unit, dial func(string) grpc.ClientConnInterface) (authz.Checker, authz.Discloser) {
	for _, u := range units {
		if source, ok := u.service.(CheckSource); ok {
			return source.Checker(), source.Discloser()
		}
	}
	conn := dial("permission")
	return authz.Remote(conn), authz.RemoteDiscloser(conn)
}
