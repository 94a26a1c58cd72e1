// Package oauth writes what identity's OAuthService does the way OAuth 2.0 has it
// over HTTP: forms in, JSON out, the RFCs' error codes, and the documents by which
// clients find all that.
//
// It decides nothing, and verifies nobody: identity does. It knows no route and
// writes no answer; the edge does.
package oauth

import (
	"net/http"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
)

// Paths of the endpoints, below the issuer.
const (
	TokenPath      = "/oauth2/token"
	IntrospectPath = "/oauth2/introspect"
	RevokePath     = "/oauth2/revoke"
	// OpenIDPath and ServerPath are of the metadata (OpenID Connect Discovery
	// section 4, RFC 8414 section 3).
	OpenIDPath = "/.well-known/openid-configuration"
	ServerPath = "/.well-known/oauth-authorization-server"
	keysPath   = "/.well-known/jwks.json"
)

// FormType is the media type of requests.
const FormType = "application/x-www-form-urlencoded"

// Fault is an error as the RFCs write it (RFC 6749 section 5.2).
type Fault struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	// Status is that of the answer, Retry how long to wait before the next try.
	Status int           `json:"-"`
	Retry  time.Duration `json:"-"`
}

// codes are the reasons that are error codes of the RFCs, which spell them in
// lower case.
var codes = map[string]int{
	"INVALID_REQUEST": http.StatusBadRequest, "INVALID_CLIENT": http.StatusUnauthorized, "INVALID_GRANT": http.StatusBadRequest,
	"INVALID_SCOPE": http.StatusBadRequest, "UNAUTHORIZED_CLIENT": http.StatusBadRequest, "UNSUPPORTED_GRANT_TYPE": http.StatusBadRequest,
}

// FaultOf returns an error as the RFCs write it. What they have no code for is
// the server's fault, or a bad request when the error says so.
func FaultOf(err error) Fault {
	e := errs.From(err)
	f := Fault{Description: plain(e.Message), Retry: e.RetryAfter}
	if status, ok := codes[e.Reason]; ok {
		f.Code, f.Status = strings.ToLower(e.Reason), status
		return f
	}
	switch e.Kind {
	case errs.Invalid, errs.Precondition, errs.NotFound:
		f.Code, f.Status = "invalid_request", http.StatusBadRequest
		for _, v := range e.Violations {
			f.Description = plain(v.Field + ": " + v.Description)
		}
	case errs.Exhausted:
		f.Code, f.Status = "temporarily_unavailable", http.StatusTooManyRequests
	case errs.Unavailable, errs.DeadlineExceeded:
		f.Code, f.Status = "temporarily_unavailable", http.StatusServiceUnavailable
	default:
		f.Code, f.Status, f.Description = "server_error", http.StatusInternalServerError, errs.InternalMessage
	}
	return f
}

// plain returns the characters of a text that a description may have.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text)
}
