package problem

import "maps"

// chineseReasons are the texts of all reasons. A test holds them against the
// reasons that the protos' comments promise.
var chineseReasons = merged(chineseGeneral, chineseDuty)

// merged puts the texts of several areas together.
func merged(areas ...map[string]text) map[string]text {
	all := make(map[string]text)
	for _, area := range areas {
		maps.Copy(all, area)
	}
	return all
}
