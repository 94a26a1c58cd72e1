package credential

import (
	"context"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
)

func TestASVS_6_2_5_anyCharactersMakeAPassword(t *testing.T) {
	for _, password := range []string{
		"nur kleine buchstaben ohne zeichen", "XVII MITTERNACHTSKATZEN", "8302 9174 6650 2938 1746", "🐘🦒🌋🎷🧵🪁🥁🛶🧊🪵🔭🧭🎻🪘🛖", "дождь стучит по крыше сарая",
		"\t tabs\tand lines \x01", "' OR 1=1; DROP TABLE moon --", "<script>kuckuck</script>",
	} {
		if err := Check("password", password, Alone); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// TestASVS_6_2_8_nothingIsCutOffOrFolded, up to the longest password.
func TestASVS_6_2_8_nothingIsCutOffOrFolded(t *testing.T) {
	p := newPool(t, PoolConfig{Params: cheap()})
	password := strings.Repeat("Vielfältiges ", 19) + "AbsolutEnd" // more than bcrypt's 72 bytes
	stored, err := p.Hash(context.Background(), password)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{
		password[:len(password)-1], password + " ", " " + password, strings.ToLower(password), strings.TrimSuffix(password, "d") + "D", password + "\x00",
	} {
		if i, err := p.Match(context.Background(), other, stored); i != -1 || err != nil {
			t.Errorf("%q matches", other)
		}
	}
	if i, err := p.Match(context.Background(), password, stored); i != 0 || err != nil {
		t.Errorf("the password itself: %d, %v", i, err)
	}
}

func TestASVS_6_2_9_longPasswordsAreTaken(t *testing.T) {
	for _, n := range []int{64, 128, MaxLength} {
		password := strings.Repeat("vielfältig kuckuck ", 20)
		if err := Check("password", string([]rune(password)[:n]), Alone); err != nil {
			t.Errorf("%d characters: %v", n, err)
		}
	}
}

// TestASVS_6_2_11_wordsOfTheContextAreEasilyGuessed: the suite, the organisation,
// the account.
func TestASVS_6_2_11_wordsOfTheContextAreEasilyGuessed(t *testing.T) {
	about := []string{"organizations/mondlicht/customers/kraehe77", "Wilhelmine Habicht", "w.habicht@wolkenheim.example", "Mondlicht AG"}
	for _, password := range []string{
		"guildhall-guildhall", "Guildhall2026Guildhall", "mondlicht-mondlicht", "Mondlicht1234567890", "wilhelmine.habicht", "WilhelmineHabicht!!",
		"habicht@wolkenheim", "kraehe77-kraehe77", "W1lhelm1ne Hab1cht", "wolkenheim20252026",
	} {
		if err := Check("password", password, Alone, about...); errs.ReasonOf(err) != "PASSWORD_BLOCKED" {
			t.Errorf("%q: %v", password, err)
		}
	}
	if err := Check("password", "habichte kreisen über wolken", Alone, about...); err != nil {
		t.Errorf("a sentence with a word of the context: %v", err)
	}
}
