package credential

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
)

// cheap are parameters for tests that hash a lot.
func cheap() Params { return Params{Time: 1, Memory: 64, Threads: 1} }

func newPool(t *testing.T, cfg PoolConfig) *Pool {
	t.Helper()
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPHC_roundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.String().Draw(t, "password")
		params := Params{
			Time: rapid.Uint32Range(1, 3).Draw(t, "t"), Memory: rapid.Uint32Range(8, 64).Draw(t, "m"), Threads: rapid.Uint8Range(1, 2).Draw(t, "p"),
		}
		h := newPHC(params, password)
		back, err := parsePHC(h.String())
		if err != nil {
			t.Fatal(err)
		}
		if back.Params != params || !back.matches(password) || back.matches(password+"x") {
			t.Fatalf("%s does not come back", h)
		}
	})
}

// TestPHC_isTheStandardForm compares with the reference implementation's
// encoding of the password "password", salt "somesalt".
func TestPHC_isTheStandardForm(t *testing.T) {
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h, err := parsePHC(reference)
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches("password") || h.String() != reference {
		t.Error("the reference hash does not match its password, or is written otherwise")
	}
}

func TestPHC_refusesWhatIsNoHash(t *testing.T) {
	good := newPHC(cheap(), "x").String()
	for _, bad := range []string{
		"", "$", "x" + good, strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=64", "m=0", 1), strings.Replace(good, "m=64", "m=2000000", 1), strings.Replace(good, "t=1", "t=1000", 1),
		strings.Replace(good, "p=1", "p=99", 1), strings.Replace(good, "m=64,", "", 1), strings.Replace(good, "m=64", "m=064", 1), good + "$", good + "\n", good[:len(good)-1] + "!", "$argon2id$v=19$m=64,t=1,p=1$YQ$YQ",
	} {
		if _, err := parsePHC(bad); err == nil {
			t.Errorf("parses %q", bad)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(newPHC(cheap(), "x").String())
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := parsePHC(s); err == nil && h.String() != s {
			t.Errorf("%q is written as %q", s, h)
		}
	})
}

func TestMatch_findsWhoseItIs(t *testing.T) {
	p := newPool(t, PoolConfig{Params: cheap()})
	ctx := context.Background()
	one, err := p.Hash(ctx, "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.Hash(ctx, "zwei\u0308") // i and a combining diaeresis
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		password string
		stored   []string
		want     int
	}{
		{"one", []string{one, two}, 0},
		{"zwe\u00ef", []string{one, two}, 1}, // the same, composed
		{"ｏｎｅ", []string{one, two}, 0},       // of full width
		{"", []string{one, two}, -1},
		{"", []string{"", ""}, -1},
		{"one", []string{"", one}, 1},
		{"One", []string{one}, -1},
		{"one", nil, -1},
	} {
		got, err := p.Match(ctx, c.password, c.stored...)
		if err != nil || got != c.want {
			t.Errorf("Match(%q) = %d, %v; want %d", c.password, got, err, c.want)
		}
	}
	if _, err := p.Match(ctx, "one", "nonsense"); !errs.Is(errs.From(err), errs.Internal) {
		t.Errorf("a damaged hash: %v", err)
	}
}

