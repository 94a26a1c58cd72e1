package gateway

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// tenant returns whom the request's token speaks for, and the organisation that
// it is about: the one that its path names, as "/acme", else that account's.
//
// The token is not verified here, and need not be: the service that is asked
// verifies it, and keeps callers to their own organisation. Who writes another
// organisation into a token only chooses which question is refused.
func (q *request) tenant(path string) (caller, organization string, err error) {
	token, err := authn.BearerToken(q.http.Header.Values("Authorization"))
	if err != nil {
		return "", "", err
	}
	caller = claimedSubject(token)
	if id, ok := strings.CutPrefix(path, "/"); ok {
		return caller, "organizations/" + id, nil
	}
	_, organization, ok := authn.ParseName(caller)
	switch {
	case !ok:
		return "", "", errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the token is not valid here")
	case organization == "":
		return "", "", errs.New(errs.Invalid, problem.TenantMissing, "ask below the path of an organisation, as in /acme/access/v1/evaluation")
	}
	return caller, organization, nil
}

// claimedSubject returns whom a token says it speaks for: "sub" of an access
// token, "iss" of a service's. It is "" for what is no token.
func claimedSubject(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Subject string `json:"sub"`
		Issuer  string `json:"iss"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return ""
	}
	if claims.Subject == "" {
		return claims.Issuer
	}
	return claims.Subject
}
