package serve

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/watch"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// How often readiness is asked, before and after the process is ready, and how
// often the log says what a process that is not ready waits for.
const (
	pollStarting = 20 * time.Millisecond
	pollRunning  = time.Second
	nagEvery     = 5 * time.Second
)

// prepare makes the servers and registers the services with them. There are
// two gRPC servers with the same services and interceptors: the network's, and
// one in memory for services of this process. Two, so that the network's can
// drain first while its last calls still reach their sisters, and so that TLS
// is the network's alone.
func (p *Process) prepare(hasCore bool) error {
	cfg, err := p.rpcConfig()
	if err != nil {
		return err
	}
	byUnit := map[string][]string{}
	if p.memory, err = p.newServer(cfg, byUnit); err != nil {
		return err
	}
	if hasCore {
		if cfg.TLS, err = serverTLS(p.cfg.GRPC.TLS, p.logger, "h2"); err != nil {
			return err
		}
		if p.network, err = p.newServer(cfg, byUnit, grpc.MaxConcurrentStreams(p.cfg.Limits.Streams)); err != nil {
			return err
		}
	}
	if err := p.prepareEdge(); err != nil {
		return err
	}
	p.ready.checks = checksOf(p.units, byUnit, p.redis)
	p.admin = httpServer(p.adminHandler())
	return nil
}

func (p *Process) rpcConfig() (rpc.Config, error) {
	if len(p.units) == 0 {
		return rpc.Config{}, fmt.Errorf("serve: %s has no service to run", p.program)
	}
	// The process's own questions are asked in the name of a core service:
	// edges speak for their callers.
	asking := p.units[0]
	var names []string
	for _, u := range p.units {
		if names = append(names, u.Name); asking.Edge {
			asking = u
		}
	}
	dial := func(target string) grpc.ClientConnInterface { return p.dialer.dial(asking.Builder, target) }
	if !asking.Edge {
		p.permission = permissionv1.NewCheckServiceClient(dial("permission"))
	}
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: p.cfg.Auth.Issuer, Keys: keysOf(p.units, dial), Cluster: p.dialer.cluster, Services: names,
	})
	if err != nil {
		return rpc.Config{}, err
	}
	if p.streams, err = watch.New(p.telemetry.MeterProvider().Meter("guildhall.dev/pkg/watch")); err != nil {
		return rpc.Config{}, err
	}
	checker, discloser := checkerOf(p.units, dial)
	return rpc.Config{
		Streams: p.streams, Verifier: verifier, Checker: checker, Discloser: discloser, Logger: p.logger,
		Meter: p.telemetry.MeterProvider(), Tracer: p.telemetry.TracerProvider(),
		DefaultDeadline: p.cfg.Limits.DefaultDeadline, MaxDeadline: p.cfg.Limits.MaxDeadline,
		MaxMessage: int(p.cfg.Limits.MessageSize), OnDenied: p.denials.onDenied, Values: p.sources.values,
	}, nil
}

// watchStreams has open streams authorised again when what their callers may do
// changes, until ctx ends. A process of edges has no streams of its own: those
// that it forwards end where they come from.
func (p *Process) watchStreams(ctx context.Context) {
	if p.permission == nil {
		return
	}
	p.streams.Run(ctx, func(ctx context.Context) (watch.Watch, error) { return p.permission.WatchChanges(ctx) }, p.logger)
}

// newServer makes a server with all services, health and reflection. byUnit
// takes the gRPC services that each unit registered.
func (p *Process) newServer(cfg rpc.Config, byUnit map[string][]string, extra ...grpc.ServerOption) (*grpc.Server, error) {
	options, err := rpc.ServerOptions(cfg)
	if err != nil {
		return nil, err
	}
	options = append(options, p.drain.serverOptions()...)
	options = append(options, extra...)
	server := grpc.NewServer(options...)
	var before []string
	for _, u := range p.units {
		u.service.Register(server)
		var added []string
		for name := range server.GetServiceInfo() {
			if !slices.Contains(before, name) {
				added = append(added, name)
				before = append(before, name)
				if keeper, ok := u.service.(DenialKeeper); ok {
					p.denials[name] = keeper
				}
				if source, ok := u.service.(ValueSource); ok {
					p.sources[name] = source
				}
			}
		}
		byUnit[u.Name] = append(added, u.Name)
	}
	healthv1.RegisterHealthServer(server, p.health)
	reflection.Register(server)
	return server, rpc.CheckRegistered(server)
}

func (p *Process) prepareEdge() error {
	mux := http.Handler(nil)
	for _, u := range p.units {
		edge, ok := u.service.(Edge)
		if !ok {
			continue
		}
		if mux != nil {
			return fmt.Errorf("serve: %s is a second edge: a process has one HTTP handler", u.Name)
		}
		mux = edge.Handler()
	}
	if mux == nil {
		return nil
	}
	p.edge = httpServer(p.drain.handler(mux))
	p.edge.BaseContext = func(net.Listener) context.Context {
		return WithDraining(context.Background(), p.drain.begun)
	}
	// Proxies that end TLS may speak HTTP/2 to us in clear: one connection then
	// carries many streams.
	p.edge.Protocols = new(http.Protocols)
	p.edge.Protocols.SetHTTP1(true)
	p.edge.Protocols.SetHTTP2(true)
	p.edge.Protocols.SetUnencryptedHTTP2(true)
	var err error
	p.edge.TLSConfig, err = serverTLS(p.cfg.HTTP.TLS, p.logger, "h2", "http/1.1")
	return err
}

func serveHTTP(server *http.Server, l net.Listener) error {
	if server.TLSConfig == nil {
		return server.Serve(l)
	}
	return server.ServeTLS(l, "", "")
}

// watch asks readiness until ctx ends and passes it on to gRPC's health.
func (p *Process) watch(ctx context.Context) {
	ticker := time.NewTicker(pollStarting)
	defer ticker.Stop()
	nag := time.Now().Add(nagEvery)
	for first := true; ; {
		report := p.ready.poll(ctx)
		p.reportHealth(report)
		switch {
		case report.Ready && first:
			first = false
			ticker.Reset(pollRunning)
			p.readyOnce.Do(func() { close(p.isReady) })
		case !report.Ready && time.Now().After(nag) && ctx.Err() == nil:
			nag = time.Now().Add(nagEvery)
			p.logger.Warn("not ready", "missing", report.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// reportHealth sets the status of each service's gRPC services, and of the
// whole under "". Once the drain has begun the health server ignores it.
func (p *Process) reportHealth(report *report) {
	p.health.SetServingStatus("", status(report.Ready))
	for i, c := range p.ready.checks {
		for _, name := range c.health {
			p.health.SetServingStatus(name, status(report.Checks[i].OK))
		}
	}
}

func status(ok bool) healthv1.HealthCheckResponse_ServingStatus {
	if ok {
		return healthv1.HealthCheckResponse_SERVING
	}
	return healthv1.HealthCheckResponse_NOT_SERVING
}
