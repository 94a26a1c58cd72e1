package binding

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

func denial() Denial {
	return Denial{
		Organization: "organizations/acme", Caller: "organizations/acme/serviceAccounts/pep", Question: sha256.Sum256([]byte("lin reads g1")),
		Kind: Approval, Reason: "DENIAL_APPROVAL_NEEDED", Expires: time.Unix(1_800_000_000, 0).UTC(),
	}
}

// asked is what the one who verifies knows of it.
func asked() Denial {
	d := denial()
	return Denial{Organization: d.Organization, Caller: d.Caller, Question: d.Question}
}

func TestTokens_comeBackAsTheyWere(t *testing.T) {
	tokens := New(bytes.Repeat([]byte{7}, 32))
	token := tokens.Of(denial())
	if got, ok := New(bytes.Repeat([]byte{7}, 32)).Verify(token, asked()); !ok || got != denial() {
		t.Errorf("verified as %+v, %t", got, ok)
	}
	if again := tokens.Of(denial()); again != token {
		t.Errorf("one denial has two tokens: %s, %s", token, again)
	}
}

func TestTokens_areGoodForTheirDenialAlone(t *testing.T) {
	tokens := New(bytes.Repeat([]byte{7}, 32))
	token := tokens.Of(denial())
	for name, change := range map[string]func(*Denial){
		"another organisation": func(d *Denial) { d.Organization = "organizations/globex" },
		"another caller":       func(d *Denial) { d.Caller += "2" },
		"another question":     func(d *Denial) { d.Question[31]++ },
		"a length that moved":  func(d *Denial) { d.Organization, d.Caller = d.Organization+"o", d.Caller[1:] },
	} {
		about := asked()
		change(&about)
		if _, ok := tokens.Verify(token, about); ok {
			t.Errorf("%s: the token is taken", name)
		}
	}
	if _, ok := New(bytes.Repeat([]byte{8}, 32)).Verify(token, asked()); ok {
		t.Error("a token of another key is taken")
	}
}

func TestTokens_cannotBeChanged(t *testing.T) {
	tokens := New(bytes.Repeat([]byte{7}, 32))
	raw, err := encoding.DecodeString(tokens.Of(denial()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if _, ok := tokens.Verify(encoding.EncodeToString(changed), asked()); ok {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for _, token := range []string{"", "x", tokens.Of(denial()) + "\n", strings.Repeat("A", 10_000), encoding.EncodeToString(raw[:reasonAt])} {
		if _, ok := tokens.Verify(token, asked()); ok {
			t.Errorf("%.20q is taken", token)
		}
	}
}

func FuzzVerify(f *testing.F) {
	tokens := New(bytes.Repeat([]byte{7}, 32))
	f.Add(tokens.Of(denial()))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		if d, ok := tokens.Verify(token, asked()); ok && tokens.Of(d) != token {
			t.Errorf("%q is taken for %+v", token, d)
		}
	})
}
