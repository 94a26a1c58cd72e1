package credential

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

// foreign returns hashes of other systems with their passwords: of the reference
// implementation of argon2, of OpenBSD's bcrypt, of RFC 7914, of passlib
// and of Django's form.
func foreign(t testing.TB) map[string]string {
	t.Helper()
	sum, err := hex.DecodeString("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
		"d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA":                           "password",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc":                          "password",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                                                    "U*U",
		"$2y$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui":                                                    strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 2)[:72] + "chars after 72 are ignored",
		"$scrypt$ln=14,r=8,p=1$" + encoding.EncodeToString([]byte("SodiumChloride")) + "$" + encoding.EncodeToString(sum): "pleaseletmein",
		"$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44":                          "password",
		"pbkdf2_sha256$1000$saltsaltsalt$sYIePhT5IXESDKvnouJXtE5pTJ6Znbmef4vViYmc9Uc=":                                    "password",
	}
}

func TestASVS_11_4_2_foreignHashesAreMatchedAndReplaced(t *testing.T) {
	p := newPool(t, PoolConfig{Params: cheap()})
	for stored, password := range foreign(t) {
		kind := strings.Split(stored, "$")[1]
		if err := CheckForeign("password_hash", stored); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if i, err := p.Match(context.Background(), password, stored); i != 0 || err != nil {
			t.Errorf("%s: its password matches %d, %v", kind, i, err)
		}
		for _, wrong := range []string{"", "Password", "x" + password} {
			if i, err := p.Match(context.Background(), wrong, stored); i != -1 || err != nil {
				t.Errorf("%s: %q matches %d, %v", kind, wrong, i, err)
			}
		}
		if !p.Outdated(stored) {
			t.Errorf("%s: the next login does not replace it", kind)
		}
	}
}

// TestCheckForeign_capsWhatALoginCosts: nobody imports a hash that takes the
// machine, or one that anything could be.
func TestCheckForeign_capsWhatALoginCosts(t *testing.T) {
	sum := encoding.EncodeToString(make([]byte, 32))
	for _, bad := range []string{
		"", "$", "x", "password", "5f4dcc3b5aa765d61d8327deb882cf99", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "{SSHA}x",
		"$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$" + sum, "$argon2id$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$" + sum,
		"$argon2i$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$" + sum, "$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$" + sum,
		"$2a$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
		"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$scrypt$ln=18,r=8,p=1$c29tZXNhbHQ$" + sum, "$scrypt$ln=14,r=8,p=5$c29tZXNhbHQ$" + sum, "$scrypt$ln=14,r=8$c29tZXNhbHQ$" + sum,
		"$scrypt$ln=14,r=8,p=1$c29t$" + sum, "$scrypt$ln=14,r=8,p=1$c29tZXNhbHQ$c29t", "$scrypt$ln=14,r=8,p=1$c29tZXNhbHQ$!" + sum,
		"$pbkdf2-sha256$2000001$c29tZXNhbHQ$" + sum, "$pbkdf2-sha256$999$c29tZXNhbHQ$" + sum, "$pbkdf2-md5$6400$c29tZXNhbHQ$" + sum,
		"$pbkdf2_sha256$6400$c29tZXNhbHQ$" + sum, "pbkdf2_sha256$6400$saltsalt$" + sum, "pbkdf2-sha256$6400$c29tZXNhbHQ$" + sum,
		"$pbkdf2-sha256$6400$c29tZXNhbHQ$" + strings.Repeat("A", 600),
	} {
		if err := CheckForeign("password_hash", bad); errs.ReasonOf(err) != "PASSWORD_HASH_INVALID" {
			t.Errorf("CheckForeign(%q) is %v", bad, err)
		} else if bad != "" && strings.Contains(fmt.Sprint(err), sum) {
			t.Errorf("the error quotes the hash: %v", err)
		}
	}
}

// TestPace_failuresLastAsLongAsSlowHashes, whether or not the account has one.
func TestPace_failuresLastAsLongAsSlowHashes(t *testing.T) {
	var p pace
	ms := time.Millisecond
	if lag := p.lag(20*ms, false); lag > 0 {
		t.Errorf("without slow hashes a failure is held back %s", lag)
	}
	if lag := p.lag(200*ms, true); lag > 0 {
		t.Errorf("the slow one itself is held back %s", lag)
	}
	if lag := p.lag(20*ms, false); lag != 180*ms {
		t.Errorf("a quick failure is held back %s, want 180ms", lag)
	}
	p.lag(5000*ms, true)
	if lag := p.lag(20*ms, false); lag != mostLag {
		t.Errorf("a failure is held back %s, want at most %s", lag, mostLag)
	}
	for range 60 {
		p.lag(200*ms, true)
	}
	if lag := p.lag(20*ms, false); lag > 190*ms {
		t.Errorf("long after a slow hour a failure is held back %s", lag)
	}
	p.seen = p.seen.Add(-paceKept - 1)
	if lag := p.lag(20*ms, false); lag > 0 {
		t.Errorf("when all are replaced a failure is held back %s", lag)
	}
}

func FuzzParse(f *testing.F) {
	for stored := range foreign(f) {
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		if m, err := parse(stored); err == nil && m == nil {
			t.Errorf("%q is neither a hash nor none", stored)
		}
	})
}
