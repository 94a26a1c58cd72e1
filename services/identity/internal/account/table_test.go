package account_test

import (
	"testing"

	"guildhall.dev/services/identity/internal/account"
)

func TestFoldEmail_comparesAsPeopleDo(t *testing.T) {
	for _, c := range [][2]string{
		{"Ada@Example.COM", "ada@example.com"},
		{"STRASSE@example.com", "straße@example.com"},
		{"zoe\u0308@example.com", "ZO\u00cb@example.com"}, // combining and composed
		{"", ""},
	} {
		if account.FoldEmail(c[0]) != account.FoldEmail(c[1]) {
			t.Errorf("%q and %q are two addresses", c[0], c[1])
		}
	}
	if account.FoldEmail("ada@example.com") == account.FoldEmail("ada.@example.com") {
		t.Error("two addresses are one")
	}
}
