package authn

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
)

func TestInspect_returnsWhatWasSigned(t *testing.T) {
	b := newBench(t)
	c := b.claims()
	c.Client, c.Scope, c.Audience = "organizations/acme/oauthClients/shop", "openid email", "https://id.example/oauth2/userinfo"
	token, err := b.signer.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.signer.Inspect(token, b.now)
	if diff := cmp.Diff(c, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// It is for one endpoint, and opens no service.
	if _, err := b.verifier.Verify(t.Context(), token); errs.ReasonOf(err) != "TOKEN_INVALID" {
		t.Errorf("a service takes a token for another audience: %v", err)
	}
}

func TestInspect_refusesWhatIsNoAccessTokenOfOurs(t *testing.T) {
	b, other := newBench(t), newBench(t)
	service, err := b.cluster.mint("services/groupchat", "services/identity", b.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		at    time.Time
	}{
		"nothing":         {"", b.now},
		"a service token": {service, b.now},
		"another's key":   {other.token(t), b.now},
		"expired":         {b.token(t), b.now.Add(6 * time.Minute)},
	} {
		if got, err := b.signer.Inspect(c.token, c.at); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}
