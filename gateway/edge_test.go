package gateway

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestEdge_servicesSeeTheClientThroughIt(t *testing.T) {
	s := newSuite(t)
	var address, language, id string
	s.whoAmI = func(ctx context.Context) (*identityv1.WhoAmIResponse, error) {
		address, language, id = rpc.RemoteAddress(ctx).String(), rpc.AcceptLanguage(ctx), rpc.RequestID(ctx)
		return &identityv1.WhoAmIResponse{}, nil
	}
	resp := s.get("/identity/v1/me", "Accept-Language", "zh-CN", "X-Request-Id", "r-77", "X-Forwarded-For", "6.6.6.6")
	if resp.StatusCode != 200 || address != "127.0.0.1" || language != "zh-CN" || id != "r-77" {
		t.Errorf("answered %d; the service sees %s, %s, %s", resp.StatusCode, address, language, id)
	}
}

func TestEdge_errorsOfServicesAreProblems(t *testing.T) {
	s := newSuite(t)
	r, err := http.NewRequest("GET", s.server.URL+"/identity/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := s.do(r, "Authorization", "Bearer x.y.z", "Accept-Language", "zh")
	body, _ := io.ReadAll(resp.Body)
	p := jsonOf(t, body)
	if resp.StatusCode != 401 || p["reason"] != "TOKEN_INVALID" || p["title"] != "令牌无效" {
		t.Errorf("answered %d %s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("WWW-Authenticate"); got != `Bearer realm="guildhall", error="invalid_token"` {
		t.Errorf("the challenge is %q", got)
	}

	resp, err = http.Post(s.server.URL+"/identity/v1/sessions:login", "application/json",
		strings.NewReader(`{"organization":"organizations/acme","identifier":"","password":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ = io.ReadAll(resp.Body)
	if p = jsonOf(t, body); resp.StatusCode != 400 || p["reason"] != "VALIDATION_FAILED" || !strings.Contains(string(body), `"field":"identifier"`) {
		t.Errorf("answered %d %s", resp.StatusCode, body)
	}
}

func TestDocs_areServedOffline(t *testing.T) {
	h := newHandler(t, &calls{})
	w := send(t, h, "GET", "/", "")
	if w.Code != http.StatusFound || w.Header().Get("Location") != "/docs" {
		t.Errorf("/ answers %d to %s", w.Code, w.Header().Get("Location"))
	}
	for path, contentType := range map[string]string{
		"/docs": "text/html; charset=utf-8", "/docs/docs.js": "text/javascript; charset=utf-8",
		"/docs/docs.css": "text/css; charset=utf-8", "/docs/permissions.json": "application/json", "/openapi.json": "application/json",
	} {
		w := send(t, h, "GET", path, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != contentType || w.Header().Get("ETag") == "" {
			t.Errorf("%s answers %d %v", path, w.Code, w.Header())
		}
		if strings.Contains(w.Body.String(), "src=\"http") || strings.Contains(w.Body.String(), "@import") {
			t.Errorf("%s loads something from elsewhere", path)
		}
		if again := send(t, h, "GET", path, "", "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s answers %d the second time", path, again.Code)
		}
	}
	var permissions map[string]string
	if err := json.Unmarshal(send(t, h, "GET", "/docs/permissions.json", "").Body.Bytes(), &permissions); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"CustomerService_CreateCustomer": "identity.customers.create", "AuthService_Login": "public",
		"AuthService_WhoAmI": "authenticated", "CustomerService_ImportCustomers": "identity.customers.import",
		"OrderService_ImportOrders": "identity.orders.import",
	} {
		if permissions[id] != want {
			t.Errorf("%s needs %q, want %q", id, permissions[id], want)
		}
	}
}

func TestKeys_areAtTheirWellKnownPlace(t *testing.T) {
	s := newSuite(t)
	resp := s.get("/.well-known/jwks.json")
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/jwk-set+json" ||
		string(body) != `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"k1"}]}` {
		t.Errorf("answered %d %v %s", resp.StatusCode, resp.Header, body)
	}
}

func TestCompression_isForLargeAnswers(t *testing.T) {
	long := &identityv1.ListCustomersResponse{}
	for range 50 {
		long.Customers = append(long.Customers, &identityv1.Customer{Name: "organizations/acme/customers/c1", DisplayName: "somebody"})
	}
	h := newHandler(t, &calls{answer: func(_ string, _, reply proto.Message) error { return fill(reply, long) }})
	w := send(t, h, "GET", customers, "", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Accept-Encoding") {
		t.Fatalf("headers are %v", w.Header())
	}
	r, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || strings.Count(string(text), "somebody") != 50 {
		t.Errorf("unpacks to %d bytes, %v", len(text), err)
	}
	if w := send(t, h, "GET", customers, ""); w.Header().Get("Content-Encoding") != "" {
		t.Error("a client that did not ask gets a compressed answer")
	}
	c := &calls{answer: func(string, proto.Message, proto.Message) error {
		return errs.NotFoundName("CUSTOMER_NOT_FOUND", "organizations/acme/customers/"+strings.Repeat("c", 2000))
	}}
	if w := send(t, newHandler(t, c), "GET", customer, "", "Accept-Encoding", "gzip"); w.Code != 404 || w.Header().Get("Content-Length") != "" && w.Header().Get("Content-Encoding") != "" {
		t.Errorf("a long problem answers %d %v", w.Code, w.Header())
	}
}

func BenchmarkUnary(b *testing.B) {
	s := newSuite(b)
	token := s.token()
	b.Run("direct", func(b *testing.B) {
		client := identityv1.NewAuthServiceClient(s.direct)
		ctx := metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+token)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.WhoAmI(ctx, &identityv1.WhoAmIRequest{}); err != nil {
					b.Error(err)
				}
			}
		})
	})
	// Without a network on the HTTP side, as the direct call has none.
	b.Run("gateway", func(b *testing.B) {
		h := s.server.Config.Handler
		r := httptest.NewRequest("GET", "/identity/v1/me", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r.Clone(b.Context())); w.Code != 200 {
					b.Error(w.Body)
				}
			}
		})
	})
}
