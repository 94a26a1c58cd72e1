package conf

import "strings"

func (s *schema) nearestPath(path string) string {
	known := make([]string, 0, len(s.fields)+len(s.parents))
	for _, f := range s.fields {
		known = append(known, f.path)
	}
	for parent := range s.parents {
		known = append(known, parent)
	}
	return didYouMean(nearest(path, known))
}

func (s *schema) nearestFlag(name string) string {
	known := make([]string, 0, 2*len(s.fields))
	for _, f := range s.fields {
		known = append(known, f.path, flagName(f.path))
	}
	return didYouMean(nearest(name, known))
}

func (s *schema) nearestEnv(name string) string {
	known := make([]string, 0, len(s.fields))
	for _, f := range s.fields {
		known = append(known, envName(f.path))
	}
	return didYouMean(nearest(name, known))
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + name + "?"
}

// nearest returns the known word with the least edit distance to word, or ""
// when none is near enough to be meant. Ties go to the first in byte order, so
// that messages are stable.
func nearest(word string, known []string) string {
	if len(word) > 100 {
		return "" // no key of ours, and the distance takes time by length
	}
	best, bestDistance := "", len(word)/2+1
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d < bestDistance || (d == bestDistance && best != "" && k < best) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes; keys are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
