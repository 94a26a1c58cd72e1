package authn

import (
	"strconv"
	"time"

	"guildhall.dev/pkg/errs"
)

// FirstParty is the client of tokens of the suite's own apps.
const FirstParty = "guildhall"

// Reasons of a refusal for want of a fresh proof.
const (
	// StepUpRequired has the metadata MaxAge.
	StepUpRequired = "STEP_UP_REQUIRED"
	// MaxAge is how old a proof may be, in seconds.
	MaxAge = "max_age"
)

// Proven returns nil for a caller who last proved who they are within the age, and
// else an error that says so (RFC 9470): Unauthenticated (STEP_UP_REQUIRED), or
// Denied (OWN_LOGIN_REQUIRED) in an app that a person let in, which cannot prove it
// again for them. Programs and the suite's own services prove themselves for each
// of their tokens.
func (v *Verifier) Proven(c Caller, within time.Duration) error { return Proven(c, within, v.now()) }

// Proven is Verifier.Proven at the time, for what is asked of some callers only.
func Proven(c Caller, within time.Duration, now time.Time) error {
	if kind := c.Kind(); kind != Staff && kind != Customer {
		return nil
	}
	if err := OwnLogin(c); err != nil {
		return err
	}
	if now.Sub(c.AuthTime) <= within+Skew {
		return nil
	}
	return errs.New(errs.Unauthenticated, StepUpRequired, "this needs a fresh proof of who you are: prove it again, then repeat the call",
		errs.Meta(MaxAge, strconv.Itoa(int(within/time.Second))))
}

// OwnLogin returns Denied (OWN_LOGIN_REQUIRED) for an app that a person let in.
func OwnLogin(c Caller) error {
	if c.Client == FirstParty {
		return nil
	}
	return errs.New(errs.Denied, "OWN_LOGIN_REQUIRED", "an app cannot do this for a person; log in to the suite itself for it")
}
