package problem

import (
	"strings"

	"golang.org/x/text/language"

	"guildhall.dev/pkg/errs"
)

// The languages that problems are written in.
const (
	english = "en"
	chinese = "zh-CN"
)

// maxAcceptLanguage bounds what is parsed; browsers send a tenth of it.
const maxAcceptLanguage = 256

// offered are the languages in the order of the tags below; the first is for
// those who ask for none of them.
var offered = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// choose returns the language for an Accept-Language header.
func choose(header string) string {
	if header == "" || len(header) > maxAcceptLanguage {
		return english
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return english
	}
	if _, index, _ := offered.Match(tags...); index == 1 {
		return chinese
	}
	return english
}

// text is a title and a detail.
type text struct{ title, detail string }

// texts returns title and detail of an error. The English detail is the
// error's own message; other languages have a text per reason, and one per
// kind for reasons that are newer than this gateway.
func texts(e *errs.Error, language string) (title, detail string) {
	if language == chinese {
		if t, ok := chineseReasons[e.Reason]; ok {
			return t.title, t.detail
		}
		if int(e.Kind) < len(chineseKinds) {
			return chineseKinds[e.Kind].title, chineseKinds[e.Kind].detail
		}
	}
	if e.Kind == errs.Internal {
		return titleOf(e.Reason), errs.InternalMessage
	}
	return titleOf(e.Reason), e.Message
}

// titleOf makes "Customer not found" of CUSTOMER_NOT_FOUND.
func titleOf(reason string) string {
	if reason == "" {
		return "Error"
	}
	words := strings.Split(strings.ToLower(reason), "_")
	words[0] = strings.ToUpper(words[0][:min(1, len(words[0]))]) + words[0][min(1, len(words[0])):]
	for i, word := range words {
		switch strings.ToLower(word) {
		case "json", "id":
			words[i] = strings.ToUpper(word)
		case "utf8":
			words[i] = "UTF-8"
		case "etag":
			words[i] = "ETag"
		}
	}
	return strings.Join(words, " ")
}

// describe says what is wrong with a field.
func describe(v errs.Violation, language string) string {
	if language != chinese {
		return v.Description
	}
	if t, ok := chineseViolations[v.Reason]; ok {
		return t
	}
	if t, ok := chineseReasons[v.Reason]; ok {
		return t.detail
	}
	return "该字段的值不符合要求。"
}
