package naming

import (
	"strings"

	"github.com/mozillazg/go-pinyin"
	"golang.org/x/text/unicode/norm"
)

// spelling is the syllables of a run in one of its readings.
type spelling []string

// from returns the syllables from the i-th on, in one word.
func (s spelling) from(i int) string { return strings.Join(s[i:], "") }

// initials returns the first letters of the syllables from the i-th on.
func (s spelling) initials(i int) string {
	var b strings.Builder
	for _, syllable := range s[i:] {
		b.WriteByte(syllable[0])
	}
	return b.String()
}

// spell returns the ways to spell the beginning of a run in pinyin: up to the
// first character that has no reading. There are at most maxSpells; the first
// characters, in names the family's, are spelt in all their ways first.
func spell(run []rune) []spelling {
	spellings := []spelling{{}}
	for i, c := range run {
		syllables := readings(c)
		if i == maxSpelt || len(syllables) == 0 {
			break
		}
		if len(spellings)*len(syllables) > maxSpells {
			syllables = syllables[:1]
		}
		longer := make([]spelling, 0, len(spellings)*len(syllables))
		for _, s := range spellings {
			for _, syllable := range syllables {
				longer = append(longer, append(s[:len(s):len(s)], syllable))
			}
		}
		spellings = longer
	}
	if len(spellings[0]) == 0 {
		return nil
	}
	return spellings
}

// readings returns the readings of a character without tones, each once, the
// commonest first; none for what is no Chinese character.
func readings(c rune) []string {
	var out []string
	add := func(syllable string) {
		for _, known := range out {
			if known == syllable {
				return
			}
		}
		out = append(out, syllable)
	}
	for toned := range strings.SplitSeq(pinyin.PinyinDict[int(c)], ",") {
		syllable := plain(toned)
		if syllable == "" {
			continue
		}
		add(syllable)
		if before, after, ok := strings.Cut(syllable, "v"); ok {
			add(before + "u" + after)
			add(before + "yu" + after)
		}
	}
	return out
}

// plain takes the tone off a syllable, and writes ü as v, as it is typed.
func plain(toned string) string {
	var b strings.Builder
	for _, c := range norm.NFD.String(toned) {
		switch {
		case 'a' <= c && c <= 'z':
			b.WriteRune(c)
		case c == '\u0308' && b.Len() > 0: // the diaeresis of the u before
			u := strings.TrimSuffix(b.String(), "u")
			b.Reset()
			b.WriteString(u + "v")
		}
	}
	return b.String()
}
