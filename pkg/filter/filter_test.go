package filter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
)

var fields = []filter.Field{
	{Name: "state", Type: filter.Enum, Values: []string{"ACTIVE", "CLOSED"}},
	{Name: "owner.name", Type: filter.String},
	{Name: "muted", Type: filter.Bool},
	{Name: "size", Type: filter.Int},
	{Name: "create_time", Type: filter.Time},
	{Name: "title", Type: filter.Words},
}

func at(hour int) time.Time { return time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC) }

func TestParse_terms(t *testing.T) {
	for _, c := range []struct {
		in   string
		want filter.Terms
	}{
		{"", nil},
		{" \t\n", nil},
		{"state = ACTIVE", filter.Terms{{Field: "state", Op: filter.Equal, Text: "ACTIVE"}}},
		{`state="ACTIVE"`, filter.Terms{{Field: "state", Op: filter.Equal, Text: "ACTIVE"}}},
		{`owner.name = "a \"b\" \\ 'c'" AND muted = true AND size=-7`, filter.Terms{
			{Field: "owner.name", Op: filter.Equal, Text: `a "b" \ 'c'`},
			{Field: "muted", Op: filter.Equal, Bool: true},
			{Field: "size", Op: filter.Equal, Int: -7},
		}},
		{`owner.name = '' AND muted = false`, filter.Terms{{Field: "owner.name", Op: filter.Equal}, {Field: "muted", Op: filter.Equal}}},
		{`owner.name = "客户"`, filter.Terms{{Field: "owner.name", Op: filter.Equal, Text: "客户"}}},
		{`title:"zhang wei" AND state=ACTIVE`, filter.Terms{
			{Field: "title", Op: filter.Has, Text: "zhang wei"}, {Field: "state", Op: filter.Equal, Text: "ACTIVE"},
		}},
		{"title : 12:30", filter.Terms{{Field: "title", Op: filter.Has, Text: "12:30"}}},
		{"title:a:b", filter.Terms{{Field: "title", Op: filter.Has, Text: "a:b"}}},
		{`create_time >= 2026-01-02T01:00:00Z AND create_time < "2026-01-02T04:00:00+02:00"`, filter.Terms{
			{Field: "create_time", Op: filter.GreaterOrEqual, Time: at(1)},
			{Field: "create_time", Op: filter.Less, Time: at(2)},
		}},
	} {
		got, err := filter.Parse(c.in, fields...)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("Parse(%s) error %v (-want +got):\n%s", c.in, err, diff)
		}
	}
}

func TestParse_faultsNameTheirPlace(t *testing.T) {
	for in, position := range map[string]string{
		"state":                                "6",
		"state =":                              "8",
		"state = = ACTIVE":                     "9",
		"state = OPEN":                         "9",
		"state < ACTIVE":                       "7",
		"state != ACTIVE":                      "7",
		"state : ACTIVE":                       "7",
		"state:ACTIVE":                         "6",
		"title = x":                            "7",
		"title:":                               "7",
		"title: :x AND title:y":                "15",
		"create_time : 2026-01-02T01:00:00Z":   "13",
		"unknown = 1":                          "1",
		`"state" = ACTIVE`:                     "1",
		"state = ACTIVE OR muted = true":       "16",
		"state = ACTIVE muted = true":          "16",
		"state = ACTIVE and muted = true":      "16",
		"state = ACTIVE AND":                   "19",
		"AND":                                  "1",
		"NOT muted = true":                     "1",
		"-muted = true":                        "1",
		"(muted = true)":                       "1",
		"muted = yes":                          "9",
		"size = 1.5":                           "8",
		"size = 9223372036854775808":           "8",
		`owner.name = "open`:                   "14",
		`owner.name = "\n"`:                    "14",
		`owner.name = "`:                       "14",
		`owner.name = *`:                       "14",
		"owner.name = \"\xff\"":                "14",
		"create_time = yesterday":              "15",
		"state = ACTIVE AND state = CLOSED":    "20",
		"size = 1 AND muted = true AND size=2": "31",
		"create_time > 2026-01-02T01:00:00Z AND create_time >= 2026-01-02T01:00:00Z": "40",
		"create_time > 2026-01-02T01:00:00Z AND create_time = 2026-01-02T01:00:00Z":  "40",
		strings.Repeat(" ", filter.MaxLength+1):                                      "2049",
	} {
		_, err := filter.Parse(in, fields...)
		e := errs.From(err)
		if err == nil || e.Kind != errs.Invalid || e.Reason != "FILTER_INVALID" || e.Metadata["position"] != position {
			t.Errorf("Parse(%q) = %v, position %q; want invalid at %s", in, err, e.Metadata["position"], position)
			continue
		}
		if len(e.Violations) != 1 || e.Violations[0].Field != "filter" {
			t.Errorf("violations = %v, want one of filter", e.Violations)
		}
	}
}

