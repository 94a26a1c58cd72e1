package contact_test

import (
	"testing"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
)

func TestFoldEmail_comparesAsPeopleDo(t *testing.T) {
	for _, c := range [][2]string{
		{"Ada@Example.COM", "ada@example.com"},
		{"STRASSE@example.com", "straße@example.com"},
		{"zoe\u0308@example.com", "ZO\u00cb@example.com"}, // combining and composed
		{"", ""},
	} {
		if contact.FoldEmail(c[0]) != contact.FoldEmail(c[1]) {
			t.Errorf("%q and %q are two addresses", c[0], c[1])
		}
	}
	if contact.FoldEmail("ada@example.com") == contact.FoldEmail("ada.@example.com") {
		t.Error("two addresses are one")
	}
}

func TestHint_showsNobodyWhereToWrite(t *testing.T) {
	for want, c := range map[string]contact.Contact{
		"a***@example.com": contact.Email("ada@example.com"),
		"王***@example.com": contact.Email("王芳@example.com"),
		"***8000":          contact.Phone("+8613800138000"),
		"***":              contact.Phone("+123456"),
	} {
		if got := c.Hint(); got != want {
			t.Errorf("the hint is %q, want %q", got, want)
		}
	}
}

func TestOf_mailComesFirst(t *testing.T) {
	for _, c := range []struct {
		account *storev1.Account
		want    contact.Contact
	}{
		{&storev1.Account{Email: "ada@example.com", Phone: "+8613800138000"}, contact.Email("ada@example.com")},
		{&storev1.Account{Phone: "+8613800138000"}, contact.Phone("+8613800138000")},
		{&storev1.Account{}, contact.Contact{}},
	} {
		if got := contact.Of(c.account); got != c.want {
			t.Errorf("%v is reached by %v, want %v", c.account, got, c.want)
		}
	}
}
