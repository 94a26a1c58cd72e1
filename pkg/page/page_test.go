package page_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/page"
)

func newCodec(t testing.TB, fill byte) *page.Codec {
	t.Helper()
	c, err := page.NewCodec(bytes.Repeat([]byte{fill}, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantInvalid(t testing.TB, err error, reason, field string) {
	t.Helper()
	if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != reason {
		t.Errorf("error = %v, want invalid [%s]", err, reason)
		return
	}
	if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != field {
		t.Errorf("violations = %v, want one of %s", v, field)
	}
}

func TestStart_sizes(t *testing.T) {
	c := newCodec(t, 1)
	for size, want := range map[int32]int{0: 50, 1: 1, 999: 999, 1000: 1000, 1001: 1000, 1<<31 - 1: 1000} {
		after, got, err := c.Start(page.Request{Size: size}, page.Query{})
		if after != nil || got != want || err != nil {
			t.Errorf("Start(size %d) = %v, %d, %v; want nil, %d", size, after, got, err, want)
		}
	}
	for _, size := range []int32{-1, -1 << 31} {
		_, _, err := c.Start(page.Request{Size: size}, page.Query{})
		wantInvalid(t, err, "PAGE_SIZE_INVALID", "page_size")
	}
}

func TestToken_roundTripForItsQueryOnly(t *testing.T) {
	c := newCodec(t, 1)
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.String(), 0, 4)
		mine, other := parts.Draw(rt, "mine"), parts.Draw(rt, "other")
		last := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(rt, "last")
		token := c.Next(page.Fingerprint(mine...), last)
		after, _, err := c.Start(page.Request{Token: token}, page.Fingerprint(mine...))
		if err != nil || !bytes.Equal(after, last) {
			rt.Fatalf("Start = %x, %v; want %x", after, err, last)
		}
		if strings.Join(mine, "\x00") == strings.Join(other, "\x00") && len(mine) == len(other) {
			return
		}
		_, _, err = c.Start(page.Request{Token: token}, page.Fingerprint(other...))
		wantInvalid(t, err, "PAGE_TOKEN_MISMATCH", "page_token")
	})
}

func TestFingerprint_bordersOfPartsCount(t *testing.T) {
	if page.Fingerprint("ab", "c") == page.Fingerprint("a", "bc") || page.Fingerprint() == page.Fingerprint("") {
		t.Error("different lists have one fingerprint")
	}
}

func TestNext_noPositionIsNoToken(t *testing.T) {
	if token := newCodec(t, 1).Next(page.Query{}, nil); token != "" {
		t.Errorf("Next(nil) = %q, want none", token)
	}
}

func TestToken_showsNoKeyAndDiffersEachTime(t *testing.T) {
	c := newCodec(t, 1)
	one, two := c.Next(page.Query{}, []byte("secret position")), c.Next(page.Query{}, []byte("secret position"))
	raw, err := base64.RawURLEncoding.DecodeString(one)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("secret")) || one == two {
		t.Errorf("tokens %s and %s: want neither to show the key, nor both to be equal", one, two)
	}
}

func TestStart_forgedTokensAreRefused(t *testing.T) {
	c := newCodec(t, 1)
	q := page.Fingerprint("List")
	token := c.Next(q, []byte("position"))
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{
		"x", "====", token + "A", token[1:], token[:len(token)-2], token + "=", " " + token, token + "\n",
		strings.Repeat("A", 100), strings.Repeat("A", 1<<20), newCodec(t, 2).Next(q, []byte("position")),
	}
	for i := range raw {
		b := bytes.Clone(raw)
		b[i] ^= 1
		forged = append(forged, base64.RawURLEncoding.EncodeToString(b))
	}
	for _, f := range forged {
		_, _, err := c.Start(page.Request{Token: f}, q)
		wantInvalid(t, err, "PAGE_TOKEN_INVALID", "page_token")
	}
}

func TestNewCodec_wrongKeySizeIsAnError(t *testing.T) {
	for _, size := range []int{0, 16, 33} {
		if _, err := page.NewCodec(make([]byte, size)); err == nil {
			t.Errorf("NewCodec with a key of %d bytes succeeds", size)
		}
	}
}

// No token that this codec did not make is taken, and none makes it fail
// otherwise than as Invalid.
func FuzzPageToken(f *testing.F) {
	c := newCodec(f, 1)
	q := page.Fingerprint("List", "organizations/acme")
	f.Add(c.Next(q, []byte("position")))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		after, _, err := c.Start(page.Request{Token: token}, q)
		switch {
		case err != nil:
			wantInvalid(t, err, "PAGE_TOKEN_INVALID", "page_token")
		case token != "" && string(after) != "position": // what every token made here holds
			t.Errorf("a token of no codec's making opens as %q", after)
		}
	})
}
