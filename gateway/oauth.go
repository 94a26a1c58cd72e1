package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"guildhall.dev/gateway/internal/asset"
	"guildhall.dev/gateway/internal/oauth"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// authorizationServer serves OAuth 2.0 at its standard paths. What the requests
// mean is package oauth's and identity's.
type authorizationServer struct {
	edge *edge
	rpc  identityv1.OAuthServiceClient
	// people serves those who have forgotten the password.
	people identityv1.AuthServiceClient
	desk   *oauth.Desk
	base   string // the issuer, without a slash at its end
	// routes are the handlers, by path.
	routes map[string]http.HandlerFunc
}

func newAuthorizationServer(e *edge) (*authorizationServer, error) {
	key, err := e.kit.SharedKey("gateway login pages v1")
	if err != nil {
		return nil, fmt.Errorf("gateway: the key of login pages: %w", err)
	}
	desk, err := oauth.NewDesk(key)
	if err != nil {
		return nil, fmt.Errorf("gateway: the login page: %w", err)
	}
	s := &authorizationServer{
		edge: e, desk: desk, rpc: identityv1.NewOAuthServiceClient(e.kit.Dial("identity")),
		people: identityv1.NewAuthServiceClient(e.kit.Dial("identity")), base: strings.TrimSuffix(e.kit.Issuer, "/"),
	}
	script := asset.New(asset.Script, oauth.Script())
	read, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	s.routes = map[string]http.HandlerFunc{
		oauth.OpenIDPath:     only(e, oauth.OpenIDPath, read, s.metadata),
		oauth.ServerPath:     only(e, oauth.ServerPath, read, s.metadata),
		oauth.TokenPath:      only(e, oauth.TokenPath, post, s.form(s.token)),
		oauth.IntrospectPath: only(e, oauth.IntrospectPath, post, s.form(s.introspect)),
		oauth.RevokePath:     only(e, oauth.RevokePath, post, s.form(s.revoke)),
		oauth.UserInfoPath:   only(e, oauth.UserInfoPath, append(read, post...), s.userInfo),
		oauth.AuthorizePath:  only(e, oauth.AuthorizePath, append(read, post...), s.authorize),
		oauth.ForgottenPath:  only(e, oauth.ForgottenPath, append(read, post...), s.forgotten),
		oauth.ScriptPath:     only(e, oauth.ScriptPath, read, func(w http.ResponseWriter, q *request) { script.Serve(w, q.http) }),
	}
	return s, nil
}

// metadata answers where everything is.
func (s *authorizationServer) metadata(w http.ResponseWriter, q *request) {
	h := w.Header()
	// Tools in browsers read it, and it is the same for everybody.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, max-age=300")
	s.edge.writeJSON(w, q, http.StatusOK, oauth.Metadata(s.edge.kit.Issuer, s.base))
}

func (s *authorizationServer) token(ctx context.Context, f oauth.Form, c *identityv1.ClientAuthentication) (any, error) {
	resp, err := s.rpc.IssueToken(ctx, &identityv1.IssueTokenRequest{
		GrantType: f.Get("grant_type"), Client: c, Scope: f.Get("scope"), Code: f.Get("code"), RedirectUri: f.Get("redirect_uri"),
		CodeVerifier: f.Get("code_verifier"), RefreshToken: f.Get("refresh_token"),
	})
	return oauth.TokensOf(resp), err
}

func (s *authorizationServer) introspect(ctx context.Context, f oauth.Form, c *identityv1.ClientAuthentication) (any, error) {
	resp, err := s.rpc.IntrospectToken(ctx, &identityv1.IntrospectTokenRequest{Token: f.Get("token"), Client: c})
	return oauth.IntrospectionOf(resp), err
}

func (s *authorizationServer) revoke(ctx context.Context, f oauth.Form, c *identityv1.ClientAuthentication) (any, error) {
	_, err := s.rpc.RevokeToken(ctx, &identityv1.RevokeTokenRequest{Token: f.Get("token"), Client: c})
	return struct{}{}, err
}

// endpoint answers a form of a client.
type endpoint func(ctx context.Context, f oauth.Form, c *identityv1.ClientAuthentication) (any, error)

// form serves an endpoint that takes a form from a client.
func (s *authorizationServer) form(answer endpoint) func(http.ResponseWriter, *request) {
	return func(w http.ResponseWriter, q *request) {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1; Cache-Control is set for all
		f, err := q.readForm()
		var c *identityv1.ClientAuthentication
		if err == nil {
			c, err = f.Client(q.http.Header)
		}
		var out any
		if err == nil {
			ctx, cancel := q.anonymous()
			defer cancel()
			out, err = answer(ctx, f, c)
		}
		if err != nil {
			s.fail(w, q, err)
			return
		}
		s.edge.writeJSON(w, q, http.StatusOK, out)
	}
}

// readForm reads a form from the body, and from nowhere else: what stands in a URL
// is logged on its way (RFC 6749 section 2.3.1).
func (q *request) readForm() (oauth.Form, error) {
	if len(q.query) > 0 {
		return oauth.Form{}, errs.New(errs.Invalid, "INVALID_REQUEST", "send the parameters in the body and none in the URL")
	}
	q.body.mediaType = oauth.FormType
	text, err := io.ReadAll(q.body)
	if err != nil {
		return oauth.Form{}, err
	}
	return oauth.ParseForm(text)
}

// anonymous returns the context of a call to identity that no account makes:
// clients prove themselves in the message.
func (q *request) anonymous() (context.Context, context.CancelFunc) {
	md := q.metadata()
	md.Delete("authorization")
	return context.WithTimeout(metadata.NewOutgoingContext(q.http.Context(), md), q.timeout)
}

// fail answers an error as the RFCs have it.
func (s *authorizationServer) fail(w http.ResponseWriter, q *request, err error) {
	s.edge.log(q, err)
	f := oauth.FaultOf(err)
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="guildhall", charset="UTF-8"`)
	}
	if f.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.Retry+time.Second-1)/time.Second)))
	}
	s.edge.writeJSON(w, q, f.Status, f)
}
