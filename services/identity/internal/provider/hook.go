package provider

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
)

// secretPrefix begins a secret of Standard Webhooks.
const secretPrefix = "whsec_"

// Hook posts messages as JSON to a program that brings them on, signed after
// Standard Webhooks (https://www.standardwebhooks.com): webhook-id is the
// message's and the same at each attempt, webhook-timestamp the attempt's, and
// webhook-signature "v1," and the base64 of HMAC-SHA256 over both and the body,
// joined by dots.
//
// An answer of 2xx takes the message; 400, 410, 413 and 422 refuse it for good; any
// other, a redirect too, is tried again, after its Retry-After.
type Hook struct {
	to     string
	key    []byte
	client *http.Client
	now    func() time.Time
}

// NewHook returns a provider that posts to an address, with a secret as in
// "whsec_" and the base64 of 24 to 64 bytes.
func NewHook(to, secret string, now func() time.Time) (*Hook, error) {
	key, err := ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	return &Hook{to: to, key: key, now: now, client: &http.Client{
		Timeout: patience,
		// The next address would get a message that was for this one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// ParseSecret returns the key in a secret of Standard Webhooks.
func ParseSecret(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := b64.Padded.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("must be " + secretPrefix + " and the base64 of 24 to 64 bytes")
	}
	return key, nil
}

// Name implements Provider.
func (p *Hook) Name() string { return "hook" }

// Send implements Provider.
func (p *Hook) Send(ctx context.Context, l Letter) error {
	body, err := json.Marshal(envelopeOf(l))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(p.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Guildhall")
	req.Header.Set("Webhook-Id", l.ID)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", sign(p.key, l.ID, at, body))
	resp, err := p.client.Do(req)
	if err != nil {
		// Without the address, in which there may be a password.
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("the hook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return answered(resp)
}

// sign returns the signature of a body.
func sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + b64.Padded.EncodeToString(mac.Sum(nil))
}

func answered(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusBadRequest, code == http.StatusGone, code == http.StatusRequestEntityTooLarge, code == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: the hook answers %d", ErrRefused, code)
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // a date, or none, is 0: the usual delay
	return errs.New(errs.Unavailable, "HOOK_UNAVAILABLE", fmt.Sprintf("the hook answers %d", resp.StatusCode),
		errs.RetryAfter(min(time.Duration(max(seconds, 0))*time.Second, time.Hour)))
}
