package condition_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
)

func newPrograms(t testing.TB) *condition.Programs {
	t.Helper()
	p, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func object(t testing.TB, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// long: a table of expressions and what they come to.
func TestRun(t *testing.T) {
	p := newPrograms(t)
	request := condition.Request{
		Time:    time.Date(2026, 3, 2, 1, 30, 0, 0, time.UTC), // 09:30 in Shanghai
		Subject: "organizations/acme/staff/s1", Resource: "organizations/acme/groups/g1", Action: "groupchat.messages.create",
		Attributes: &permissionv1.Attributes{
			Address: "10.1.2.3", MessageType: "news",
			Subject: object(t, map[string]any{"level": 3, "vip": true, "tags": []any{"a", "b"}}),
			Action:  object(t, map[string]any{"soft": true}),
			Context: object(t, map[string]any{"channel": "app"}),
		},
		Stored: func(name string) (*structpb.Struct, error) {
			if name == "organizations/acme/staff/s1" {
				return object(t, map[string]any{"level": 1, "region": "east"}), nil
			}
			return nil, nil
		},
	}
	for expression, want := range map[string]condition.Outcome{
		`true`:  condition.Met,
		`false`: condition.NotMet,
		`request.time.getHours("Asia/Shanghai") >= 9`:                               condition.Met,
		`request.time.getHours() >= 9`:                                              condition.NotMet, // UTC
		`request.time < timestamp("2026-03-02T01:30:00Z")`:                          condition.NotMet,
		`inNetwork(request.address, "10.0.0.0/8")`:                                  condition.Met,
		`inNetwork(request.address, "192.168.0.0/16")`:                              condition.NotMet,
		`inNetwork("::ffff:10.1.2.3", "10.0.0.0/8")`:                                condition.Met,
		`inNetwork("2001:db8::1", "2001:db8::/32")`:                                 condition.Met,
		`inNetwork("no address", "10.0.0.0/8")`:                                     condition.Failed,
		`inNetwork("10.1.2.3", context.channel)`:                                    condition.Failed,
		`request.message_type in ["news", "notice"]`:                                condition.Met,
		`request.customer_level == "gold"`:                                          condition.Failed, // was not sent
		`request.message_type == "news" || request.customer_level == "gold"`:        condition.Met,    // and is not needed
		`subject.name.startsWith("organizations/acme/staff/")`:                      condition.Met,
		`resource.name == "organizations/acme/groups/g1"`:                           condition.Met,
		`action.name.endsWith(".create") && action.properties.soft == true`:         condition.Met,
		`subject.properties.level >= 3`:                                             condition.Met, // sent stands over stored
		`subject.properties.level == 3 && subject.properties.region == "east"`:      condition.Met,
		`subject.properties.age > 3`:                                                condition.Failed,
		`has(subject.properties.age) && subject.properties.age > 3`:                 condition.NotMet,
		`subject.properties.region > 3`:                                             condition.Failed, // of another type
		`subject.properties.tags.exists(t, t == "b")`:                               condition.Met,
		`resource.properties.size() == 0`:                                           condition.Met,
		`context.channel == "app"`:                                                  condition.Met,
		`subject.name.matches("^organizations/[a-z]+/staff/s[0-9]$")`:               condition.Met,
		`subject.properties.vip == true ? context.channel == "web" : 1 / 0 == 1`:    condition.NotMet,
		`request.time.getHours(context.channel) == 1`:                               condition.Failed, // no such zone
		`request.time - duration("1h") > timestamp("2026-03-02T00:30:00Z") || true`: condition.Met,
	} {
		got, err := p.Run(t.Context(), expression, request)
		if err != nil || got != want {
			t.Errorf("%s: outcome %d, %v, want %d", expression, got, err, want)
		}
		if err := p.Check(expression); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestRun_withoutAnythingKnown(t *testing.T) {
	p := newPrograms(t)
	for expression, want := range map[string]condition.Outcome{
		`has(subject.properties.level)`: condition.NotMet, `request.address == ""`: condition.Failed,
		`context.size() == 0`: condition.Met, `not an expression`: condition.Failed,
	} {
		if got, err := p.Run(t.Context(), expression, condition.Request{}); err != nil || got != want {
			t.Errorf("%s: outcome %d, %v, want %d", expression, got, err, want)
		}
	}
}

func TestRun_storeThatFailsIsNoAnswer(t *testing.T) {
	away := errors.New("away")
	stored := func(string) (*structpb.Struct, error) { return nil, away }
	p := newPrograms(t)
	_, err := p.Run(t.Context(), `subject.properties.level > 3 || true`, condition.Request{Stored: stored})
	if !errors.Is(err, away) {
		t.Errorf("got %v, want that of the store", err)
	}
	if got, err := p.Run(t.Context(), `true`, condition.Request{Stored: stored}); err != nil || got != condition.Met {
		t.Errorf("a condition that needs no properties: %d, %v", got, err)
	}
}

func TestRun_endsWithTheCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := newPrograms(t)
	if _, err := p.Run(ctx, `[1, 2, 3].all(x, x > 0)`, condition.Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the call", err)
	}
}

// TestRun_costsNoMoreThanItsBound sends what the estimate did not expect.
func TestRun_costsNoMoreThanItsBound(t *testing.T) {
	many := make([]any, 100_000)
	for i := range many {
		many[i] = i
	}
	p := newPrograms(t)
	r := condition.Request{Attributes: &permissionv1.Attributes{Context: object(t, map[string]any{"list": many})}}
	if got, err := p.Run(t.Context(), `context.list.all(x, x >= 0)`, r); err != nil || got != condition.Failed {
		t.Errorf("outcome %d, %v, want failed", got, err)
	}
}

func TestCheck_refuses(t *testing.T) {
	p := newPrograms(t)
	nested := `context.a.all(a, context.b.all(b, context.c.all(c, a == b && b == c)))`
	for _, c := range []struct{ name, expression, reason, says string }{
		{"nothing", "", "CONDITION_INVALID", "1 to 2000"},
		{"too long", `"` + strings.Repeat("a", 2000) + `" == ""`, "CONDITION_INVALID", "1 to 2000"},
		{"syntax", `request.address ==`, "CONDITION_INVALID", "line 1, column"},
		{"a second line", "true &&\n  subject.nam == \"\"", "CONDITION_INVALID", "line 2, column 3"},
		{"an unknown variable", `request.body == ""`, "CONDITION_INVALID", "undeclared reference"},
		{"an unknown function", `now() > request.time`, "CONDITION_INVALID", "line 1, column 4: undeclared reference"},
		{"types that do not go together", `request.time > 3`, "CONDITION_INVALID", "no matching overload"},
		{"no bool", `request.address`, "CONDITION_INVALID", "type string"},
		{"perhaps a bool", `subject.properties.vip`, "CONDITION_INVALID", "type bool"},
		{"no network", `inNetwork(request.address, "10.0.0/8")`, "CONDITION_INVALID", "column 28: not a network"},
		{"no pattern", `subject.name.matches("(")`, "CONDITION_INVALID", "line 1"},
		{"no time", `request.time > timestamp("noon")`, "CONDITION_INVALID", "line 1"},
		{"very deep", strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500), "CONDITION_INVALID", ""},
		{"loops in loops", nested, "CONDITION_TOO_COSTLY", "10000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := p.Check(c.expression)
			if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != c.reason {
				t.Fatalf("got %v, want %s", err, c.reason)
			}
			v := errs.From(err).Violations
			if len(v) != 1 || v[0].Field != "grant.condition.expression" || !strings.Contains(v[0].Description, c.says) {
				t.Errorf("violations %v, want one that says %q", v, c.says)
			}
		})
	}
}

func TestCheck_forgetsOldExpressions(t *testing.T) {
	p := newPrograms(t)
	for i := range 5000 {
		if err := p.Check(fmt.Sprintf("%d > 0", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := p.Run(t.Context(), "1 > 0", condition.Request{}); err != nil || got != condition.Met {
		t.Errorf("outcome %d, %v", got, err)
	}
}

// FuzzCheck looks for expressions that cannot be compiled, or run, without a
// panic.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`true`, `request.time.getHours("Asia/Shanghai") >= 9`, `inNetwork(request.address, "10.0.0.0/8")`,
		`subject.properties.tags.all(t, t.startsWith("x"))`, `[1, 2].map(x, x * 2).exists(x, x == 4)`, `has(context.a.b) && context["c"] == {"d": 1}`,
		`subject.name.matches("a|b*")`, `duration("1h") < request.time - timestamp(0)`, "1 / 0 == 1", `"\u00e9" == '''x'''`, `context.a ? true : false`,
	} {
		f.Add(seed)
	}
	p, err := condition.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		if err := p.Check(expression); err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%q: %v", expression, err)
			}
			return
		}
		if _, err := p.Run(t.Context(), expression, condition.Request{}); err != nil {
			t.Errorf("%q: %v", expression, err)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	p := newPrograms(b)
	r := condition.Request{Time: time.Unix(1_800_000_000, 0), Attributes: &permissionv1.Attributes{
		Address: "10.1.2.3", Subject: object(b, map[string]any{"level": 3}),
	}}
	for name, expression := range map[string]string{
		"network": `inNetwork(request.address, "10.0.0.0/8")`, "property": `subject.properties.level >= 3`,
		"hours": `request.time.getHours("Asia/Shanghai") >= 9`, "utc": `request.time.getHours() >= 9`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := p.Run(b.Context(), expression, r); err != nil || got == condition.Failed {
					b.Fatal(got, err)
				}
			}
		})
	}
}
