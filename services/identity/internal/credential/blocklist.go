package credential

import (
	_ "embed" // of the word list
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// blocklist holds words that guesses are made of, one a line: they are what
// people type when they must type something. It is for passwords of fifteen
// characters, which the usual lists of leaked ones hardly hold; those are made
// by repeating and joining words, and so are found by strength.
//
//go:embed blocklist.txt
var blocklist string

// minStrength is the least that strength must find: what NIST SP 800-63B-4
// asks of a password that is not the only factor.
const minStrength = 8

// minWord is the least bytes of a word; shorter ones are in every password.
const minWord = 4

// strength returns how many characters of a password an attacker has to guess,
// roughly: a known word counts as one, whatever its length; a character that
// repeats the one before it, or follows it in the alphabet or among the
// digits, counts for nothing, and so do separators. A word that is said again
// counts for nothing either.
func strength(password string, context []string) int {
	words := knownWords(context)
	plain := []rune(strings.ToLower(password))
	folded := fold(plain)
	used := make(map[string]bool)
	n, last := 0, rune(0)
	for i := 0; i < len(plain); {
		word := longestPrefix(words, string(plain[i:]), string(folded[i:]))
		if word != "" {
			if !used[word] {
				n++
			}
			used[word] = true
			i, last = i+utf8.RuneCountInString(word), 0
			continue
		}
		r := plain[i]
		if step := r - last; (step < -1 || step > 1) && !strings.ContainsRune(" -_.", r) {
			n++
		}
		i, last = i+1, r
	}
	return n
}

// knownWords returns the words of the blocklist and of the context, the
// longest first.
func knownWords(context []string) []string {
	words := strings.Fields(blocklist)
	for _, c := range context {
		whole := strings.ToLower(Normalize(c))
		for _, word := range append(strings.FieldsFunc(whole, separates), whole) {
			if len(word) >= minWord {
				words = append(words, word)
			}
		}
	}
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}

func separates(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// longestPrefix returns the first of the words that one of the texts begins
// with.
func longestPrefix(words []string, texts ...string) string {
	for _, word := range words {
		for _, text := range texts {
			if strings.HasPrefix(text, word) {
				return word
			}
		}
	}
	return ""
}

// fold undoes the substitutions that everybody tries: digits and signs in
// place of letters. Those that stand beside no letter stay what they are.
func fold(in []rune) []rune {
	out := slices.Clone(in)
	for i, r := range in {
		letter, ok := lookalike(r)
		if ok && (i > 0 && unicode.IsLetter(in[i-1]) || i+1 < len(in) && unicode.IsLetter(in[i+1])) {
			out[i] = letter
		}
	}
	return out
}

func lookalike(r rune) (rune, bool) {
	switch r {
	case '0':
		return 'o', true
	case '1', '!':
		return 'i', true
	case '3':
		return 'e', true
	case '4', '@':
		return 'a', true
	case '5', '$':
		return 's', true
	case '7':
		return 't', true
	}
	return r, false
}