func TestOutdated_whenParametersChange(t *testing.T) {
	p := newPool(t, PoolConfig{Params: cheap()})
	hash, err := p.Hash(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if p.Outdated(hash) {
		t.Error("a fresh hash is outdated")
	}
	if !newPool(t, PoolConfig{Params: Params{Time: 2, Memory: 64, Threads: 1}}).Outdated(hash) {
		t.Error("a hash of fewer passes is not outdated")
	}
}

func TestPool_refusesBeyondItsQueue(t *testing.T) {
	p := newPool(t, PoolConfig{Params: cheap(), Workers: 1, Wait: time.Millisecond})
	release, err := p.acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Hash(context.Background(), "x")
	if e := errs.From(err); e.Kind != errs.Exhausted || e.Reason != "HASHING_BUSY" || e.RetryAfter == 0 {
		t.Errorf("a full pool answers %v", err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newPool(t, PoolConfig{Params: cheap(), Workers: 1, Wait: time.Hour}).fill(t).Hash(canceled, "x"); err == nil {
		t.Error("a caller who is gone still waits")
	}
	release()
	if _, err := p.Hash(context.Background(), "x"); err != nil {
		t.Errorf("a free pool answers %v", err)
	}
}

// fill takes all slots of a pool.
func (p *Pool) fill(t *testing.T) *Pool {
	t.Helper()
	for range cap(p.slots) {
		if _, err := p.acquire(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestCheck_countsCharacters(t *testing.T) {
	for password, reason := range map[string]string{
		"":                     "PASSWORD_TOO_SHORT",
		"vierzehn Zchn!":       "PASSWORD_TOO_SHORT",
		"fünfzehn Zeichn":      "",
		"fu\u0308nfzehn Zeich": "PASSWORD_TOO_SHORT", // fourteen, composed
		"山高水长路远天黑风急雨大心":                   "PASSWORD_TOO_SHORT",
		"山高水长路远天黑风急雨大心不慌":                 "",
		strings.Repeat("vielfältig ", 23): "",
		strings.Repeat("vielfältig ", 24): "PASSWORD_TOO_LONG",
	} {
		if got := errs.ReasonOf(Check("password", password, Alone)); got != reason {
			t.Errorf("Check(%q) is %q, want %q", password, got, reason)
		}
	}
}

func TestCheck_blocksWhatIsTriedFirst(t *testing.T) {
	context := []string{"organizations/acme/customers/ada", "Ada Lovelace", "ada.lovelace@example.com", "Müllerei & Söhne", "张三丰"}
	for _, blocked := range []string{
		"passwordpassword", "Password12345678", "P@ssw0rd-P@ssw0rd", "aaaaaaaaaaaaaaaa", "abcdefghijklmnop", "0123456789012345",
		"qwertyuiopasdfgh", "1qaz2wsx3edc4rfv", "letmein letmein letmein", "welcome-to-guildhall-2026", "lovelace@example",
		"AdaLovelace12345", "müllerei müllerei", "iloveyouiloveyou", "correcthorsebatterystaple", "abc123abc123abc123", "张三丰张三丰张三丰张三丰张三丰",
	} {
		if got := errs.ReasonOf(Check("password", blocked, Alone, context...)); got != "PASSWORD_BLOCKED" {
			t.Errorf("Check(%q) is %q, want PASSWORD_BLOCKED", blocked, got)
		}
	}
	for _, fine := range []string{
		"vorher und nachher, immer", "kuckuck ruft im birnbaum", "X7#kQ-2vLp!9zRt", "一行白鹭上青天窗含西岭千秋雪门泊", "tr0ub4dor and seven others",
	} {
		if err := Check("password", fine, Alone, context...); err != nil {
			t.Errorf("Check(%q): %v", fine, err)
		}
	}
}

func TestCode_isReadAsPeopleTypeIt(t *testing.T) {
	code := NewCode()
	if len(code) < 26 {
		t.Errorf("a code of %d characters of five bits has less than 128 bits", len(code))
	}
	for _, typed := range []string{strings.ToLower(code), code[:4] + "-" + code[4:], " " + code + "\n"} {
		if string(hashCode(typed)) != string(hashCode(code)) {
			t.Errorf("%q is not read as %q", typed, code)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	p, err := NewPool(PoolConfig{})
	if err != nil {
		b.Fatal(err)
	}
	stored := newPHC(DefaultParams(), "x").String()
	for b.Loop() {
		if _, err := p.Match(context.Background(), "y", stored); err != nil {
			b.Fatal(err)
		}
	}
}
