package naming

import "strings"

// Whole is how a whole name is compared with another one.
type Whole struct {
	// Written are its letters in a row, folded: in order, with the first word put
	// last, and with the last one put first, for people write the family's name
	// before the given one or behind it.
	Written []string
	// Spelt is a name with Chinese characters in pinyin, in each of its readings.
	// None of another name.
	Spelt []string
}

// WholeOf returns how a name is compared; the zero Whole of one without letters.
func WholeOf(name string) Whole {
	runs := split(name)
	if len(runs) == 0 {
		return Whole{}
	}
	words := make([]string, len(runs))
	for i, r := range runs {
		words[i] = string(r.text)
	}
	return Whole{Written: turned(words), Spelt: spelt(runs)}
}

// turned returns the words in a row, and turned to either side.
func turned(words []string) []string {
	last := len(words) - 1
	out := []string{strings.Join(words, "")}
	if last > 0 {
		out = append(out, strings.Join(words[1:], "")+words[0])
	}
	if last > 1 {
		out = append(out, words[last]+strings.Join(words[:last], ""))
	}
	return out
}

// spelt returns the runs in a row in pinyin; none when a run of Chinese characters
// cannot be spelt to its end, as long names of companies are not. Of several runs
// only the first reading of each counts, so that there are never many.
func spelt(runs []run) []string {
	rows := []string{""}
	some := false
	for _, r := range runs {
		if !r.dense {
			rows = each(rows, string(r.text))
			continue
		}
		var readings []string
		for _, s := range spell(r.text) {
			if len(s) == len(r.text) {
				readings = append(readings, s.from(0))
			}
		}
		if len(readings) == 0 {
			return nil
		}
		if len(runs) > 1 {
			readings = readings[:1]
		}
		rows, some = each(rows, readings...), true
	}
	if !some {
		return nil
	}
	return rows
}

// each returns the rows with each of the ends.
func each(rows []string, ends ...string) []string {
	out := make([]string, 0, len(rows)*len(ends))
	for _, row := range rows {
		for _, end := range ends {
			out = append(out, row+end)
		}
	}
	return out
}
