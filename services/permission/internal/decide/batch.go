package decide

import (
	"time"

	"guildhall.dev/pkg/authn"
)

// together is how many questions of one call are looked up before the first of
// them is answered.
//
// What a check in memory costs is mostly waiting for memory: one account after
// the other, each place of it is waited for in turn. Nothing of one account
// depends on another's, so a processor that is asked for many at once waits for
// them together. 32 accounts fit into the first level of its cache.
const together = 32

// AnswerAll answers questions as Answer does each of them, into as many
// answers.
func (d *Rules) AnswerAll(facts Facts, organization string, questions []Question, now time.Time, answers []Answer) error {
	ask := d.newQuery(facts, organization, now)
	defer d.free(ask)
	ask.until = now.Unix()
	for len(questions) > 0 {
		var own [together]*Subject
		some := questions[:min(len(questions), together)]
		if len(some) > 1 {
			ask.lookUp(some, &own)
		}
		for i, q := range some {
			var err error
			if answers[i], err = ask.answer(q, own[i]); err != nil {
				return err
			}
			ask.again()
		}
		questions, answers = questions[len(some):], answers[len(some):]
	}
	return nil
}

// lookUp finds the accounts of questions, as far as it can, and touches what
// their answers begin with. What it does not find, answer looks up by itself,
// and says what is the matter.
func (q *query) lookUp(questions []Question, own *[together]*Subject) {
	if q.state == nil {
		return // facts that are read from the store with each look-up
	}
	for i := range questions {
		name := questions[i].Subject
		if i > 0 && name == questions[i-1].Subject {
			own[i] = own[i-1]
			continue
		}
		if kind, home, ok := authn.ParseName(name); !ok || kind == authn.System || home != q.organization {
			continue
		}
		s, err := q.facts.Subject(name)
		if err != nil {
			return
		}
		own[i] = s
	}
	var reaches [together]*reach
	for i, s := range own {
		if s != nil {
			reaches[i] = s.reach.Load()
		}
	}
	var sources [together][]kept
	for i, r := range reaches {
		if r != nil {
			sources[i] = r.sources
		}
	}
	for _, s := range sources {
		if len(s) > 0 && s[0].denyOnly {
			q.touched++
		}
	}
}
