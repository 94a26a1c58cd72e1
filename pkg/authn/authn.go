// Package authn says who is calling, and proves it without asking anybody.
//
// A person's or a service account's call carries an access token: a JWT that
// identity signed with Ed25519 (RFC 9068, checked by the rules of RFC 8725).
// Every process verifies it itself, with identity's published keys, so the
// gateway is trusted with nothing and identity may be away. A call from one of
// the suite's own services carries a service token, which the service mints
// from the cluster's shared key for one other service.
//
// The package does not decide what a caller may do (see authz), and it does
// not know whether an account has been suspended since its token was signed:
// that is asked with each permission check.
package authn

import (
	"context"
	"strings"
	"time"

	"guildhall.dev/pkg/resource"
)

// Kind is what sort of account a caller is.
type Kind uint8

const (
	// Unknown is the kind of a name that is no account's.
	Unknown Kind = iota
	// Staff is an employee of an organisation.
	Staff
	// Customer is a customer of an organisation.
	Customer
	// ServiceAccount is a program that an organisation lets in.
	ServiceAccount
	// System is one of the suite's own services.
	System
)

// String returns the kind in one lower-camel word, for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Staff:
		return "staff"
	case Customer:
		return "customer"
	case ServiceAccount:
		return "serviceAccount"
	case System:
		return "system"
	default:
		return "unknown"
	}
}

// Caller is who a verified token speaks for. It is a value to read; its slice
// is shared and must not be changed.
type Caller struct {
	// Name is the account's resource name, as in "organizations/acme/staff/s1",
	// "organizations/acme/customers/c1", "organizations/acme/serviceAccounts/x",
	// or "services/groupchat" for one of the suite's own.
	Name string
	// Session is the id of the login that the token belongs to; "" for service
	// accounts without one and for the suite's own services.
	Session string
	// Client is the OAuth client the token was given to; "" for the suite's own
	// services.
	Client string
	// Factors are the authentication methods of the session, in the words of
	// RFC 8176: "pwd", "otp", "hwk".
	Factors []string
	// AuthTime is when the person last proved who they are; zero when unknown.
	AuthTime time.Time
	// Expires is when the token ends.
	Expires time.Time
}

// Kind returns what sort of account the caller is. It is read off the name, so
// no token can claim one kind and carry another's name.
func (c Caller) Kind() Kind {
	kind, _, _ := ParseName(c.Name)
	return kind
}

// Organization returns the name of the caller's organisation, as in
// "organizations/acme"; "" for the suite's own services.
func (c Caller) Organization() string {
	_, org, _ := ParseName(c.Name)
	return org
}

// Service returns the short name of the suite's own service that is calling,
// as in "groupchat"; "" for everybody else.
func (c Caller) Service() string {
	if service, ok := strings.CutPrefix(c.Name, servicePrefix); ok && c.Kind() == System {
		return service
	}
	return ""
}

const servicePrefix = "services/"

// ServiceName returns the caller name of one of the suite's own services:
// "services/groupchat" for "groupchat".
func ServiceName(service string) string { return servicePrefix + service }

// maxName bounds an account name. The longest that identity makes is far
// below.
const maxName = 256

// ParseName reads the name of an account. It returns its kind and the name of
// its organisation ("" for System), and false when the name is no account's.
func ParseName(name string) (kind Kind, organization string, ok bool) {
	if len(name) > maxName {
		return Unknown, "", false
	}
	if service, found := strings.CutPrefix(name, servicePrefix); found {
		if !resource.ValidID(service) {
			return Unknown, "", false
		}
		return System, "", true
	}
	rest, found := strings.CutPrefix(name, "organizations/")
	if !found {
		return Unknown, "", false
	}
	org, rest, _ := strings.Cut(rest, "/")
	collection, id, _ := strings.Cut(rest, "/")
	switch collection {
	case "staff":
		kind = Staff
	case "customers":
		kind = Customer
	case "serviceAccounts":
		kind = ServiceAccount
	}
	if kind == Unknown || !resource.ValidID(org) || !resource.ValidID(id) {
		return Unknown, "", false
	}
	return kind, name[:len("organizations/")+len(org)], true
}

// CallerKey is the key of a context's value that is the caller, a *Caller: for
// contexts that answer to it by themselves.
type CallerKey struct{}

// WithCaller returns a context that carries the caller. The interceptors of
// pkg/rpc call it; a test or a background job that acts for somebody may too.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, CallerKey{}, &c)
}

// FromContext returns the caller of the running call, and false for a call
// that anybody may make.
func FromContext(ctx context.Context) (Caller, bool) {
	if c, ok := ctx.Value(CallerKey{}).(*Caller); ok {
		return *c, true
	}
	return Caller{}, false
}

// CallerOf is FromContext for who runs behind the interceptors: the zero Caller
// holds nothing.
func CallerOf(ctx context.Context) Caller {
	c, _ := FromContext(ctx)
	return c
}
