package request

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// MaxSummary is the most requests that one summary looks at.
const MaxSummary = 20_000

// Tally counts requests for a summary. The zero Tally is empty.
type Tally struct {
	total  int32
	states map[permissionv1.PermissionChangeRequest_State]int32
	stages map[permissionv1.PermissionChangeRequest_State][]time.Duration
}

// Summarize tallies the requests of an organisation that were filed in
// [from, until). The error is Invalid (RANGE_TOO_LARGE) when they are more than
// MaxSummary: the times of a part of them would be those of no one's month.
func (s *Requests) Summarize(r kv.Reader, organization string, from, until time.Time) (*permissionv1.SummarizePermissionChangeRequestsResponse, error) {
	var t Tally
	q := kv.Query{
		Index: byList, Prefix: kv.Key{kv.String(organization), kv.String(""), kv.String("")},
		From: kv.Key{kv.Time(from)}, Until: kv.Key{kv.Time(until)},
	}
	for rec, err := range s.shelf.Scan(r, q) {
		if err != nil {
			return nil, err
		}
		if t.total == MaxSummary {
			return nil, errs.InvalidField("start_time", "RANGE_TOO_LARGE", "more requests were filed in this time than one summary holds; choose a shorter one")
		}
		t.Add(rec.Value)
	}
	return t.Summary(), nil
}

// Add counts one request.
func (t *Tally) Add(v *permissionv1.PermissionChangeRequest) {
	if t.states == nil {
		t.states = make(map[permissionv1.PermissionChangeRequest_State]int32)
		t.stages = make(map[permissionv1.PermissionChangeRequest_State][]time.Duration)
	}
	t.total++
	t.states[v.GetState()]++
	entered := v.GetCreateTime().AsTime()
	for _, m := range v.GetHistory() {
		at := m.GetTime().AsTime()
		if m.GetFrom() != 0 {
			t.stages[m.GetFrom()] = append(t.stages[m.GetFrom()], at.Sub(entered))
		}
		entered = at
	}
}

// Summary returns what was counted.
func (t *Tally) Summary() *permissionv1.SummarizePermissionChangeRequestsResponse {
	out := &permissionv1.SummarizePermissionChangeRequestsResponse{Total: t.total}
	for state := submitted; state <= cancelled; state++ {
		if n := t.states[state]; n > 0 {
			out.States = append(out.States, &permissionv1.SummarizePermissionChangeRequestsResponse_StateCount{State: state, Count: n})
		}
		times := t.stages[state]
		if len(times) == 0 {
			continue
		}
		slices.Sort(times)
		var sum time.Duration
		for _, d := range times {
			sum += d
		}
		out.Stages = append(out.Stages, &permissionv1.SummarizePermissionChangeRequestsResponse_StageTime{
			Stage: state, Count: int32(len(times)),
			Median: durationpb.New(quantile(times, 0.5)), P90: durationpb.New(quantile(times, 0.9)),
			Mean: durationpb.New(sum / time.Duration(len(times))),
		})
	}
	// An approved request has left IDENTITY_VERIFIED for APPROVED, whatever
	// became of it; the share is of decisions, not of requests.
	no, yes := t.states[rejected], t.decidedYes()
	if no+yes > 0 {
		out.RejectionShare = float64(no) / float64(no+yes)
	}
	return out
}

// decidedYes counts the requests that were approved: those that have left
// APPROVED, and those that are in it.
func (t *Tally) decidedYes() int32 { return int32(len(t.stages[approved])) + t.states[approved] }

// quantile returns the value that the share q of the sorted times does not
// exceed (nearest rank).
func quantile(sorted []time.Duration, q float64) time.Duration {
	rank := int(q*float64(len(sorted))+0.9999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}
