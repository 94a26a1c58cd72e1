package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

func TestServe_answersEverywhere(t *testing.T) {
	t.Setenv("GUILDHALL_IDENTITY_PASSWORD", "hunter2")
	p := start(t, []Builder{newFake(), newEdge()})
	admin := "http://" + p.at.Admin
	if code, body := get(t, admin+"/livez"); code != 200 || body != "ok\n" {
		t.Errorf("/livez: %d %q", code, body)
	}
	if code, body := get(t, admin+"/readyz"); code != 200 || body != "identity: ok\ngateway: ok\n" {
		t.Errorf("/readyz: %d %q", code, body)
	}
	if code, body := get(t, "http://"+p.at.HTTP+"/jwks"); code != 200 {
		t.Errorf("a call through the edge: %d %s", code, body)
	}
	_, body := get(t, admin+"/metrics")
	for _, name := range []string{"go_goroutines ", "guildhall_fake_builds_total{", "rpc_server_"} {
		if !strings.Contains(body, name) {
			t.Errorf("/metrics has no %s", name)
		}
	}
	_, body = get(t, admin+"/configz")
	if !strings.Contains(body, "\n  password: \"****\"") || strings.Contains(body, "hunter2") {
		t.Errorf("/configz:\n%s", body)
	}
	if code, _ := get(t, admin+"/debug/pprof/goroutine?debug=1"); code != 200 {
		t.Errorf("pprof: %d", code)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	addresses := "\n  HTTP   http://" + p.at.HTTP + " (how to use it: http://" + p.at.HTTP + "/docs)\n  gRPC   " + p.at.GRPC + "\n  admin  http://" + p.at.Admin + "\n"
	if !strings.Contains(p.stderr.String(), "guildhall is ready after ") || !strings.Contains(p.stderr.String(), addresses) {
		t.Errorf("no addresses in:\n%s", p.stderr)
	}
	if strings.Contains(p.stderr.String(), "hunter2") {
		t.Error("a secret was logged")
	}
}

func TestServe_healthAndReflection(t *testing.T) {
	p := start(t, []Builder{newFake(), newEdge()})
	conn, err := grpc.NewClient(p.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, name := range []string{"", "identity", "gateway", "guildhall.identity.v1.AuthService"} {
		resp, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
		if err != nil || resp.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", name, resp.GetStatus(), err)
		}
	}
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(resp.GetListServicesResponse().GetService()); n < 3 {
		t.Errorf("reflection lists %d services", n)
	}
	// The reflection stream waits for its client: the drain must end it.
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestServe_readyzNamesWhatIsMissing(t *testing.T) {
	data := t.TempDir()
	source := conf.Source{Flags: []conf.Setting{
		{Key: "data", Value: data}, {Key: "grpc.address", Value: "127.0.0.1:0"}, {Key: "admin.address", Value: "127.0.0.1:0"},
		{Key: "identity.not_ready", Value: "the moon"}, {Key: "redis.url", Value: "redis://127.0.0.1:1"},
	}}
	p, err := Start(t.Context(), "guildhall", []Builder{newFake()}, nil, source, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var code int
	var text string
	until(t, "asked", func() bool {
		code, text = get(t, "http://"+p.Addresses().Admin+"/readyz?format=json")
		return !strings.Contains(text, "is starting")
	})
	var got report
	if err := json.Unmarshal([]byte(text), &got); err != nil || code != http.StatusServiceUnavailable || got.Ready {
		t.Errorf("/readyz: %d %s", code, text)
	}
	if got.String() != "identity: the moon is missing" {
		t.Errorf("missing: %s", got.String())
	}
	if i := slices.IndexFunc(got.Checks, func(f finding) bool { return f.Name == "redis" }); i < 0 || got.Checks[i].OK || !got.Checks[i].Optional {
		t.Errorf("Redis is not reported: %s", text)
	}
	select {
	case <-p.Ready():
		t.Error("the process says it is ready")
	default:
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestServe_redisAwayIsReady(t *testing.T) {
	p := start(t, []Builder{newFake()}, "--redis.url=redis://127.0.0.1:1")
	if code, body := get(t, "http://"+p.at.Admin+"/readyz"); code != 200 || !strings.Contains(body, "redis: degraded: ") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestServe_takenPortWritesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, key := range []string{"grpc", "http", "admin"} {
		data := filepath.Join(t.TempDir(), "data")
		p, _ := begin(t, []Builder{newFake(), newEdge()}, "--data="+data, "--"+key+".address="+l.Addr().String())
		err := p.end()
		want := "address " + l.Addr().String() + " is in use: stop the other process or set process." + key + ".address"
		if errs.ReasonOf(err) != ReasonAddressInUse || errs.From(err).Message != want {
			t.Errorf("error is %v", err)
		}
		if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the data folder was made: %v", err)
		}
	}
}

func TestServe_secondProcessOnTheDataIsRefused(t *testing.T) {
	p := start(t, []Builder{newFake()})
	second, _ := begin(t, []Builder{newFake()}, "--data="+p.data)
	err := second.end()
	if !errs.Is(err, errs.Precondition) || !strings.Contains(explain(err), filepath.Join(p.data, "identity.db")) {
		t.Errorf("error is %v", err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestServe_failingServiceEndsTheProcess(t *testing.T) {
	p, _ := begin(t, []Builder{newFake()}, "--identity.fail=the disk is on fire")
	if err := p.end(); err == nil || err.Error() != "service identity failed: the disk is on fire" {
		t.Errorf("error is %v", err)
	}
}

func TestServe_closesInReverse(t *testing.T) {
	var closed []string
	other := func(name string) Builder {
		return Builder{Name: name, Build: func(context.Context, *Kit) (Service, error) {
			return &named{name: name, close: func() { closed = append(closed, name) }}, nil
		}}
	}
	p := start(t, []Builder{other("first"), other("second"), newFakeWith(func() { closed = append(closed, "identity") })})
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if want := []string{"identity", "second", "first"}; !slices.Equal(closed, want) {
		t.Errorf("closed %v", closed)
	}
}

func TestServe_failedBuildClosesWhatWasBuilt(t *testing.T) {
	closed := 0
	broken := Builder{Name: "broken", Build: func(context.Context, *Kit) (Service, error) {
		return nil, errs.New(errs.Precondition, "BROKEN", "it is broken")
	}}
	p, _ := begin(t, []Builder{newFakeWith(func() { closed++ }), broken})
	if err := p.end(); errs.ReasonOf(err) != "BROKEN" || explain(err) != "service broken: it is broken" {
		t.Errorf("error is %v", err)
	}
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}

func TestServe_targetRunsSome(t *testing.T) {
	p := start(t, []Builder{newFake(), newEdge()}, "-target=gateway")
	if p.at.GRPC != "" || p.at.HTTP == "" {
		t.Errorf("addresses are %+v", p.at)
	}
	code, body := get(t, "http://"+p.at.HTTP+"/jwks")
	if code != http.StatusBadGateway || !strings.Contains(body, "set process.services.identity to its address") {
		t.Errorf("a call to a service that runs nowhere: %d %s", code, body)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	p, _ = begin(t, []Builder{newFake(), newEdge()}, "--target=gatewy")
	if err := p.end(); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "there are: identity, gateway") {
		t.Errorf("error is %v", err)
	}
}

func TestServe_reachesServicesOfOtherProcesses(t *testing.T) {
	identity := start(t, []Builder{newFake(), newEdge()}, "--target=identity")
	gateway := start(t, []Builder{newFake(), newEdge()}, "--target=gateway", "--services.identity="+identity.at.GRPC,
		"--auth.cluster_key_file="+filepath.Join(identity.data, "cluster.key"))
	if code, body := get(t, "http://"+gateway.at.HTTP+"/jwks"); code != 200 {
		t.Errorf("a call between processes: %d %s", code, body)
	}
	for _, p := range []*program{gateway, identity} {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestServe_longRequestsHearOfTheDrain(t *testing.T) {
	p := start(t, []Builder{newFake(), newEdge()})
	resp, err := http.Get("http://" + p.at.HTTP + "/wait")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "drained" {
		t.Errorf("the request ended with %q, %v", body, err)
	}
}

func TestAdmin_refusesOtherHostNames(t *testing.T) {
	p := start(t, []Builder{newFake()})
	for host, want := range map[string]int{"evil.example": http.StatusMisdirectedRequest, "localhost:80": 200, "127.0.0.1": 200, "[::1]:7790": 200} {
		req, err := http.NewRequest(http.MethodGet, "http://"+p.at.Admin+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
}

func TestBackup_writesWholeSealedCopies(t *testing.T) {
	p := start(t, []Builder{newFake(), newEdge()})
	if code, _ := get(t, "http://"+p.at.Admin+"/backup?service=identity"); code != 200 {
		t.Errorf("listing: %d", code)
	}
	folder := t.TempDir()
	var out bytes.Buffer
	args := []string{"backup", "--folder", folder, "--admin.address=" + p.at.Admin, "--data=" + p.data}
	if err := Run(t.Context(), "guildhall", args, &out, io.Discard, newFake(), newEdge()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 1 || !strings.HasPrefix(filepath.Base(files[0]), "identity-") {
		t.Fatalf("files are %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("guildhall-kv-snapshot")) || bytes.Contains(text, []byte("planted secret")) {
		t.Errorf("the backup is %q", text)
	}
	err = Run(t.Context(), "guildhall", append(args, "--service=gateway"), io.Discard, io.Discard, newFake(), newEdge())
	if !errs.Is(err, errs.Precondition) {
		t.Errorf("a service without a store: %v", err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	err = Run(t.Context(), "guildhall", args, io.Discard, io.Discard, newFake(), newEdge())
	if !errs.Is(err, errs.Unavailable) {
		t.Errorf("no process: %v", err)
	}
}

// named is a service that does nothing.
type named struct {
	name  string
	close func()
}

func (n *named) Name() string                   { return n.name }
func (n *named) Register(grpc.ServiceRegistrar) {}
func (n *named) Run(ctx context.Context) error  { <-ctx.Done(); return nil }
func (n *named) Ready(context.Context) error    { return nil }
func (n *named) Close() error                   { n.close(); return nil }
