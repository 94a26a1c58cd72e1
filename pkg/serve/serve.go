// Package serve is the process kit: it turns services into a running process
// and takes care of everything that is not a service's own business.
//
// A main function is one call:
//
//	func main() { serve.Main("permission", permission.Builder()) }
//
// That gives the program its command line (serve, config check|print|default,
// backup, version), strict configuration (pkg/conf), logs, traces and metrics
// (pkg/telemetry), one gRPC server with health and reflection, one HTTP server
// when a service is an edge, an admin server, TLS with reload, readiness that
// names what is missing, and a drain with a deadline. The all-in-one binary
// passes several builders and is the same in every other way: services that
// share a process still reach each other through Kit.Dial and its
// interceptors, so splitting them later is only configuration.
//
// # Start
//
// All ports are bound first, so that a taken one is reported before anything
// is written. Then every service is built, in the order of the builders; then
// the servers begin to answer and each Run starts; the process is ready when
// every Ready returns nil.
//
// # Stop
//
// On SIGTERM or SIGINT readiness turns false and health says NOT_SERVING;
// after the configured lame-duck time the servers take no new calls, running
// calls finish, and open streams end with Unavailable and SERVER_DRAINING (see
// Draining). Then the contexts of Run end, and services close in reverse
// order. What still runs at the drain deadline is cut off and the program
// exits with 1. A second signal exits at once with 128 plus its number.
//
// The package knows no service and holds no business rule. Only Main calls
// os.Exit.
package serve

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
)

// Service is one service of the suite, as its Builder makes it.
type Service interface {
	// Name is the service's name and that of its configuration section, as in
	// "permission". It equals the builder's.
	Name() string

	// Register registers the service's gRPC handlers. It is called once for
	// each server of the process (the network's and the one in memory), before
	// either serves, so it must not remember r.
	Register(r grpc.ServiceRegistrar)

	// Run does the background work and returns nil once ctx has ended. It
	// returns earlier only with an error, which brings the process down: a
	// service without background work waits for ctx. A passing fault (a sister
	// service away, the store contended) is the service's own to retry.
	Run(ctx context.Context) error

	// Ready returns nil, or an error whose text names what is missing. It is
	// asked often and must answer within a second; it must not change
	// anything.
	Ready(ctx context.Context) error

	// Close releases what Build opened. It is called once, after Run returned
	// and the servers drained, and also when the process failed to start. The
	// store of Kit.OpenStore is closed afterwards, by the process.
	Close() error
}

// Edge is a Service that answers HTTP: the gateway. The process serves its
// handler on process.http.address. Its Builder has Edge set, because ports are
// bound before services are built.
type Edge interface {
	Service

	// Handler returns the HTTP handler. It is called once, after Build of every
	// service. A long response ends when Draining(r.Context()) is closed.
	Handler() http.Handler
}

// Kit is what a process gives each service it runs. Its fields are read-only.
type Kit struct {
	// Name is the service's name.
	Name string
	// Logger carries the service's name and adds the trace and request id of
	// the context. Use its Context methods.
	Logger *slog.Logger
	// Meter and Tracer carry the service's name as their scope.
	Meter  metric.Meter
	Tracer trace.Tracer
	// Ring is the service's keyset. Stores of OpenStore are sealed with it
	// already; it is here for keyed hashes of index keys and for sealing what
	// leaves the store (Redis).
	Ring *seal.Ring
	// Redis is nil when none is configured. It may be away at any time: what
	// is kept there makes the service fast, never right.
	Redis redis.UniversalClient
	// Console is the standard error of the process: for what the person who
	// started it must be told once and no log may keep, as a first password.
	Console io.Writer
	// Clock returns the time. Tests replace it.
	Clock func() time.Time
	// Issuer is the issuer of access tokens (process.auth.issuer): the URL
	// clients know the gateway by.
	Issuer string
	// Folder is where the service may keep files of its own, beside its store.
	// It is not created.
	Folder string

	// OpenStore opens the service's store, seals it and brings its tables up
	// to date with the migrations. Tables are raw names, as of kv.RawTables. It
	// is called at most once, from Build; the process closes the store after
	// Service.Close.
	OpenStore func(ctx context.Context, tables []string, migrations []kv.Migration) (kv.Store, error)

	// SharedKey returns the installation's secret key for a purpose, 32 bytes:
	// the same in every process, from process.auth.cluster_key_file. It is for
	// what one replica of a service that keeps nothing signs and another
	// verifies; what is stored is for Ring. The error is a defect of the
	// program.
	SharedKey func(purpose string) ([]byte, error)

	// Dial returns the connection to a sister service: in memory when it runs
	// in this process, else over the network, with this service's own token
	// attached either way. It neither blocks nor fails; calls fail with
	// Unavailable while the other is away. Do not wait for a call inside
	// Build: a sister of the same process answers only after all are built.
	Dial func(service string) grpc.ClientConnInterface
}

// Builder describes a service to a process.
type Builder struct {
	// Name is the service's name: a lower-case word.
	Name string
	// Config points to the service's own configuration, holding the defaults;
	// it is filled before Build. Nil when the service has none. Its section of
	// the file also takes the keys of conf.Overrides.
	Config any
	// Build makes the service. It opens stores and loads what must be there
	// before the first call; it does not start work that outlives it.
	Build func(ctx context.Context, kit *Kit) (Service, error)
	// Edge says that the service answers HTTP: what Build returns must be an
	// Edge.
	Edge bool
	// Commands are further commands of the program. A Builder that only has
	// these (see WithCommand) is no service.
	Commands []Command
}
