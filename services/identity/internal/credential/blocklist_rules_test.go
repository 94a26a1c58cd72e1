package credential

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write blocklist.txt anew by its rules")

// TestBlocklist_isWhatItsRulesMake keeps blocklist.txt to these rules, and in the
// order in which it is searched.
func TestBlocklist_isWhatItsRulesMake(t *testing.T) {
	want := strings.Join(rules(), "\n") + "\n"
	if *update {
		if err := os.WriteFile("blocklist.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if blocklist != want {
		t.Error("blocklist.txt is not what its rules make: run go test -run Blocklist -update")
	}
	if n := len(rules()); n < 5000 {
		t.Errorf("the blocklist has %d words", n)
	}
	for _, word := range rules() {
		if !listed(word) || listed(word+"\x00") || len(word) > longestWord {
			t.Errorf("%q is not found, or too long", word)
		}
	}
	for _, other := range []string{"", "\n", "a", "zzzzz", "0", "龍", "pass\npass"} {
		if listed(other) {
			t.Errorf("%q is found", other)
		}
	}
}

// rules makes all words: what people type by hand, their names, the runs of
// keyboards, and the numbers that mean something.
func rules() []string {
	words := slices.Concat(strings.Fields(typed), strings.Fields(englishNames), strings.Fields(pinyin), strings.Fields(hanzi),
		names(), runs(), numbers())
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) < minWord })
	slices.Sort(words)
	return slices.Compact(words)
}

// names are Chinese names in pinyin, and with the family name behind.
func names() (out []string) {
	for _, family := range strings.Fields(families) {
		for _, given := range strings.Fields(givens) {
			out = append(out, family+given, given+family)
		}
	}
	return append(out, strings.Fields(givens)...)
}

// runs are runs along the rows and columns of keyboards, both ways.
func runs() (out []string) {
	rows := []string{"qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qsdfghjklm", "zxcvbnm", "yxcvbnm", "wxcvbn", "1234567890", "abcdefghijklmnopqrstuvwxyz"}
	columns := []string{"1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "147258369", "741852963", "159753", "qazwsxedcrfvtgbyhnujm", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0"}
	for i := range 6 {
		columns = append(columns, columns[i]+columns[i+1])
	}
	for _, run := range append(rows, columns...) {
		back := []byte(run)
		slices.Reverse(back)
		for _, way := range []string{run, string(back)} {
			for from := range way {
				for to := from + minWord; to <= len(way); to++ {
					out = append(out, way[from:to])
				}
			}
		}
	}
	return out
}

// numbers are digits said again, years, days, and what sounds like a wish.
func numbers() (out []string) {
	for d := range 10 {
		for n := minWord; n <= 12; n++ {
			out = append(out, strings.Repeat(fmt.Sprint(d), n))
		}
	}
	for year := 1940; year <= 2040; year++ {
		out = append(out, fmt.Sprint(year))
	}
	for day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == 2024; day = day.AddDate(0, 0, 1) {
		out = append(out, day.Format("0102"))
	}
	return append(out, strings.Fields(lucky)...)
}

func TestASVS_6_2_4_probablePasswordsAreRefused(t *testing.T) {
	n := 0
	refused := func(password string) {
		if len(password) < minAlone {
			return
		}
		n++
		if err := Check("password", password, Alone); err == nil {
			t.Errorf("%q is taken", password)
		}
	}
	for _, word := range slices.Concat(strings.Fields(typed), strings.Fields(englishNames), strings.Fields(pinyin)) {
		for _, end := range []string{"1234567890", "12345678", "123456789", "@123456789", "!2026!2026", "20252026", "19901231", "5201314", "13145201314", "888888888"} {
			refused(word + end)
			refused(end + word)
			refused(strings.ToUpper(word[:1]) + word[1:] + end + "!")
		}
		for _, doubled := range []string{word + word, word + word + word, word + "-" + word + "-" + word, word + "123" + word + "123"} {
			refused(doubled)
		}
	}
	for _, run := range runs() {
		refused(run + run)
		refused(run + "12345678")
	}
	if n < 3000 {
		t.Errorf("only %d probable passwords are long enough to be tried", n)
	}
}

// TestASVS_6_2_12_chineseHabitsAreRefused, which lists of English words miss.
func TestASVS_6_2_12_chineseHabitsAreRefused(t *testing.T) {
	for _, password := range []string{
		"woaini1314woaini", "woaini5201314520", "5201314woaini1314", "52013145201314520", "zhangwei19900101", "wangfang13145201314",
		"liuyang123456789", "woshinibaba123456", "nihao123456789nihao", "mima123456mima123456", "aini1314aini1314", "qwer1234asdf5678",
		"1qaz2wsx3edc4rfv", "qq123456qq123456", "abcd1234abcd1234", "a123456789a123456789", "woaiwojia1314520", "我爱你我爱你我爱你我爱你我爱你",
		"床前明月光疑是地上霜举头望明月低头思故乡", "恭喜发财万事如意身体健康恭喜发财", "ｗｏａｉｎｉ１３１４５２０１３１４",
	} {
		if err := Check("password", password, Alone); err == nil {
			t.Errorf("%q is taken", password)
		}
	}
}
