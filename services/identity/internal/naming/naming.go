// Package naming says how people are found by their names.
//
// A name becomes terms, each of which an index has an entry for, hashed: what
// stands in an index tells nothing, so nothing can be looked up there but whole
// terms. A query looks up one term, its lead, and then looks at the records
// that have it.
//
//   - Words ("Maria González") are found by how they begin, two letters at
//     least, whatever the case and the accents.
//   - Chinese names, and others written without spaces, by any characters that
//     stand together, two at least, or by the first one.
//   - Chinese names also by pinyin without tones ("zhangw") and by initials
//     ("zw"). A character with several readings (单: shan, dan, chan) is found
//     by each; ü is found as v, u and yu.
//
// It is no full-text search: nothing is ranked, no spelling is corrected.
package naming

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Version is part of the name of an index of terms: another version of this
// package, or of the pinyin dictionary, that gives other terms for a name has
// another one.
const Version = "2"

// MinLetters is the least letters of a word in a query.
const MinLetters = 2

// Bounds of the terms of one name, which a person's name never meets.
const (
	maxRuns   = 8
	maxDense  = 32 // characters of one run
	maxSpelt  = 6  // of them spelt in pinyin
	maxSpells = 8  // ways to spell a run
)

// together is how many characters of a dense run make a term at most: most
// Chinese names have three, so that one is found among a million by itself.
const together = 3

// prefixes are the lengths at which the beginning of a word is a term. A query
// of another length looks up the next shorter one, and looks at what it finds.
var prefixes = [...]int{2, 3, 4, 6, 8}

// Terms returns the terms of a name, sorted, each once.
func Terms(name string) []string {
	var terms []string
	for _, r := range split(name) {
		if !r.dense {
			terms = appendPrefixes(terms, r.text)
			continue
		}
		terms = append(terms, string(r.text[:1]))
		for n := 2; n <= together; n++ {
			for i := range len(r.text) - n + 1 {
				terms = append(terms, string(r.text[i:i+n]))
			}
		}
		for _, s := range spell(r.text) {
			terms = appendPrefixes(terms, []rune(s.from(0)))
			terms = appendPrefixes(terms, []rune(s.initials(0)))
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

func appendPrefixes(terms []string, word []rune) []string {
	for _, n := range prefixes {
		if n <= len(word) {
			terms = append(terms, string(word[:n]))
		}
	}
	return terms
}

// Query is what somebody looks for. The zero Query is none.
type Query struct {
	lead string
	runs []run
}

// Parse reads a query: all its words must be in a name. It is false for one
// that holds no letter, or begins with a word of less than MinLetters.
func Parse(text string) (Query, bool) {
	runs := split(text)
	if len(runs) == 0 {
		return Query{}, false
	}
	first := runs[0].text
	length := min(len(first), together)
	if !runs[0].dense {
		length = 0
		for _, n := range prefixes {
			if n <= len(first) {
				length = n
			}
		}
	}
	if length == 0 {
		return Query{}, false
	}
	return Query{lead: string(first[:length]), runs: runs}, true
}

// Lead is the one of Terms that every name has which the query finds.
func (q Query) Lead() string { return q.lead }

// Matches reports whether the query finds a name that has its lead.
func (q Query) Matches(name string) bool {
	in := split(name)
	for _, wanted := range q.runs {
		if !slices.ContainsFunc(in, func(r run) bool { return wanted.in(r) }) {
			return false
		}
	}
	return true
}

// run is a word, or characters of a script that is written without spaces.
type run struct {
	text  []rune // folded
	dense bool
}

// in reports whether a run of a query finds a run of a name.
func (wanted run) in(r run) bool {
	switch {
	case wanted.dense && !r.dense:
		return false
	case wanted.dense && len(wanted.text) == 1:
		return r.text[0] == wanted.text[0]
	case wanted.dense:
		return strings.Contains(string(r.text), string(wanted.text))
	case !r.dense:
		return strings.HasPrefix(string(r.text), string(wanted.text))
	}
	text := string(wanted.text)
	for _, s := range spell(r.text) {
		for i := range s {
			if strings.HasPrefix(s.from(i), text) || strings.HasPrefix(s.initials(i), text) {
				return true
			}
		}
	}
	return false
}

// split returns the folded runs of a text.
func split(text string) []run {
	var runs []run
	kind := gap
	for _, c := range fold(text) {
		k := kindOf(c)
		switch {
		case k == gap:
		case k != kind && len(runs) == maxRuns:
			return runs
		case k != kind:
			runs = append(runs, run{text: []rune{c}, dense: k == dense})
		case k == dense && len(runs[len(runs)-1].text) == maxDense:
		default:
			last := &runs[len(runs)-1]
			last.text = append(last.text, c)
		}
		kind = k
	}
	return runs
}

type charKind uint8

const (
	gap charKind = iota
	letter
	dense
)

func kindOf(c rune) charKind {
	switch {
	case unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
		return dense
	case unicode.IsLetter(c), unicode.IsNumber(c):
		return letter
	default:
		return gap
	}
}

// fold returns the text without regard to case, width and accents. Hangul and
// kana are composed again: their parts are no accents.
func fold(text string) string {
	chain := transform.Chain(norm.NFKD, runes.Remove(runes.Predicate(accent)), norm.NFC)
	folded, _, err := transform.String(chain, cases.Fold().String(norm.NFKC.String(text)))
	if err != nil {
		return "" // no text of valid UTF-8 gets here
	}
	return folded
}

// accent reports whether a mark may be left out. That of voiced kana may not:
// it makes another letter.
func accent(c rune) bool { return unicode.Is(unicode.Mn, c) && c != '\u3099' && c != '\u309a' }
