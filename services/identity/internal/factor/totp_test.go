package factor

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rfcSecret is that of the vectors of RFC 4226 and RFC 6238.
var rfcSecret = []byte("12345678901234567890")

// TestHOTP_rfc4226 holds the vectors of RFC 4226 appendix D.
func TestHOTP_rfc4226(t *testing.T) {
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(rfcSecret, uint64(counter), 6); got != want {
			t.Errorf("the code of %d is %s, want %s", counter, got, want)
		}
	}
}

// TestTOTP_rfc6238 holds the vectors for SHA-1 of RFC 6238 appendix B, which have
// eight digits; codes of six are the ends of these.
func TestTOTP_rfc6238(t *testing.T) {
	for seconds, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		at := time.Unix(seconds, 0)
		if got := hotp(rfcSecret, uint64(stepAt(at)), 8); got != want {
			t.Errorf("the code at %d is %s, want %s", seconds, got, want)
		}
		if step, ok := match(rfcSecret, want[2:], at, 0); !ok || step != seconds/30 {
			t.Errorf("at %d the code %s is of step %d, %v", seconds, want[2:], step, ok)
		}
	}
}

// TestMatch_takesAStepToEachSideAndNoneAgain: what is not above the last step is
// refused, whatever the clock says.
func TestMatch_takesAStepToEachSideAndNoneAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), secretSize, secretSize).Draw(t, "secret")
		now := rapid.Int64Range(10, 1<<40).Draw(t, "now")
		of := now + rapid.Int64Range(-4, 4).Draw(t, "step")
		last := rapid.Int64Range(now-3, now+3).Draw(t, "last")
		step, ok := match(secret, hotp(secret, uint64(of), digits), time.Unix(now*30, 0), last)
		if ok && (step <= last || step < now-1 || step > now+1) {
			t.Fatalf("step %d is taken at %d behind %d", step, now, last)
		}
		// Another step may have the same code, by chance.
		if wanted := of > last && of >= now-1 && of <= now+1; wanted && !ok {
			t.Fatalf("step %d is refused at %d behind %d", of, now, last)
		}
	})
}

func TestMatch_readsACodeAsItWasMeant(t *testing.T) {
	at := time.Unix(59, 0)
	for code, want := range map[string]bool{
		"287082": true, "287 082": true, " 287082\n": true, "２８７０８２": true, "287-082": true,
		"": false, "28708": false, "2870820": false, "94287082": false, "-": false, "abcdef": false, "287082\x00": false,
	} {
		if _, ok := match(rfcSecret, code, at, 0); ok != want {
			t.Errorf("%q is taken: %v", code, ok)
		}
	}
	if _, ok := match(nil, hotp(nil, 1, digits), at, 0); ok {
		t.Error("a factor without a secret takes a code")
	}
}

func TestURI_isReadByApps(t *testing.T) {
	u, err := url.Parse(URI(rfcSecret, "Acme: Söhne & Co", "ada@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Acme  Söhne & Co:ada@example.com" || q.Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" ||
		q.Get("issuer") != "Acme  Söhne & Co" || q.Get("period") != "30" || q.Get("digits") != "6" || q.Get("algorithm") != "SHA1" {
		t.Errorf("the address is %s: %v", u, q)
	}
	if strings.Contains(u.String(), "+") {
		t.Errorf("%s has spaces that apps would show", u)
	}
}

func TestNewRecoveryCodes_areManyBitsAndReadAloud(t *testing.T) {
	seen := make(map[string]bool)
	for _, code := range NewRecoveryCodes() {
		bare := strings.ReplaceAll(code, "-", "")
		if len(bare)*5 < 64 || seen[code] {
			t.Errorf("%s is too short, or was there before", code)
		}
		seen[code] = true
		for _, spelled := range []string{bare, strings.ToUpper(code), " " + code + " ", strings.NewReplacer("o", "0", "i", "1", "b", "8").Replace(code)} {
			if string(hashRecovery(spelled)) != string(hashRecovery(code)) {
				t.Errorf("%q is not taken for %q", spelled, code)
			}
		}
	}
	if len(seen) != 10 {
		t.Errorf("there are %d codes", len(seen))
	}
}

func TestAccountOf(t *testing.T) {
	const sue = "organizations/factors/staff/sue"
	for name, want := range map[string]string{
		Name(sue, "f1"): sue, sue: "", sue + "/factors/": "", sue + "/factors/-": "", sue + "/factors/f1/x": "", "": "",
	} {
		if got := AccountOf(name); got != want {
			t.Errorf("the account of %q is %q, want %q", name, got, want)
		}
	}
}
