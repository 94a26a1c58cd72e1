// Package gateway is the HTTP edge of the suite: REST and JSON for every
// public RPC, streams for phones and browsers, the OpenAPI document and a page
// to read it.
//
// grpc-gateway transcodes; what it lacks for the open internet is here. The
// gateway decides nothing about who may do what: it passes the caller's token
// on, and proves beside it that it is the gateway, so that services believe
// what it says of the caller's address. It holds no state. A service that is
// away costs only its own routes.
//
// # A request
//
// The handler gives the request an id, finds the caller's address, sets the
// headers that every answer has, and refuses what no route could take. The
// service's mux (one per path prefix, because its matching is linear) decodes
// the request into a message, and the caller of rpcConn puts what HTTP says in
// headers into it: If-Match is the field etag, Idempotency-Key is request_id.
// Only then does it go to the service. The mux sees neither headers nor the
// address of a request, so nothing that a client writes there can reach a
// service by another way than the list in metadata.
package gateway

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/serve"
)

// Name is the gateway's name as a service.
const Name = "gateway"

// Builder describes the gateway to a process.
func Builder() serve.Builder {
	cfg := DefaultConfig()
	return serve.Builder{
		Name: Name, Config: &cfg, Edge: true,
		Build: func(ctx context.Context, kit *serve.Kit) (serve.Service, error) { return New(ctx, cfg, kit) },
	}
}

// New makes the gateway: a serve.Edge. It calls nobody yet. Of the kit it uses
// Logger, Meter, Tracer, Clock, Issuer, SharedKey and Dial. Errors are defects of the program.
func New(_ context.Context, cfg Config, kit *serve.Kit) (serve.Service, error) {
	if kit.Dial == nil || kit.Logger == nil || kit.Meter == nil || kit.Tracer == nil || kit.Clock == nil || kit.SharedKey == nil {
		return nil, errors.New("the gateway needs a logger, a meter, a tracer, a clock, a shared key and connections")
	}
	cfg.setDefaults()
	handler, err := newEdge(cfg, kit)
	if err != nil {
		return nil, err
	}
	return &gateway{handler}, nil
}

type gateway struct{ handler http.Handler }

func (g *gateway) Name() string { return Name }

// Register registers nothing: the gateway is a client of gRPC only.
func (g *gateway) Register(grpc.ServiceRegistrar) {}

func (g *gateway) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Ready is always yes: a service that is away must not take down the routes of
// the others. Each service answers for itself.
func (g *gateway) Ready(context.Context) error { return nil }

func (g *gateway) Close() error { return nil }

func (g *gateway) Handler() http.Handler { return g.handler }
