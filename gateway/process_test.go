package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/serve"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

const processIssuer = "http://127.0.0.1:7780"

// startProcess runs the gateway, and more services, as a process does.
func startProcess(t *testing.T, more ...serve.Builder) *serve.Process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guildhall.yaml")
	text := fmt.Sprintf("process:\n  data: %s\n  grpc: {address: 127.0.0.1:0}\n  http: {address: 127.0.0.1:0}\n  admin: {address: 127.0.0.1:0}\n", t.TempDir())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := serve.Start(t.Context(), "guildhall", append(more, Builder()), nil, conf.Source{File: file}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ready()
	return p
}

func TestProcess_ofTheGatewayAloneAnswersAndStops(t *testing.T) {
	p := startProcess(t)
	base := "http://" + p.Addresses().HTTP
	for path, want := range map[string]int{"/docs": 200, "/openapi.json": 200, "/identity/v1/me": 503, streamPath: 503, "/x": 404} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s answers %d, want %d", path, resp.StatusCode, want)
		}
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestProcess_speaksHTTP2InClear(t *testing.T) {
	p := startProcess(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + p.Addresses().HTTP + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("answered %d over %s", resp.StatusCode, resp.Proto)
	}
	transport.CloseIdleConnections()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// TestStream_endsWhenTheProcessDrains: open streams say that the server
// restarts, and the process stops without cutting anything off.
func TestStream_endsWhenTheProcessDrains(t *testing.T) {
	chat := newQuietChat(t)
	p := startProcess(t, chat.builder())
	request := func(accept string) *bufio.Reader {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Addresses().HTTP+streamPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+chat.token(t))
		r.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", resp.StatusCode)
		}
		return bufio.NewReader(resp.Body)
	}
	asEvents, asLines := request("text/event-stream"), request("")
	if got := line(t, asEvents); got != "retry: 1000" {
		t.Errorf("the stream begins with %q", got)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	for form, r := range map[string]*bufio.Reader{"event: error\ndata: {": asEvents, `{"problem":{`: asLines} {
		rest, err := io.ReadAll(r)
		if err != nil || !strings.Contains(string(rest), form) || !strings.Contains(string(rest), `"reason":"SERVER_DRAINING"`) {
			t.Errorf("the stream ends with %q, %v", rest, err)
		}
	}
}

// quietChat is a groupchat in which nobody says anything. It also has the keys
// and the permissions that its process needs.
type quietChat struct {
	groupchatv1.UnimplementedMessageServiceServer
	signer *authn.Signer
}

func newQuietChat(t *testing.T) *quietChat {
	t.Helper()
	key, err := authn.NewSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := authn.NewSigner(processIssuer, authn.KeySet{Current: key})
	if err != nil {
		t.Fatal(err)
	}
	return &quietChat{signer: signer}
}

func (c *quietChat) builder() serve.Builder {
	return serve.Builder{Name: "groupchat", Build: func(context.Context, *serve.Kit) (serve.Service, error) { return c, nil }}
}

func (c *quietChat) token(t *testing.T) string {
	t.Helper()
	token, err := c.signer.Sign(authn.Claims{
		Subject: "organizations/acme/staff/s1", Session: "sess1", ID: "t1", IssuedAt: time.Now(), Expires: time.Now().Add(5 * time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (c *quietChat) StreamMessages(_ *groupchatv1.StreamMessagesRequest, stream messageStream) error {
	select {
	case <-stream.Context().Done():
		return stream.Context().Err()
	case <-serve.Draining(stream.Context()):
		return serve.ErrDraining()
	}
}

func (c *quietChat) Name() string                             { return "groupchat" }
func (c *quietChat) Register(r grpc.ServiceRegistrar)         { groupchatv1.RegisterMessageServiceServer(r, c) }
func (c *quietChat) Ready(context.Context) error              { return nil }
func (c *quietChat) Close() error                             { return nil }
func (c *quietChat) Checker() authz.Checker                   { return members{} }
func (c *quietChat) Discloser() authz.Discloser               { return nil }
func (c *quietChat) Keys(context.Context) (authn.JWKS, error) { return c.signer.JWKS(), nil }

func (c *quietChat) Values(ctx context.Context, rule *authz.Rule, request proto.Message) (authz.Values, error) {
	return generalOnly(ctx, rule, request)
}

func (c *quietChat) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
