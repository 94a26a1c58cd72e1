package credential

import (
	_ "embed" // of the word list
	"slices"
	"strings"
	"unicode"
)

// blocklist holds words that guesses are made of, one a line, sorted: what people
// type when they must type something, common names, runs of keyboards, days and
// years. It is for passwords of fifteen characters, which the usual lists of
// leaked ones hardly hold; those are made by repeating and joining words, and so
// are found by strength. The rules that it is made by are in the test beside it.
//
//go:embed blocklist.txt
var blocklist string

// minStrength is the least that strength must find: what NIST SP 800-63B-4
// asks of a password that is not the only factor.
const minStrength = 8

// minStrengthBeside is the same of a password that needs a second factor: less, since
// of its eight characters nearly all would have to count else.
const minStrengthBeside = 6

// minWord is the least bytes of a word; shorter ones are in every password.
const minWord = 4

// strength returns how many characters of a password an attacker has to guess,
// roughly: a known word counts as one, whatever its length; a character that
// repeats the one before it, or follows it in the alphabet or among the digits,
// counts for nothing, and so do separators. Of all ways to read a password the one
// counts that leaves the least. A word that is said again in it counts for nothing
// either.
func strength(password string, context []string) int {
	words := newDictionary(context)
	plain := []rune(strings.ToLower(password))
	folded := fold(plain)
	ways := make([]way, len(plain)+1) // to read the first i characters
	for i := range plain {
		ways[i+1].improve(way{left: ways[i].left + guess(plain, i), from: i})
		for _, text := range [][]rune{plain, folded} {
			for _, word := range words.from(text[i:]) {
				ways[i+len([]rune(word))].improve(way{left: ways[i].left + 1, from: i, word: word})
			}
		}
	}
	left, said := ways[len(plain)].left, make(map[string]bool)
	for i := len(plain); i > 0; i = ways[i].from {
		if word := ways[i].word; word != "" {
			if said[word] {
				left--
			}
			said[word] = true
		}
	}
	return left
}

// way is how the beginning of a password is read best.
type way struct {
	left int // to guess
	from int // where its last part begins
	word string
	real bool
}

func (w *way) improve(by way) {
	if !w.real || by.left < w.left {
		*w = by
		w.real = true
	}
}

// guess is 1 for a character that the one before it does not give away.
func guess(text []rune, i int) int {
	if strings.ContainsRune(" -_.", text[i]) {
		return 0
	}
	if i > 0 {
		if step := text[i] - text[i-1]; -1 <= step && step <= 1 {
			return 0
		}
	}
	return 1
}

// longestWord bounds the bytes of the words of the blocklist.
const longestWord = 40

// dictionary are the words of the blocklist and those of an account.
type dictionary struct {
	own  map[string]bool
	most int // bytes of the longest
}

func newDictionary(context []string) dictionary {
	d := dictionary{own: make(map[string]bool), most: longestWord}
	for _, c := range context {
		whole := strings.ToLower(Normalize(c))
		for _, word := range append(strings.FieldsFunc(whole, separates), whole) {
			if len(word) >= minWord {
				d.own[word], d.most = true, max(d.most, len(word))
			}
		}
	}
	return d
}

func separates(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// from returns the words that a text begins with.
func (d dictionary) from(text []rune) (words []string) {
	head := string(text[:min(len(text), d.most)])
	for n := range head {
		if n >= minWord && d.holds(head[:n]) {
			words = append(words, head[:n])
		}
	}
	if len(head) >= minWord && d.holds(head) {
		words = append(words, head)
	}
	return words
}

func (d dictionary) holds(word string) bool { return listed(word) || d.own[word] }

// listed reports whether a word is a line of the blocklist, by bisection of its
// text: it is asked for each part of a password.
func listed(word string) bool {
	from, to := 0, len(blocklist) // of lines
	for from < to {
		middle := from + (to-from)/2
		start := strings.LastIndexByte(blocklist[from:middle], '\n') + 1 + from
		end := start + strings.IndexByte(blocklist[start:], '\n')
		switch strings.Compare(word, blocklist[start:end]) {
		case 0:
			return true
		case -1:
			to = start
		default:
			from = end + 1
		}
	}
	return false
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
