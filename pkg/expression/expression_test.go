package expression_test

import (
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/expression"
)

func language(t *testing.T) *expression.Language {
	t.Helper()
	l, err := expression.New(expression.Config{
		Options: []cel.EnvOption{cel.Variable("a.x", cel.IntType), cel.Variable("a.y", cel.StringType), cel.Variable("list", cel.ListType(cel.StringType))},
		Field:   "thing.rule", Invalid: "RULE_INVALID", TooCostly: "RULE_TOO_COSTLY",
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestProgram_refusesWhatCannotBeRun(t *testing.T) {
	l := language(t)
	nested := "list.exists(a1, list.exists(b1, list.exists(c1, a1 == b1 && b1 == c1)))"
	for text, want := range map[string]struct{ reason, says string }{
		"":                              {"RULE_INVALID", "1 to 2000"},
		strings.Repeat("x", 2001):       {"RULE_INVALID", "1 to 2000"},
		"a.x > ":                        {"RULE_INVALID", "line 1, column"},
		"a.x":                           {"RULE_INVALID", "of type int"},
		`a.y == 3`:                      {"RULE_INVALID", "line 1, column 5"},
		"b.z == 1":                      {"RULE_INVALID", "undeclared"},
		"timestamp('tomorrow') == null": {"RULE_INVALID", "invalid"},
		nested:                          {"RULE_TOO_COSTLY", "10000 is the most"},
	} {
		_, err := l.Program(text)
		e := errs.From(err)
		if e.Kind != errs.Invalid || e.Reason != want.reason || len(e.Violations) != 1 || e.Violations[0].Field != "thing.rule" ||
			!strings.Contains(e.Violations[0].Description, want.says) {
			t.Errorf("%.40s: %v %v", text, err, e.Violations)
		}
	}
	first, err := l.Program("a.x > 3")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := l.Program("a.x > 3"); again != first {
		t.Error("an expression is compiled twice")
	}
}

func TestParts(t *testing.T) {
	parts, err := language(t).Parts(`a.x > 3 && a.y == "b" && !("q" in list || list.exists(e, e == a.y))`)
	if err != nil {
		t.Fatal(err)
	}
	want := []expression.Part{
		{Text: `a.x > 3 && a.y == "b" && !("q" in list || list.exists(e, e == a.y))`},
		{Text: `a.x > 3`, Depth: 1, Variables: []string{"a.x"}},
		{Text: `a.y == "b"`, Depth: 1, Variables: []string{"a.y"}},
		{Text: `!("q" in list || list.exists(e, e == a.y))`, Depth: 1},
		{Text: `"q" in list || list.exists(e, e == a.y)`, Depth: 2},
		{Text: `"q" in list`, Depth: 3},
		{Text: `list.exists(e, e == a.y)`, Depth: 3, Variables: []string{"a.y"}},
	}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}
