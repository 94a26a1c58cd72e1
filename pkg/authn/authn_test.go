package authn

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseName_kindAndOrganization(t *testing.T) {
	for name, want := range map[string]struct {
		kind Kind
		org  string
	}{
		"organizations/acme/staff/s1":           {Staff, "organizations/acme"},
		"organizations/acme/customers/c1":       {Customer, "organizations/acme"},
		"organizations/acme/serviceAccounts/ci": {ServiceAccount, "organizations/acme"},
		"services/groupchat":                    {System, ""},
		"":                                      {},
		"services/":                             {},
		"services/a/b":                          {},
		"organizations/acme":                    {},
		"organizations/acme/staff":              {},
		"organizations/acme/staff/":             {},
		"organizations/acme/staff/-":            {},
		"organizations/-/staff/s1":              {},
		"organizations/../staff/s1":             {},
		"organizations//staff/s1":               {},
		"organizations/acme/staff/s1/sessions":  {},
		"organizations/acme/groups/g1":          {},
		"organizations/acme/staff/s 1":          {},
		"organizations/ACME/staff/s1":           {},
		"organizations/acme/staff/" + strings.Repeat("s", maxName): {},
	} {
		kind, org, ok := ParseName(name)
		if kind != want.kind || org != want.org || ok != (want.kind != Unknown) {
			t.Errorf("ParseName(%q) = %v, %q, %v; want %v, %q", name, kind, org, ok, want.kind, want.org)
		}
	}
}

func TestCaller_readsItselfOffItsName(t *testing.T) {
	c := Caller{Name: "services/groupchat"}
	if c.Kind() != System || c.Organization() != "" || c.Service() != "groupchat" {
		t.Errorf("got %v %q %q", c.Kind(), c.Organization(), c.Service())
	}
	if c := (Caller{Name: "organizations/acme/staff/s1"}); c.Service() != "" || c.Organization() != "organizations/acme" {
		t.Errorf("got %q %q", c.Service(), c.Organization())
	}
	ctx := WithCaller(context.Background(), c)
	if got, ok := FromContext(ctx); !ok || got.Name != c.Name {
		t.Errorf("FromContext = %v, %v", got, ok)
	}
	if _, ok := FromContext(context.Background()); ok {
		t.Error("a caller came out of an empty context")
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"organizations/acme/staff/s1", "services/x", "organizations/-/staff/..", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		kind, org, ok := ParseName(name)
		switch {
		case ok != (kind != Unknown):
			t.Fatalf("%q: kind %v but ok %v", name, kind, ok)
		case kind == System && name != ServiceName(Caller{Name: name}.Service()):
			t.Fatalf("%q does not survive a round trip", name)
		case ok && kind != System && !strings.HasPrefix(name, org+"/"):
			t.Fatalf("%q is not below its organisation %q", name, org)
		}
	})
}

// TestThumbprint_rfc8037 is the vector of RFC 8037 appendix A.3.
func TestThumbprint_rfc8037(t *testing.T) {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	key, err := SigningKeyFrom(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	if want := "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; key.ID != want {
		t.Errorf("thumbprint %s, want %s", key.ID, want)
	}
}

func TestJWKS_roundTripHoldsNoPrivateKey(t *testing.T) {
	set := KeySet{Next: newKey(t), Current: newKey(t), Previous: newKey(t)}
	text, err := json.Marshal(set.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	x := base64.RawURLEncoding.EncodeToString(set.Current.Private.Public().(ed25519.PublicKey))
	want := map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": set.Current.ID, "x": x}
	if len(document.Keys) != 3 {
		t.Fatalf("%d keys", len(document.Keys))
	}
	if diff := cmp.Diff(want, document.Keys[0]); diff != "" {
		t.Errorf("current key (-want +got):\n%s", diff)
	}
	var back JWKS
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set.JWKS(), back); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func TestJWKS_skipsForeignKeysAndRefusesPrivateOnes(t *testing.T) {
	ours := newKey(t)
	x := base64.RawURLEncoding.EncodeToString(ours.Private.Public().(ed25519.PublicKey))
	d := base64.RawURLEncoding.EncodeToString(ours.Private.Seed())
	ec := `{"kty":"EC","crv":"P-256","kid":"ec","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	okp := `"kty":"OKP","crv":"Ed25519","x":"` + x + `"`
	var set JWKS
	text := `{"keys":[` + ec + `,{` + okp + `},{` + okp + `,"kid":"enc","use":"enc"},{` + okp + `,"kid":"a"}]}`
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || set.Keys[0].ID != "a" {
		t.Errorf("got %v, want only key a", set.Keys)
	}
	if err := json.Unmarshal([]byte(`{"keys":[{`+okp+`,"kid":"a","d":"`+d+`"}]}`), &set); err == nil {
		t.Error("a private key in a published set was taken")
	}
}

func TestKeySet_rotate(t *testing.T) {
	a, b, c := newKey(t), newKey(t), newKey(t)
	set, err := KeySet{Next: b, Current: a}.Rotate(c)
	if err != nil {
		t.Fatal(err)
	}
	if set.Next != c || set.Current != b || set.Previous != a {
		t.Errorf("got %+v", set)
	}
	if _, err := (KeySet{Current: a}).Rotate(b); err == nil {
		t.Error("rotated to a key that nobody knows yet")
	}
}

func newKey(t testing.TB) *SigningKey {
	t.Helper()
	key, err := NewSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
