package authz

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// longest is how long a call may take: a large policy is a large transaction.
const longest = time.Minute

// server is the gateway that a command asks.
type server struct {
	base, token  string
	organization string // "organizations/acme"
}

// connect says what is missing; it calls nobody yet.
func (c *Command) connect() (*server, error) {
	if c.Token == "" {
		return nil, errors.New("an access token is missing: set GUILDHALL_TOKEN")
	}
	s := &server{base: strings.TrimSuffix(c.Server, "/"), token: c.Token, organization: "organizations/" + c.Organization}
	if c.Organization == "" {
		_, organization, ok := authn.ParseName(subjectOf(c.Token))
		if !ok || organization == "" {
			return nil, errors.New("the token does not say of which organisation it is: set --organization")
		}
		s.organization = organization
	}
	return s, nil
}

// subjectOf reads whom a token speaks for. It is not verified: the server does
// that.
func subjectOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &claims) != nil {
		return ""
	}
	return claims.Subject
}

func (s *server) export(ctx context.Context, policy string) (*permissionv1.Policy, error) {
	p := &permissionv1.Policy{}
	path := "export"
	if policy != "" {
		path += "?policyId=" + url.QueryEscape(policy)
	}
	return p, s.call(ctx, http.MethodGet, path, nil, p)
}

func (s *server) plan(ctx context.Context, d *permissionv1.Policy, prune bool) (*permissionv1.PolicyPlan, error) {
	p := &permissionv1.PolicyPlan{}
	return p, s.call(ctx, http.MethodPost, "plan", &permissionv1.PlanPolicyRequest{Policy: d, Prune: prune}, p)
}

func (s *server) apply(ctx context.Context, d *permissionv1.Policy, prune bool, etag string) (*permissionv1.PolicyPlan, error) {
	p := &permissionv1.PolicyPlan{}
	return p, s.call(ctx, http.MethodPost, "apply", &permissionv1.ApplyPolicyRequest{
		Policy: d, Prune: prune, Etag: etag, RequestId: rand.Text(),
	}, p)
}

// call makes one call of PolicyService.
func (s *server) call(ctx context.Context, verb, method string, body, into proto.Message) error {
	var content io.Reader
	if body != nil {
		text, err := protojson.Marshal(body)
		if err != nil {
			return fmt.Errorf("encoding the policy: %w", err)
		}
		content = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, verb, s.base+"/permission/v1/"+s.organization+"/policies:"+method, content)
	if err != nil {
		return fmt.Errorf("the address of the server: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("X-Request-Timeout", fmt.Sprint(longest.Seconds()))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return problemOf(resp, answer)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the server answers what this program does not understand: %w", err)
	}
	return nil
}

// problem is a refusal, as the gateway writes it (RFC 9457).
type problem struct {
	Detail     string            `json:"detail"`
	Reason     string            `json:"reason"`
	Metadata   map[string]string `json:"metadata"`
	Violations []violation       `json:"violations"`
}

type violation struct {
	Field       string `json:"field"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

func problemOf(resp *http.Response, text []byte) error {
	p := &problem{}
	if json.Unmarshal(text, p) != nil || p.Reason == "" {
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	return p
}

// Error implements error.
func (p *problem) Error() string {
	text := p.Detail + " [" + p.Reason + "]"
	if permission := p.Metadata["permission"]; permission != "" {
		text += ": " + permission + " on " + p.Metadata["resource"]
	}
	return text
}
