package authn

import (
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

// TestProven_rfc9470: a person's proof may be too old, an app's is never one, and
// programs are not asked.
func TestProven_rfc9470(t *testing.T) {
	b := newBench(t)
	const sue, ci = "organizations/acme/staff/sue", "organizations/acme/serviceAccounts/ci"
	for name, c := range map[string]struct {
		caller Caller
		reason string
	}{
		"just now":           {Caller{Name: sue, Client: FirstParty, AuthTime: b.now}, ""},
		"in time":            {Caller{Name: sue, Client: FirstParty, AuthTime: b.now.Add(-5 * time.Minute)}, ""},
		"by another's clock": {Caller{Name: sue, Client: FirstParty, AuthTime: b.now.Add(-5*time.Minute - Skew)}, ""},
		"too old":            {Caller{Name: sue, Client: FirstParty, AuthTime: b.now.Add(-5*time.Minute - Skew - time.Second)}, StepUpRequired},
		"never":              {Caller{Name: sue, Client: FirstParty}, StepUpRequired},
		"a customer":         {Caller{Name: "organizations/acme/customers/c1", Client: FirstParty}, StepUpRequired},
		"in an app":          {Caller{Name: sue, Client: "organizations/acme/oauthClients/shop", AuthTime: b.now}, "OWN_LOGIN_REQUIRED"},
		"a program":          {Caller{Name: ci, Client: ci}, ""},
		"a sister":           {Caller{Name: "services/groupchat"}, ""},
	} {
		err := b.verifier.Proven(c.caller, 5*time.Minute)
		if errs.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
		if c.reason == StepUpRequired && (!errs.Is(err, errs.Unauthenticated) || errs.From(err).Metadata[MaxAge] != "300") {
			t.Errorf("%s: %v does not say how old a proof may be", name, err)
		}
	}
}
