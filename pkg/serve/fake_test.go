package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// childVariable makes the test binary a program of the suite, so that signals
// and exit codes are tested on a real process.
const childVariable = "GUILDHALL_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		Main("guildhall", newFake(), newEdge())
	}
	os.Exit(m.Run())
}

// fake is a small identity: two of its RPCs, with behaviour to test against.
type fake struct {
	identityv1.UnimplementedAuthServiceServer
	identityv1.UnimplementedIdentityEventServiceServer
	cfg     *fakeConfig
	kit     *Kit
	store   kv.Store
	inSlow  chan struct{} // closed once a slow call is in its handler
	once    sync.Once
	onClose func()
}

type fakeConfig struct {
	// Slow says when GetJwks returns: at once, when the process drains, or
	// never before its context ends.
	Slow     string `yaml:"slow" enum:"no,drain,never" doc:"When a call returns."`
	Fail     string `yaml:"fail" doc:"Error of the background work."`
	NotReady string `yaml:"not_ready" doc:"What readiness misses."`
	Password string `yaml:"password" secret:"true" doc:"A secret."`
}

func newFake() Builder { return newFakeWith(func() {}) }

func newFakeWith(onClose func()) Builder {
	cfg := &fakeConfig{Slow: "no"}
	return Builder{Name: "identity", Config: cfg, Build: func(ctx context.Context, kit *Kit) (Service, error) {
		store, err := kit.OpenStore(ctx, []string{"things"}, []kv.Migration{{
			Number: 1, Name: "first_thing", Run: func(ctx context.Context, s kv.Store) error {
				return s.Update(ctx, func(tx kv.Tx) error { return tx.Put("things", []byte("a"), []byte("planted secret")) })
			},
		}})
		if err != nil {
			return nil, err
		}
		counter, err := kit.Meter.Int64Counter("guildhall.fake.builds")
		if err != nil {
			return nil, err
		}
		counter.Add(ctx, 1)
		return &fake{cfg: cfg, kit: kit, store: store, inSlow: make(chan struct{}), onClose: onClose}, nil
	}}
}

func (f *fake) Name() string { return "identity" }

func (f *fake) Register(r grpc.ServiceRegistrar) {
	identityv1.RegisterAuthServiceServer(r, f)
	identityv1.RegisterIdentityEventServiceServer(r, f)
}

func (f *fake) Run(ctx context.Context) error {
	if f.cfg.Fail != "" {
		return errors.New(f.cfg.Fail)
	}
	<-ctx.Done()
	return nil
}

func (f *fake) Ready(context.Context) error {
	if f.cfg.NotReady != "" {
		return fmt.Errorf("%s is missing", f.cfg.NotReady)
	}
	return nil
}

func (f *fake) Close() error {
	f.onClose()
	return nil
}

// GetJwks is the slow call. At its end it asks a sister service of the
// process, which must still answer while the process drains.
func (f *fake) GetJwks(ctx context.Context, _ *identityv1.GetJwksRequest) (*identityv1.GetJwksResponse, error) {
	switch f.cfg.Slow {
	case "no":
		return &identityv1.GetJwksResponse{}, nil
	case "never":
		f.once.Do(func() { close(f.inSlow) })
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.once.Do(func() { close(f.inSlow) })
	<-Draining(ctx)
	_, err := healthv1.NewHealthClient(f.kit.Dial("gateway")).Check(ctx, &healthv1.HealthCheckRequest{})
	return &identityv1.GetJwksResponse{}, err
}

// StreamEvents sends a first message at once and a second when a slow call is
// under way, and then waits for the end of its context, as a handler does that
// knows nothing of draining.
func (f *fake) StreamEvents(_ *eventv1.StreamEventsRequest, s grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	if err := s.Send(&eventv1.StreamEventsResponse{}); err != nil {
		return err
	}
	select {
	case <-f.inSlow:
	case <-s.Context().Done():
		return s.Context().Err()
	}
	if err := s.Send(&eventv1.StreamEventsResponse{}); err != nil {
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

// edge is a small gateway.
type edge struct{ kit *Kit }

func newEdge() Builder {
	return Builder{Name: "gateway", Edge: true, Build: func(_ context.Context, kit *Kit) (Service, error) { return &edge{kit}, nil }}
}

func (e *edge) Name() string                    { return "gateway" }
func (e *edge) Register(grpc.ServiceRegistrar)  {}
func (e *edge) Run(ctx context.Context) error   { <-ctx.Done(); return nil }
func (e *edge) Ready(ctx context.Context) error { return nil }
func (e *edge) Close() error                    { return nil }

// Handler answers /jwks with a call to identity, and /wait when the process
// drains.
func (e *edge) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		if _, err := identityv1.NewAuthServiceClient(e.kit.Dial("identity")).GetJwks(r.Context(), &identityv1.GetJwksRequest{}); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-Draining(r.Context())
		fmt.Fprint(w, "drained")
	})
	return mux
}

// buffer is a bytes.Buffer that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// program is a program that runs in the test's process.
type program struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
	stderr *buffer
	data   string
	at     Addresses
}

// begin runs "serve" with free ports and a fresh folder, and does not wait.
func begin(t *testing.T, builders []Builder, args ...string) (p *program, readyFile string) {
	t.Helper()
	data := t.TempDir()
	readyFile = filepath.Join(data, "ready.json")
	ctx, cancel := context.WithCancel(t.Context())
	p = &program{t: t, cancel: cancel, done: make(chan error, 1), stderr: &buffer{}, data: data}
	all := append([]string{"serve", "--ready-file=" + readyFile, "--data=" + data, "--grpc.address=127.0.0.1:0",
		"--http.address=127.0.0.1:0", "--admin.address=127.0.0.1:0", "--drain.timeout=5s", "--drain.streams=10ms"}, args...)
	go func() { p.done <- Run(ctx, "guildhall", all, io.Discard, p.stderr, builders...) }()
	t.Cleanup(func() { p.cancel() })
	return p, readyFile
}

// start is begin, until ready.
func start(t *testing.T, builders []Builder, args ...string) *program {
	t.Helper()
	p, readyFile := begin(t, builders, args...)
	p.at = awaitReady(t, readyFile, func() error {
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("the program ended: %v\n%s", err, p.stderr)
		default:
			return nil
		}
	})
	return p
}

// stop stops the program and returns its error.
func (p *program) stop() error {
	p.t.Helper()
	p.cancel()
	return p.end()
}

func (p *program) end() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(20 * time.Second):
		p.t.Fatalf("the program does not end:\n%s", p.stderr)
		return nil
	}
}

// get asks an HTTP server and returns status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
