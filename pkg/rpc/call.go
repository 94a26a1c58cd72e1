package rpc

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/telemetry"
)

// RequestIDHeader is the metadata key of the request id.
const RequestIDHeader = "x-request-id"

// maxRequestID and maxLanguage bound what a forwarder passes on.
const (
	maxRequestID = 128
	maxLanguage  = 256
)

// call is what the interceptors know of a running call. They fill it before
// the handler runs; from then on it is read-only.
type call struct {
	rule     *authz.Rule
	method   string
	start    time.Time
	caller   authn.Caller // zero on public calls
	remote   netip.Addr
	language string

	// passed is the request id that came with the call; else made is one, as soon
	// as somebody asks.
	passed string
	made   atomic.Pointer[string]
}

// id returns the request id.
func (c *call) id() string {
	if c.passed != "" {
		return c.passed
	}
	if c.made.Load() == nil {
		id := rand.Text()
		c.made.CompareAndSwap(nil, &id)
	}
	return *c.made.Load()
}

// fromSister reports whether one of the suite's own services calls. It has a
// rule then.
func (c *call) fromSister() bool { return c.rule != nil && c.caller.Kind() == authn.System }

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// RequestID returns the id that names the running call in every process's
// logs, or "" outside of one. It is the gateway's or a sister service's when
// the call came from one, else a new one.
func RequestID(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.id()
	}
	return ""
}

// RemoteAddress returns the address that the caller connects from: what the
// gateway saw, when the gateway proved itself, else the connection's other end.
// It is the zero Addr outside of a call and for calls within the process.
func RemoteAddress(ctx context.Context) netip.Addr {
	if c := callOf(ctx); c != nil {
		return c.remote
	}
	return netip.Addr{}
}

// AcceptLanguage returns the caller's Accept-Language header (RFC 9110 section
// 12.5.4), or "" when it sent none or did not come through the gateway.
func AcceptLanguage(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.language
	}
	return ""
}

// identify fills in the request id, if one came along, and where the call comes
// from. What the
// metadata says counts only from those who proved who they are: a stranger
// could put another's address in an audit entry, or hide in another's request.
func (c *call) identify(ctx context.Context, forwarded bool) {
	c.remote = peerAddress(ctx)
	if forwarded {
		if a, ok := forwardedAddress(ctx); ok {
			c.remote = a
		}
		if l := first(ctx, "accept-language"); len(l) <= maxLanguage {
			c.language = l
		}
	}
	if forwarded || c.caller.Kind() == authn.System {
		if id := first(ctx, RequestIDHeader); ValidRequestID(id) {
			c.passed = id
		}
	}
}

func first(ctx context.Context, key string) string {
	if v := metadata.ValueFromIncomingContext(ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// ValidRequestID reports whether id is one that logs and headers carry as it
// is: letters, digits and the marks of UUIDs, ULIDs and base64url.
func ValidRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-_.:", r)
	})
}

// forwardedAddress returns the last entry of x-forwarded-for: the one that the
// gateway wrote itself. Those before it are whatever the client sent.
func forwardedAddress(ctx context.Context) (netip.Addr, bool) {
	values := metadata.ValueFromIncomingContext(ctx, "x-forwarded-for")
	if len(values) == 0 {
		return netip.Addr{}, false
	}
	hops := strings.Split(values[len(values)-1], ",")
	a, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
	return a.Unmap().WithZone(""), err == nil
}

func peerAddress(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return netip.Addr{}
	}
	tcp, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{} // an in-memory connection has no address
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// authenticate sets the caller, unless anybody may call, and identifies the
// call.
func (s *server) authenticate(ctx context.Context, c *call) error {
	forwarded, err := s.fromForwarder(ctx)
	if err == nil && c.rule != nil && c.rule.Access != authz.Public {
		c.caller, err = s.caller(ctx)
	}
	c.identify(ctx, forwarded)
	return err
}

// carried returns a context with what an authenticated call carries, beyond
// what a unaryContext answers by itself.
func (c *call) carried(ctx context.Context) context.Context {
	if c.caller.Name != "" && c.remote.IsValid() && c.caller.Kind() != authn.System {
		ctx = authz.WithAttributes(ctx, &permissionv1.Attributes{Address: c.remote.String()})
	}
	return ctx
}

// streamed returns the context of an authenticated call that is a stream.
func (c *call) streamed(ctx context.Context) context.Context {
	ctx = c.carried(telemetry.WithRequestID(ctx, c.id()))
	if c.caller.Name == "" {
		return ctx
	}
	return authn.WithCaller(ctx, c.caller)
}

func (s *server) caller(ctx context.Context) (authn.Caller, error) {
	token, err := authn.BearerToken(metadata.ValueFromIncomingContext(ctx, "authorization"))
	if err != nil {
		return authn.Caller{}, err
	}
	return s.cfg.Verifier.Verify(ctx, token)
}

// fromForwarder reports whether the call came through a process that may speak
// of others' addresses. A proof that fails is an error, not a "no": it is a
// forgery or a mistake in the configuration, and either should be seen.
func (s *server) fromForwarder(ctx context.Context) (bool, error) {
	proofs := metadata.ValueFromIncomingContext(ctx, authn.ForwarderHeader)
	if len(proofs) == 0 {
		return false, nil
	}
	if len(proofs) > 1 {
		return false, errForwarder()
	}
	forwarder, err := s.cfg.Verifier.Verify(ctx, proofs[0])
	if err != nil {
		return false, err
	}
	if !slices.Contains(s.cfg.Forwarders, forwarder.Service()) {
		return false, errForwarder()
	}
	return true, nil
}
