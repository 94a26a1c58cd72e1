package authn

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// decodeClaims reads a verified token's body.
func decodeClaims(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return invalid(err)
	}
	return nil
}

// checkTimes holds a token to its times. go-jose skips a time that is not
// there; here exp and iat are required (RFC 9068 section 2.2).
func checkTimes(c jwt.Claims, now time.Time, longest time.Duration) error {
	if c.Expiry == nil || c.IssuedAt == nil {
		return invalid(errors.New("no expiry or time of issue"))
	}
	expires, issued := c.Expiry.Time(), c.IssuedAt.Time()
	switch {
	case !now.Before(expires.Add(Skew)):
		return Expired()
	case now.Add(Skew).Before(issued):
		return invalid(errors.New("issued in the future"))
	case c.NotBefore != nil && now.Add(Skew).Before(c.NotBefore.Time()):
		return invalid(errors.New("not yet valid"))
	case expires.Sub(issued) > longest:
		return invalid(errors.New("lives longer than tokens of ours"))
	}
	return nil
}
