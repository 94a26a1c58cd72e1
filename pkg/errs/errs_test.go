package errs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

func TestFrom_foreignErrorIsInternalWithTheFixedText(t *testing.T) {
	cause := errors.New("disk /dev/sda1 is on fire")
	e := errs.From(cause)
	if e.Kind != errs.Internal || e.Message != errs.InternalMessage || !errors.Is(e, cause) {
		t.Errorf("From(%v) = %v", cause, e)
	}
	if strings.Contains(e.Message, "sda1") {
		t.Error("the public message holds the cause")
	}
	if errs.From(nil) != nil {
		t.Error("From(nil) is an error")
	}
}

func TestFrom_wrappedErrorKeepsItsFacts(t *testing.T) {
	made := errs.New(errs.Exhausted, "GROUP_FULL", "a group has at most 500 members",
		errs.RetryAfter(time.Minute), errs.Meta("group", "g1"), errs.Field("member", "GROUP_FULL", "remove one first"))
	err := fmt.Errorf("create member: %w", made)
	if got := errs.From(err); got != made {
		t.Errorf("From gives %v, want the error itself", got)
	}
	if !errs.Is(err, errs.Exhausted) || errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "GROUP_FULL" || errs.KindOf(err) != errs.Exhausted {
		t.Errorf("facts of %v are lost", err)
	}
}

func TestKindOf_foreignErrorIsInternal(t *testing.T) {
	err := errors.New("x")
	if errs.KindOf(err) != errs.Internal || errs.Is(err, errs.Internal) || errs.ReasonOf(err) != "" {
		t.Error("a foreign error is Internal to KindOf, and none of ours to Is")
	}
}

func TestKind_everyOneHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := errs.Internal; k <= errs.OutOfRange; k++ {
		if name := k.String(); name == "" || strings.HasPrefix(name, "kind(") || seen[name] {
			t.Errorf("kind %d is called %q", k, name)
		} else {
			seen[name] = true
		}
	}
}
