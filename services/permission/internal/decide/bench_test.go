package decide_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// organization compiles an organisation with so many grants, perSubject to each
// account, and returns a question for each of some accounts: half of the
// answers are no. The accounts of staff are in a team below another.
func organization(b *testing.B, grants, perSubject int) (*facts, []decide.Question) {
	b.Helper()
	const top = acme + "/teams/top"
	m := &model{organization: acme}
	f := m.facts(newRoles())
	accounts := max(grants/perSubject, 1)
	for i := range accounts {
		holds := make([]decide.Hold, perSubject)
		for j := range holds {
			n := i*perSubject + j
			holds[j] = decide.Hold{
				Resource: fmt.Sprintf("%s/groups/%08x-0000-7000-8000-000000000000", acme, n), Role: "roles/group.member",
				Grant: fmt.Sprintf("%s/grants/%08x-1111-7000-8000-000000000000", acme, n),
			}
		}
		name := fmt.Sprintf("%s/staff/s%d", acme, i)
		f.compiled[name] = decide.Compile(name, subject.Facts{Teams: []string{sales}}, holds)
	}
	f.compiled[sales] = decide.Compile(sales, subject.Facts{Parent: top}, []decide.Hold{{Resource: group, Role: role.Staff}})
	all := acme + "/allStaff"
	f.compiled[all] = decide.Compile(all, noFacts(), []decide.Hold{{Resource: acme, Role: role.Staff}})
	questions := make([]decide.Question, 1024)
	for i := range questions {
		holder := (i * 7919) % accounts
		questions[i] = decide.Question{
			Subject: fmt.Sprintf("%s/staff/s%d", acme, holder), Permission: "groupchat.messages.create",
			Resource: fmt.Sprintf("%s/groups/%08x-0000-7000-8000-000000000000/messages/-", acme, holder*perSubject+(i%2)*perSubject),
		}
	}
	return f, questions
}

// BenchmarkAnswer measures one check in memory: by the grants of the
// organisation, and by those of one account. B/grant is what the heap grew by,
// and size/heap how much of that Size speaks of.
func BenchmarkAnswer(b *testing.B) {
	for _, c := range []struct{ grants, perSubject int }{
		{10_000, 50}, {1_000_000, 50}, {100_000, 1}, {100_000, 8}, {100_000, 1000}, {100_000, 100_000},
	} {
		b.Run(fmt.Sprintf("grants=%d/subject=%d", c.grants, c.perSubject), func(b *testing.B) {
			rules := newRules(b, newRoles())
			before := heap()
			facts, questions := organization(b, c.grants, c.perSubject)
			grown, size := float64(heap()-before), 0
			for _, s := range facts.compiled {
				size += s.Size()
			}
			now := time.Unix(second, 0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := rules.Answer(facts, acme, questions[i%len(questions)], now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(grown/float64(c.grants), "B/grant")
			b.ReportMetric(float64(size)/grown, "size/heap")
		})
	}
}

// heap returns how many bytes are reachable.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
