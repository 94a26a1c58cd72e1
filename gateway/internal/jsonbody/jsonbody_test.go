package jsonbody

import (
	"strconv"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func nowhere(string) string { return "" }

// TestExplain_saysWhereANameBelongs: of a name that the body does not have, and another
// place does.
func TestExplain_saysWhereANameBelongs(t *testing.T) {
	place := func(name string) string {
		if name == "surveyId" {
			return "send it in the query"
		}
		return ""
	}
	for body, want := range map[string]string{
		`{"surveyId":"a"}`:                 "send it in the query",
		`{"questions":[{"surveyId":"a"}]}`: "there is no such field; leave it out or correct its name",
	} {
		if e := Explain([]byte(body), (&feedbackv1.Survey{}).ProtoReflect().Type(), place, nil); e.Message != want || e.Violations[0].Description != want {
			t.Errorf("%s: %q, %v; want %q", body, e.Message, e.Violations, want)
		}
	}
}

func TestExplain_namesTheFault(t *testing.T) {
	for _, test := range []struct{ body, reason, field, offset string }{
		{`{"questions":[{"questionId":"a"},{"kind":"KIND_CSAT","kind":"KIND_TEXT"}]}`, problem.JSONFieldTwice, "questions[1].kind", "53"},
		{`{"questions":[{"kind":"KIND_NONE"}]}`, problem.JSONValueInvalid, "questions[0].kind", "22"},
		{`{"questions":[null]}`, problem.JSONValueInvalid, "questions[0]", "14"},
		{`{"responseCount":"many"}`, problem.JSONValueInvalid, "responseCount", "17"},
		{`{"createTime":{}}`, problem.JSONValueInvalid, "createTime", "14"},
		{"  7", problem.JSONValueInvalid, "", "2"},
		{"\n{\"display_name\" :\t\"a\" ,\n \"x\":{}}", problem.JSONFieldUnknown, "x", "26"},
		{`{"displayName":"\ud800"}`, problem.JSONValueInvalid, "displayName", "15"},
	} {
		e := Explain([]byte(test.body), (&feedbackv1.Survey{}).ProtoReflect().Type(), nowhere, nil)
		field := ""
		if len(e.Violations) > 0 {
			field = e.Violations[0].Field
		}
		if e.Kind != errs.Invalid || e.Reason != test.reason || field != test.field || e.Metadata["offset"] != test.offset {
			t.Errorf("%s: %s %q at %v, want %s %q at %s", test.body, e.Reason, field, e.Metadata, test.reason, test.field, test.offset)
		}
	}
}

func TestExplain_saysWhatFits(t *testing.T) {
	for body, want := range map[string]string{
		`{"displayName":1}`:           "send a string",
		`{"permissions":"a"}`:         "send a list, each element a string",
		`{"builtIn":"yes"}`:           "send true or false",
		`{"createTime":"2026-01-31"}`: `send a time as in "2026-01-31T08:00:00Z"`,
	} {
		if e := Explain([]byte(body), (&permissionv1.Role{}).ProtoReflect().Type(), nowhere, nil); e.Message != want {
			t.Errorf("%s: %q, want %q", body, e.Message, want)
		}
	}
}

// FuzzExplain holds that whatever protojson refuses gets an answer whose
// position is inside the body.
func FuzzExplain(f *testing.F) {
	for _, seed := range []string{`{}`, `{"questions":[{"a":1}]}`, `{"displayName":"\u00`, "\xff", `[]`, `{"createTime":null,"x":[[{}]]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		survey := &feedbackv1.Survey{}
		cause := protojson.Unmarshal(body, survey)
		if cause == nil {
			return
		}
		e := Explain(body, survey.ProtoReflect().Type(), nowhere, cause)
		offset, err := strconv.Atoi(e.Metadata["offset"])
		if err != nil || offset < 0 || offset > len(body) || e.Kind != errs.Invalid || e.Reason == "" {
			t.Errorf("%q: %v at %v", body, e, e.Metadata)
		}
	})
}
