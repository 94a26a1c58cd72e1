package token_test

import (
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/token"
)

const acme = "organizations/acme"

var at = revision.Revision{Number: 42, Mark: 1<<63 + 7}

func TestRead_undoesOf(t *testing.T) {
	one, two := token.New([]byte("key")), token.New([]byte("key"))
	for _, v := range []revision.Revision{{}, at, {Number: 43, Mark: at.Mark}, at} {
		got, err := two.Read("f", acme, one.Of(acme, v))
		if err != nil || got != v || one.Of(acme, v) != two.Of(acme, v) {
			t.Errorf("%v: got %v, %v", v, got, err)
		}
	}
}

func TestRead_refusesWhatItDidNotMake(t *testing.T) {
	tokens := token.New([]byte("key"))
	good := tokens.Of(acme, at)
	for name, bad := range map[string]string{
		"empty": "", "no base64": "%" + good[1:], "cut off": good[:len(good)-4], "longer": good + "AAAA", "line end": good[:4] + "\n" + good[4:],
		"another number": good[:8] + "x" + good[9:], "another organisation": tokens.Of("organizations/zeta", at),
		"another key": token.New([]byte("other")).Of(acme, at), "padding": good + "=", "rubbish": strings.Repeat("A", len(good)),
	} {
		_, err := tokens.Read("consistency.at_least_as_fresh", acme, bad)
		if errs.ReasonOf(err) != "CONSISTENCY_TOKEN_INVALID" || !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOf_costsNothingTwice(t *testing.T) {
	tokens := token.New([]byte("key"))
	if n := testing.AllocsPerRun(100, func() { tokens.Of(acme, at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRead(f *testing.F) {
	tokens := token.New([]byte("key"))
	f.Add(tokens.Of(acme, at))
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := tokens.Read("f", acme, s); err == nil && tokens.Of(acme, v) != s {
			t.Errorf("%q is a token of %v, which has another", s, v)
		}
	})
}
