package promise_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/services/all/promise"
)

// at builds a history from lines of a small language: "+ 1 3" gives the right
// between 1 and 3, "- 4 ?" takes it away with an answer that never came, and
// "yes 5 6" and "no 5 6" are checks.
func at(lines string) []promise.Operation {
	var ops []promise.Operation
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		op := promise.Operation{Right: "r", Start: instant(fields[1]), End: instant(fields[2])}
		op.Change = fields[0] == "+" || fields[0] == "-"
		op.Value = fields[0] == "+" || fields[0] == "yes"
		ops = append(ops, op)
	}
	return ops
}

func instant(text string) time.Duration {
	if text == "?" {
		return promise.Never
	}
	d, err := time.ParseDuration(text + "ms")
	if err != nil {
		panic(err)
	}
	return d
}

func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		history string
		broken  int
	}{
		"nothing is held at the beginning":        {"no 1 2", 0},
		"a yes out of nothing":                    {"yes 1 2", 1},
		"a yes before anything began":             {"yes 1 2 \n + 3 4", 1},
		"given, then held":                        {"+ 1 2 \n yes 3 4", 0},
		"a no after it was given":                 {"+ 1 2 \n no 3 4", 1},
		"either while it is given":                {"+ 1 9 \n yes 2 3 \n no 4 5 \n yes 6 7", 0},
		"a check that began before the end":       {"+ 1 5 \n no 4 9", 0},
		"a check that began after the end":        {"+ 1 5 \n no 6 9", 1},
		"a yes after it was taken away":           {"+ 1 2 \n - 3 4 \n yes 5 6", 1},
		"a yes that began while it was taken":     {"+ 1 2 \n - 3 6 \n yes 5 9", 0},
		"a yes at the instant of the end":         {"+ 1 2 \n - 3 4 \n yes 4 5", 0},
		"an older value comes back":               {"+ 1 2 \n - 3 4 \n + 5 6 \n no 7 8", 1},
		"a lost answer may have taken effect":     {"+ 1 2 \n - 3 ? \n no 8 9 \n yes 10 11", 0},
		"a lost answer does not end what was":     {"+ 1 2 \n - 3 4 \n + 5 ? \n no 8 9 \n yes 10 11", 0},
		"what is under way supersedes nothing":    {"+ 1 2 \n - 3 9 \n yes 4 5", 0},
		"two changes at once, either may be last": {"+ 1 5 \n - 2 6 \n yes 7 8 \n no 7 8", 0},
		"both of two are past":                    {"+ 1 5 \n - 2 6 \n - 7 8 \n yes 9 10", 1},
		"every stale answer counts":               {"+ 1 2 \n - 3 4 \n yes 5 6 \n yes 7 8 \n no 9 10", 2},
	} {
		t.Run(name, func(t *testing.T) {
			found := promise.Verify(at(c.history))
			if len(found) != c.broken {
				t.Errorf("%d violations, want %d: %v", len(found), c.broken, found)
			}
		})
	}
}

func TestVerify_rightsAreApart(t *testing.T) {
	ops := at("+ 1 2 \n yes 3 4")
	other := at("yes 3 4")[0]
	other.Right = "another"
	if found := promise.Verify(append(ops, other)); len(found) != 1 || found[0].Check.Right != "another" {
		t.Errorf("got %v, want the check of the other right", found)
	}
}

// A run of an atomic register keeps the promise, and stops to keep it when the
// answer of a check that overlaps no change is turned round.
func TestVerify_findsATurnedAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ops []promise.Operation
		var calm []int // checks that overlap no change
		held, now := false, time.Duration(0)
		step := func() time.Duration { now += time.Duration(rapid.IntRange(1, 5).Draw(t, "step")); return now }
		for range rapid.IntRange(1, 30).Draw(t, "operations") {
			op := promise.Operation{Right: "r", Start: step()}
			if rapid.Bool().Draw(t, "change") {
				if rapid.Bool().Draw(t, "checked meanwhile") {
					ops = append(ops, promise.Operation{Right: "r", Start: step(), End: step(), Value: rapid.Bool().Draw(t, "either")})
				}
				held = !held
				op.Change, op.Value, op.End = true, held, step()
			} else {
				op.Value, op.End = held, step()
				calm = append(calm, len(ops))
			}
			ops = append(ops, op)
		}
		if found := promise.Verify(ops); len(found) > 0 {
			t.Fatalf("a history that is right: %v", found)
		}
		if len(calm) == 0 {
			return
		}
		i := calm[rapid.IntRange(0, len(calm)-1).Draw(t, "which")]
		ops[i].Value = !ops[i].Value
		if found := promise.Verify(ops); len(found) != 1 {
			t.Fatalf("a turned answer: %v", found)
		}
	})
}
