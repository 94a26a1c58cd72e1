package decision_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/decision"
)

const acme = "organizations/acme"

var noon = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

// open returns a log that keeps the share, and its store. Its clock stands at
// noon.
func open(t testing.TB, engine string, share decision.Share) (*decision.Log, kv.Store) {
	t.Helper()
	table := decision.NewTable()
	store := testkit.Store(t, engine, "permission", table.Tables())
	l, err := decision.New(decision.Config{Store: store, Share: share, Keep: time.Hour, Clock: func() time.Time { return noon }}, table)
	if err != nil {
		t.Fatal(err)
	}
	return l, store
}

// finish writes all that waits.
func finish(t testing.TB, l *decision.Log) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func list(t testing.TB, l *decision.Log, store kv.Store, f decision.Filter) (all []*permissionv1.Decision) {
	t.Helper()
	err := store.View(t.Context(), func(r kv.Reader) error {
		all = nil
		for after := []byte(nil); ; {
			found, next, err := l.List(r, acme, f, after, 7)
			if all = append(all, found...); err != nil || next == nil {
				return err
			}
			after = next
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func question(i int) decide.Question {
	return decide.Question{
		Subject: fmt.Sprintf("%s/staff/s%d", acme, i%3), Permission: "groupchat.groups.get", Resource: acme,
		Attributes: &permissionv1.Attributes{Address: "192.0.2.7"},
	}
}

func TestLog_listsNewestFirstAndForgetsInTime(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			l, store := open(t, engine, decision.Full)
			for i := range 1200 { // more than one transaction deletes
				l.Record(noon.Add(-2*time.Hour+time.Duration(i)*time.Millisecond), acme, 7, question(i), decide.Answer{})
			}
			for i := range 30 {
				l.Record(noon.Add(time.Duration(i)*time.Second), acme, 8, question(i), decide.Answer{Allowed: i%2 == 0, Grant: "g"})
			}
			l.Record(noon, "organizations/zeta", 1, question(0), decide.Answer{})
			finish(t, l)
			if n, err := l.Sweep(t.Context()); n != 1200 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
			all := list(t, l, store, decision.Filter{})
			if len(all) != 30 {
				t.Fatalf("%d decisions, want 30", len(all))
			}
			for i, d := range all[1:] {
				if d.GetTime().AsTime().After(all[i].GetTime().AsTime()) {
					t.Fatalf("%v comes after %v", d, all[i])
				}
			}
			yes, of := true, question(1).Subject
			if n := len(list(t, l, store, decision.Filter{Allowed: &yes})); n != 15 {
				t.Errorf("%d yes, want 15", n)
			}
			if n := len(list(t, l, store, decision.Filter{Subject: of})); n != 10 {
				t.Errorf("%d of one subject, want 10", n)
			}
			if n := len(list(t, l, store, decision.Filter{Subject: of, From: noon.Add(10 * time.Second), Until: noon.Add(13 * time.Second)})); n != 1 {
				t.Errorf("%d of three seconds, want 1", n)
			}
		})
	}
}

func TestList_keepsWhatTheFilterNames(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			l, store := open(t, engine, decision.Full)
			for i, resource := range []string{"/groups/g1", "/groups/g1/messages/1", "/groups/g11", ""} {
				for j, permission := range []string{"groupchat.groups.get", "groupchat.messages.get"} {
					q := decide.Question{Subject: acme + "/staff/sue", Permission: permission, Resource: acme + resource}
					l.Record(noon.Add(time.Duration(2*i+j)), acme, 1, q, decide.Answer{})
				}
			}
			finish(t, l)
			for filter, want := range map[string]int{
				"":                                    8,
				`permission = "groupchat.groups.get"`: 4,
				`resource = "organizations/acme/groups/g1"`:                                  2,
				`scope = "organizations/acme/groups/g1"`:                                     4,
				`scope = "organizations/acme"`:                                               8,
				`scope = "organizations/acme" AND resource = "organizations/acme"`:           2,
				`permission = "groupchat.messages.get" AND scope = "organizations/x"`:        0,
				`subject = "organizations/acme/staff/sue" AND permission = "a.b.c"`:          0,
				`subject = "organizations/acme/staff/sue" AND time = "2027-01-15T12:00:00Z"`: 1,
			} {
				f, err := decision.ParseFilter(filter)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(list(t, l, store, f)); n != want {
					t.Errorf("%s: %d decisions, want %d", filter, n, want)
				}
			}
		})
	}
}

// TestLog_findsAttemptsByMessageType: of what conditions look at the message type
// is kept and nothing else, and what was asked to filter a list is no attempt.
func TestLog_findsAttemptsByMessageType(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			l, store := open(t, engine, decision.Full)
			for i, of := range []string{"order", "complaint", "complaint", ""} {
				q := question(i)
				q.Attributes.MessageType, q.Filtering = of, i == 2
				l.Record(noon.Add(time.Duration(i)*time.Second), acme, 7, q, decide.Answer{})
			}
			finish(t, l)
			for filter, want := range map[string]int{
				`message_type = "complaint"`: 2,
				`message_type = "complaint" AND allowed = false AND filtering = false`: 1,
				`filtering = true`:      1,
				`message_type = "news"`: 0,
			} {
				f, err := decision.ParseFilter(filter)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(list(t, l, store, f)); n != want {
					t.Errorf("%s: %d decisions, want %d", filter, n, want)
				}
			}
		})
	}
}

func TestRecord_dropsWhatComesTooFast(t *testing.T) {
	l, store := open(t, "bolt", decision.Full)
	for i := range 10_000 {
		l.Record(noon, acme, 1, question(i), decide.Answer{})
	}
	if n := l.Dropped(); n != 10_000-8192 {
		t.Errorf("dropped %d", n)
	}
	finish(t, l)
	if n := len(list(t, l, store, decision.Filter{})); n != 8192 {
		t.Errorf("%d decisions, want 8192", n)
	}
}

func TestRecord_keepsItsShare(t *testing.T) {
	l, store := open(t, "bolt", 0.25)
	for i := range 8000 {
		l.Record(noon, acme, 1, question(i), decide.Answer{})
	}
	finish(t, l)
	// Eight standard deviations of a binomial around 2000.
	if n := len(list(t, l, store, decision.Filter{})); n < 1690 || n > 2310 {
		t.Errorf("%d of 8000 decisions, want a quarter", n)
	}
}

func TestRecord_costsNoAllocation(t *testing.T) {
	for _, share := range []decision.Share{decision.Off, 0.001, decision.Full} {
		l, _ := open(t, "bolt", share)
		q := question(1)
		if n := testing.AllocsPerRun(1000, func() { l.Record(noon, acme, 1, q, decide.Answer{Grant: "g"}) }); n != 0 {
			t.Errorf("with share %s a record costs %v allocations", share, n)
		}
	}
}

func TestShare_readsWhatItWrites(t *testing.T) {
	for text, want := range map[string]decision.Share{"off": 0, "full": 1, "0.01": 0.01, "0.5": 0.5} {
		var got decision.Share
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%s reads %v and writes %s: %v", text, float64(got), got, err)
		}
	}
	for _, text := range []string{"", "on", "-1", "1.5", "NaN", "inf", "1%"} {
		if err := new(decision.Share).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a share", text)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, share := range []decision.Share{decision.Off, 0.01} {
		b.Run(share.String(), func(b *testing.B) {
			l, _ := open(b, "bolt", share)
			q, a := question(1), decide.Answer{Allowed: true, Grant: "g"}
			b.ReportAllocs()
			for b.Loop() {
				l.Record(noon, acme, 1, q, a)
			}
		})
	}
}