func TestTimeRange_isHalfOpen(t *testing.T) {
	for op, want := range map[string][2]time.Time{
		"=": {at(1), at(1).Add(1)}, ">": {at(1).Add(1), {}}, ">=": {at(1), {}}, "<": {{}, at(1)}, "<=": {{}, at(1).Add(1)},
	} {
		terms, err := filter.Parse("create_time "+op+" 2026-01-02T01:00:00Z", fields...)
		if err != nil {
			t.Fatal(err)
		}
		from, until := terms.TimeRange("create_time")
		if from != want[0] || until != want[1] {
			t.Errorf("%s: range = %v to %v, want %v", op, from, until, want)
		}
		if from, until := terms.TimeRange("other"); !from.IsZero() || !until.IsZero() {
			t.Errorf("%s: a field without terms has the range %v to %v", op, from, until)
		}
	}
}

func TestLookup(t *testing.T) {
	terms, err := filter.Parse("muted = true AND create_time > 2026-01-02T01:00:00Z", fields...)
	if err != nil {
		t.Fatal(err)
	}
	if term, ok := terms.Lookup("muted"); !ok || !term.Bool {
		t.Errorf("Lookup(muted) = %v, %t", term, ok)
	}
	for _, name := range []string{"create_time", "state"} {
		if term, ok := terms.Lookup(name); ok {
			t.Errorf("Lookup(%s) = %v, want none", name, term)
		}
	}
}

func TestParseOrder(t *testing.T) {
	for in, want := range map[string][]filter.Order{
		"": nil, "  ": nil,
		"name": {{Field: "name"}}, "create_time desc": {{Field: "create_time", Desc: true}},
		" create_time  desc , name ": {{Field: "create_time", Desc: true}, {Field: "name"}},
	} {
		got, err := filter.ParseOrder(in, "create_time", "name")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseOrder(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		",", "name,", "other", "name asc", "name desc desc", "name DESC", "name, name desc", strings.Repeat("name,", 500),
	} {
		_, err := filter.ParseOrder(in, "create_time", "name")
		if e := errs.From(err); err == nil || e.Reason != "ORDER_BY_INVALID" || e.Violations[0].Field != "order_by" {
			t.Errorf("ParseOrder(%q) = %v, want invalid", in, err)
		}
	}
}

// Any text gives terms over declared fields or an Invalid error whose position
// is in the text, and which does not quote the text.
func FuzzParse(f *testing.F) {
	f.Add(`state = ACTIVE AND owner.name = "a\"b"`)
	f.Add("create_time>=2026-01-02T01:00:00Z AND create_time<2027-01-02T01:00:00Z")
	f.Add(`size = "`)
	f.Fuzz(func(t *testing.T, in string) {
		terms, err := filter.Parse(in, fields...)
		if err != nil {
			if e := errs.From(err); e.Kind != errs.Invalid || e.Reason != "FILTER_INVALID" {
				t.Errorf("error = %v, want invalid", err)
			}
			return
		}
		for _, term := range terms {
			if !slices.ContainsFunc(fields, func(f filter.Field) bool { return f.Name == term.Field }) {
				t.Errorf("term on the undeclared field %q", term.Field)
			}
		}
	})
}

func FuzzParseOrder(f *testing.F) {
	f.Add("create_time desc, name")
	f.Fuzz(func(t *testing.T, in string) {
		if _, err := filter.ParseOrder(in, "create_time", "name"); err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("error = %v, want invalid", err)
		}
	})
}

// TestEnumNames_inOrder: an error that lists them reads the same each time.
func TestEnumNames_inOrder(t *testing.T) {
	of := map[int32]string{0: "STATE_UNSPECIFIED", 12: "STATE_C", 1: "STATE_B", 2: "STATE_A"}
	if got := strings.Join(filter.EnumNames(of, "STATE_"), " "); got != "B A C" {
		t.Errorf("the names are %q", got)
	}
}
