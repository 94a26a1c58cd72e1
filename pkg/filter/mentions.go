package filter

import "strings"

// Mentions returns the words of a filter or an order_by that may name a field, in
// their order; AND, and values that are not quoted, are among them. Of what holds
// colons it is what stands before the first, as in name:li. It refuses
// nothing: it is for those who look at what a request works with before its
// handler reads it, and want no name to escape them.
func Mentions(text string) []string {
	var words []string
	for s := (scanner{text: text}); ; {
		switch t := s.scan(); t.kind {
		case end:
			return words
		case word:
			name, _, _ := strings.Cut(t.text, string(Has))
			words = append(words, name)
		}
	}
}
