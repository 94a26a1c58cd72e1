package interaction

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Bounds of the months of a summary.
const (
	maxMonths     = 60
	defaultMonths = 12
	monthLayout   = "2006-01"
)

// recount counts an interaction out as it was and in as it is; either may be nil.
func (b *Book) recount(tx kv.Tx, was, is *identityv1.Interaction) error {
	if was != nil && is != nil && !counts(was, is) {
		return nil
	}
	if err := b.count(tx, was, -1); err != nil {
		return err
	}
	return b.count(tx, is, 1)
}

// counts reports whether a change of an interaction changes what is counted.
func counts(was, is *identityv1.Interaction) bool {
	return was.GetKind() != is.GetKind() || monthOf(was) != monthOf(is) || was.GetReview().GetScore() != is.GetReview().GetScore()
}

// count adds an interaction to the tallies of all its scopes, or takes it away. The
// customer's comes first: it says whether the organisation's has a customer more.
func (b *Book) count(tx kv.Tx, i *identityv1.Interaction, by int64) error {
	if i == nil {
		return nil
	}
	var customers int64
	for n, scope := range scopes(i) {
		t := &storev1.InteractionTally{Scope: scope, Month: monthOf(i)}
		rec, found, err := b.tallies.Find(tx, tallyKey(t))
		if err != nil {
			return err
		}
		if found {
			t = proto.CloneOf(rec.Value)
		}
		before := sum(t)
		add(t, i, by)
		switch {
		case n == 0 && before == 0:
			customers = 1
		case n == 0 && sum(t) == 0:
			customers = -1
		case n == 1:
			t.Customers += customers
		}
		if err := b.keep(tx, t); err != nil {
			return err
		}
	}
	return nil
}

func add(t *storev1.InteractionTally, i *identityv1.Interaction, by int64) {
	if t.Counts == nil {
		t.Counts = make(map[int32]int64)
	}
	kind := int32(i.GetKind())
	if t.Counts[kind] += by; t.Counts[kind] == 0 {
		delete(t.Counts, kind)
	}
	if score := i.GetReview().GetScore(); score > 0 {
		t.Reviews += by
		t.Scores += by * int64(score)
	}
}

// keep stores a tally, or removes one of nothing.
func (b *Book) keep(tx kv.Tx, t *storev1.InteractionTally) (err error) {
	if sum(t) == 0 {
		_, err = b.tallies.Remove(tx, tallyKey(t))
	} else {
		_, err = b.tallies.Put(tx, t, "")
	}
	return err
}

func sum(t *storev1.InteractionTally) (n int64) {
	for _, count := range t.GetCounts() {
		n += count
	}
	return n
}

func monthOf(i *identityv1.Interaction) string {
	return i.GetStartTime().AsTime().Format(monthLayout)
}

// Summary returns what the interactions of a customer, a member of staff or an
// organisation come to, from the first month on and before the second; see Months.
func (b *Book) Summary(r kv.Reader, scope string, first, second time.Time) (*identityv1.InteractionSummary, error) {
	out := &identityv1.InteractionSummary{StartMonth: first.Format(monthLayout), EndMonth: second.Format(monthLayout)}
	total := &storev1.InteractionTally{Counts: make(map[int32]int64)}
	for rec, err := range b.tallies.Scan(r, kv.Query{
		Prefix: kv.Key{kv.String(scope)}, From: kv.Key{kv.String(out.StartMonth)}, Until: kv.Key{kv.String(out.EndMonth)},
	}) {
		if err != nil {
			return nil, err
		}
		t := rec.Value
		out.Months = append(out.Months, &identityv1.InteractionMonth{Month: t.GetMonth(), Count: counted(t)})
		for kind, n := range t.GetCounts() {
			total.Counts[kind] += n
		}
		total.Reviews += t.GetReviews()
		total.Scores += t.GetScores()
	}
	out.Total = counted(total)
	return out, nil
}

func counted(t *storev1.InteractionTally) *identityv1.InteractionCount {
	out := &identityv1.InteractionCount{
		InteractionCount: sum(t), CustomerCount: t.GetCustomers(), MeanPerCustomer: mean(sum(t), t.GetCustomers()),
		ReviewCount: t.GetReviews(), MeanScore: mean(t.GetScores(), t.GetReviews()),
	}
	for _, kind := range slices.Sorted(maps.Keys(t.GetCounts())) {
		out.Kinds = append(out.Kinds, &identityv1.InteractionKindCount{Kind: identityv1.Interaction_Kind(kind), InteractionCount: t.GetCounts()[kind]})
	}
	return out
}

func mean(of, by int64) float64 {
	if by == 0 {
		return 0
	}
	return float64(of) / float64(by)
}

// Months returns the months of a summary that is asked for from one on and before
// another, either of which may be empty. The error is Invalid
// (INTERACTION_MONTHS_INVALID).
func Months(start, end string, now time.Time) (first, second time.Time, err error) {
	year, month, _ := now.UTC().Date()
	second = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
	if end != "" {
		if second, err = parseMonth("end_month", end); err != nil {
			return first, second, err
		}
	}
	first = second.AddDate(0, -defaultMonths, 0)
	if start != "" {
		if first, err = parseMonth("start_month", start); err != nil {
			return first, second, err
		}
	}
	if !first.Before(second) || second.After(first.AddDate(0, maxMonths, 0)) {
		err = errs.InvalidField("end_month", "INTERACTION_MONTHS_INVALID", "send a month behind start_month, by 60 months at most")
	}
	return first, second, err
}

func parseMonth(field, text string) (time.Time, error) {
	t, err := time.Parse(monthLayout, text)
	if err != nil {
		return t, errs.InvalidField(field, "INTERACTION_MONTHS_INVALID", "send a month, as in 2026-02")
	}
	return t, nil
}
