package naming_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/services/identity/internal/naming"
)

// What whole names are compared by is what an index was written with: when it
// changes, likeness.Version has to.
func TestWholeOf_isThatOfTheVersion(t *testing.T) {
	for name, want := range map[string]string{
		"":               "/",
		"***":            "/",
		"John Smith":     "johnsmith smithjohn/",
		"Smith, John A.": "smithjohna johnasmith asmithjohn/",
		"María":          "maria/",
		"王小明":            "王小明/wangxiaoming wangxiaomeng yuxiaoming yuxiaomeng",
		"王 小明":           "王小明 小明王/wangxiaoming",
		"单伟":             "单伟/danwei chanwei shanwei",
		"李 David":        "李david david李/lidavid",
		"やまだ":            "やまだ/",
		"上海永乐贸易公司":       "上海永乐贸易公司/",
	} {
		got := naming.WholeOf(name)
		if all := strings.Join(got.Written, " ") + "/" + strings.Join(got.Spelt, " "); all != want {
			t.Errorf("%q is compared by %q, want %q", name, all, want)
		}
	}
}

func TestWholeOf_isBoundedAndKnowsTurnedWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("abcé")), 1, 6, -1), rapid.StringOfN(rapid.RuneFrom([]rune("张单吕")), 1, 6, -1))
		words := rapid.SliceOfN(word, 1, 5).Draw(t, "words")
		whole := naming.WholeOf(strings.Join(words, " "))
		if len(whole.Written) > 3 || len(whole.Spelt) > 8 {
			t.Errorf("%d and %d forms", len(whole.Written), len(whole.Spelt))
		}
		turned := naming.WholeOf(strings.Join(slices.Concat(words[1:], words[:1]), " "))
		if !slices.ContainsFunc(whole.Written, func(f string) bool { return slices.Contains(turned.Written, f) }) {
			t.Errorf("%q and %q share nothing", whole.Written, turned.Written)
		}
	})
}
