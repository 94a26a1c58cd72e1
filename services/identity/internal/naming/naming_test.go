package naming_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"guildhall.dev/services/identity/internal/naming"
)

// The terms of a name are what an index was written with: when they change,
// Version has to.
func TestTerms_areThoseOfTheVersion(t *testing.T) {
	for name, want := range map[string]string{
		"":               "",
		"*":              "",
		"张伟":             "zh zha zhan zhangw zhangwei zw 张 张伟",
		"María González": "go gon gonz gonzal gonzalez ma mar mari",
		"ＡＢＣ-42 J":       "42 ab abc",
		"吕布":             "lb lu lub lubu lv lvb lvbu ly lyu lyub 吕 吕布",
		"やまだ":            "や やま まだ やまだ",
		"张小燕":            "zh zha zhan zhangx zhangxia zx zxy 张 张小 小燕 张小燕",
	} {
		got := naming.Terms(name)
		words := strings.Fields(want)
		slices.Sort(words)
		if diff := cmp.Diff(words, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Terms(%q) (-want +got):\n%s", name, diff)
		}
	}
}

func TestQuery_finds(t *testing.T) {
	for _, c := range []struct{ name, queries string }{
		{"张伟", "张|张伟|zhang|zh|zhangw|zhangwei|zw|ZhangWei|zhang wei|张wei"},
		{"单雄信", "单|雄信|shan|shanxiong|dan|dxx|sxx|单 xin"},
		{"吕布", "lv|lu|lyu|lvbu|lb"},
		{"上海永乐贸易有限公司", "上海|永乐|有限公司|shanghai|shyl"},
		{"María González", "maria|MARIA|mar gonz|gonzález|go ma|González María"},
		{"Straße", "strasse|STRASSE|stra"},
		{"김철수", "김|철수|김철수"},
		{"ﾔﾏﾀﾞ", "ヤマダ|ヤ"},
		{"O'Brien 3M", "brien|3m|3m brien"},
	} {
		for text := range strings.SplitSeq(c.queries, "|") {
			q, ok := naming.Parse(text)
			if !ok || !found(q, c.name) {
				t.Errorf("%q does not find %q (parses: %t)", text, c.name, ok)
			}
		}
	}
}

func TestQuery_findsNobodyElse(t *testing.T) {
	for _, c := range []struct{ name, queries string }{
		{"张伟", "伟|王|wei|zhao|zhangwx|张 li|zhangweiming"},
		{"María González", "ia|gonzo|maria g. perez|marianne"},
		{"ダイ", "タイ"},
	} {
		for text := range strings.SplitSeq(c.queries, "|") {
			if q, ok := naming.Parse(text); !ok || found(q, c.name) {
				t.Errorf("%q finds %q (parses: %t)", text, c.name, ok)
			}
		}
	}
}

func TestParse_refusesWhatNoIndexServes(t *testing.T) {
	for _, text := range []string{"", " ", "*", "a", "a b", "é", "-1"} {
		if q, ok := naming.Parse(text); ok {
			t.Errorf("%q is taken, with the lead %q", text, q.Lead())
		}
	}
}

func found(q naming.Query, name string) bool {
	return slices.Contains(naming.Terms(name), q.Lead()) && q.Matches(name)
}

// Any beginning of a word, and any characters that stand together, find the
// name; and what a query finds has all that is asked for.
func TestQuery_findsBeginnings(t *testing.T) {
	latin := rapid.StringOfN(rapid.RuneFrom([]rune("abcéÜß")), 2, 12, -1)
	han := rapid.StringOfN(rapid.RuneFrom([]rune("张王李单吕伟乐永长")), 2, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.OneOf(latin, han), 1, 3).Draw(t, "words")
		word := []rune(rapid.SampledFrom(words).Draw(t, "word"))
		length := rapid.IntRange(2, len(word)).Draw(t, "length")
		q, ok := naming.Parse(string(word[:length]))
		if name := strings.Join(words, " "); !ok || !found(q, name) {
			t.Fatalf("%q does not find %q", string(word[:length]), name)
		}
	})
}

func TestTerms_areBounded(t *testing.T) {
	for _, name := range []string{strings.Repeat("单", 400), strings.Repeat("单 ", 200), strings.Repeat("ab ", 200), strings.Repeat("吕乐长", 100)} {
		if n := len(naming.Terms(name)); n > 500 {
			t.Errorf("%.12s… has %d terms", name, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("张伟 zhang")
	f.Add("\xff\u0301a")
	f.Fuzz(func(t *testing.T, text string) {
		q, ok := naming.Parse(text)
		if ok && !found(q, text) {
			t.Errorf("%q does not find itself", text)
		}
	})
}

func BenchmarkTerms(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		naming.Terms("张伟 Zhang")
	}
}
