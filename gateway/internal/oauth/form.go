package oauth

import (
	"net/http"
	"net/url"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Form is the parameters of a request, each once. Those without a value are
// treated as if they were not there, and unknown ones are passed over (RFC 6749
// section 3.2).
type Form struct{ values url.Values }

// ParseForm reads the body of a request. The error is Invalid (INVALID_REQUEST):
// it is no form, or says something twice.
func ParseForm(body []byte) (Form, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return Form{}, invalidRequest("send a form, with its values percent-encoded")
	}
	return NewForm(values)
}

// NewForm takes parameters that were read. The error is ParseForm's.
func NewForm(values url.Values) (Form, error) {
	for _, all := range values {
		if len(all) > 1 {
			return Form{}, invalidRequest("send each parameter once")
		}
	}
	return Form{values: values}, nil
}

// Get returns a parameter; "" when there is none.
func (f Form) Get(name string) string { return f.values.Get(name) }

// Client returns who a request says it is from: the header's user, or what the
// form says. The error is Invalid (INVALID_REQUEST) for both.
func (f Form) Client(h http.Header) (*identityv1.ClientAuthentication, error) {
	c := &identityv1.ClientAuthentication{
		ClientId: f.Get("client_id"), ClientSecret: f.Get("client_secret"),
		ClientAssertionType: f.Get("client_assertion_type"), ClientAssertion: f.Get("client_assertion"),
	}
	if len(h.Values("Authorization")) == 0 {
		return c, nil
	}
	user, password, ok := (&http.Request{Header: h}).BasicAuth()
	if !ok || len(h.Values("Authorization")) > 1 {
		return nil, invalidClient()
	}
	// The two are form-encoded before they are joined (RFC 6749 section 2.3.1).
	id, err := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	if err != nil || err2 != nil {
		return nil, invalidClient()
	}
	if c.ClientSecret != "" || c.ClientAssertion != "" || c.ClientId != "" && c.ClientId != id {
		return nil, invalidRequest("a client proves itself in one way, not in two (RFC 6749 section 2.3)")
	}
	c.ClientId, c.ClientSecret = id, secret
	return c, nil
}

func invalidRequest(message string) error { return errs.New(errs.Invalid, "INVALID_REQUEST", message) }

func invalidClient() error {
	return errs.New(errs.Unauthenticated, "INVALID_CLIENT", "the client is not known, or has not proven who it is")
}
