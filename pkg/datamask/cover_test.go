package datamask_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/datamask"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

func TestCover(t *testing.T) {
	for _, c := range []struct {
		mask       optionsv1.Mask
		text, want string
	}{
		{optionsv1.Mask_MASK_COVER, "anything", "***"},
		{optionsv1.Mask_MASK_UNSPECIFIED, "anything", "***"},
		{99, "a mask of a later version", "***"},
		{optionsv1.Mask_MASK_LAST_FOUR, "+8613800138000", "***8000"},
		{optionsv1.Mask_MASK_LAST_FOUR, "1234567", "***"}, // four of seven would be most of it
		{optionsv1.Mask_MASK_FIRST_LETTER, "王小明", "王***"},
		{optionsv1.Mask_MASK_FIRST_LETTER, "王", "***"},
		{optionsv1.Mask_MASK_FIRST_LETTER, "", "***"},
		{optionsv1.Mask_MASK_DOMAIN, "ada@example.com", "***@example.com"},
		{optionsv1.Mask_MASK_DOMAIN, `"a@b"@example.com`, "***@example.com"},
		{optionsv1.Mask_MASK_DOMAIN, "ada", "***"},
		{optionsv1.Mask_MASK_YEAR, "1987-06-05", "1987"},
		{optionsv1.Mask_MASK_YEAR, "1987-06-05T04:03:02Z", "1987"},
		{optionsv1.Mask_MASK_YEAR, "1987 flats", "***"},
		{optionsv1.Mask_MASK_HASH, "ada", "***"}, // without a key
	} {
		if got := datamask.Cover(c.mask, nil, c.text); got != c.want {
			t.Errorf("%v of %q is %q, want %q", c.mask, c.text, got, c.want)
		}
	}
}

func TestCover_hashesAreEqualUnderOneKeyAlone(t *testing.T) {
	hash := func(key, text string) string {
		return datamask.Cover(optionsv1.Mask_MASK_HASH, []byte(key), text)
	}
	one := hash("one", "ada@example.com")
	if one != hash("one", "ada@example.com") || one == hash("two", "ada@example.com") || one == hash("one", "bob@example.com") {
		t.Errorf("hashes: %q", one)
	}
	if !strings.HasPrefix(one, "#") || len(one) != 25 {
		t.Errorf("the hash is %q", one)
	}
}

// TestCover_showsNoLength: two texts that a mask leaves the same of look the
// same, however long they are.
func TestCover_showsNoLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head, tail := rapid.StringMatching(`[a-z]`).Draw(t, "head"), rapid.StringMatching(`[0-9]{4}`).Draw(t, "tail")
		middle := rapid.StringMatching(`[a-z]{3,60}`)
		a, b := head+middle.Draw(t, "a")+tail, head+middle.Draw(t, "b")+tail
		for mask := range optionsv1.Mask_name {
			if m := optionsv1.Mask(mask); m != optionsv1.Mask_MASK_HASH && datamask.Cover(m, nil, a) != datamask.Cover(m, nil, b) {
				t.Errorf("%v tells %q from %q", m, a, b)
			}
		}
	})
}
