package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// start is when the first entry of most tests is made.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const acme = "organizations/acme"

func newLog(t *testing.T, s kv.Store, edit ...func(*audit.Config)) *audit.Log {
	t.Helper()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	cfg := audit.Config{Store: s, Pages: pages, Clock: func() time.Time { return start }}
	for _, e := range edit {
		e(&cfg)
	}
	l, err := audit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// entry is the n-th act of a test: by one of three actors, on one of five
// groups, n seconds after the start.
func entry(n int) *auditv1.AuditEntry {
	return &auditv1.AuditEntry{
		Time:          timestamppb.New(start.Add(time.Duration(n) * time.Second)),
		Actor:         fmt.Sprintf("%s/staff/s%d", acme, n%3),
		Action:        []string{"/g.v1.S/CreateGroup", "/g.v1.S/UpdateGroup"}[n%2],
		Resource:      fmt.Sprintf("%s/groups/g%d", acme, n%5),
		Outcome:       auditv1.AuditEntry_OUTCOME_OK,
		ChangedFields: []string{"display_name"},
		RequestId:     fmt.Sprint(n),
	}
}

func appendAll(t *testing.T, s kv.Store, l *audit.Log, entries ...*auditv1.AuditEntry) {
	t.Helper()
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for _, e := range entries {
			if err := l.Append(tx, proto.CloneOf(e)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func appendN(t *testing.T, s kv.Store, l *audit.Log, n int) {
	t.Helper()
	for i := range n {
		appendAll(t, s, l, entry(i))
	}
}

// list pages through a query over the server, two entries a page, and returns
// the request ids.
func list(t *testing.T, l *audit.Log, parent, filter string) []string {
	t.Helper()
	var ids []string
	req := &auditv1.ListAuditEntriesRequest{Parent: parent, Filter: filter, PageSize: 2}
	for {
		resp, err := audit.NewServer(l).ListAuditEntries(t.Context(), req)
		if err != nil {
			t.Fatalf("list %q: %v", filter, err)
		}
		for _, e := range resp.GetAuditEntries() {
			ids = append(ids, e.GetRequestId())
		}
		if resp.GetNextPageToken() == "" {
			return ids
		}
		req.PageToken = resp.GetNextPageToken()
	}
}

func TestListAuditEntries_newestFirstByEachFilter(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := newLog(t, s)
		const n = 30
		appendN(t, s, l, n)
		stranger := entry(99)
		stranger.Resource = "organizations/evil/groups/g1"
		appendAll(t, s, l, stranger)

		at := func(n int) string { return start.Add(time.Duration(n) * time.Second).Format(time.RFC3339) }
		for filter, keep := range map[string]func(int) bool{
			``:                                      func(int) bool { return true },
			`actor = "organizations/acme/staff/s1"`: func(i int) bool { return i%3 == 1 },
			`resource = "organizations/acme/groups/g2"`:                                func(i int) bool { return i%5 == 2 },
			`action = "/g.v1.S/UpdateGroup"`:                                           func(i int) bool { return i%2 == 1 },
			`time >= "` + at(5) + `" AND time < "` + at(9) + `"`:                       func(i int) bool { return i >= 5 && i < 9 },
			`actor = "organizations/acme/staff/s1" AND time >= "` + at(20) + `"`:       func(i int) bool { return i%3 == 1 && i >= 20 },
			`actor = "organizations/acme/staff/s1" AND action = "/g.v1.S/CreateGroup"`: func(i int) bool { return i%6 == 4 },
			`resource = "organizations/acme/groups/g0" AND actor = "x"`:                func(int) bool { return false },
		} {
			var want []string
			for i := n - 1; i >= 0; i-- {
				if keep(i) {
					want = append(want, fmt.Sprint(i))
				}
			}
			if got := list(t, l, acme, filter); !slices.Equal(got, want) {
				t.Errorf("filter %q:\n got %v\nwant %v", filter, got, want)
			}
		}
		if got := list(t, l, "organizations/evil", ""); !slices.Equal(got, []string{"99"}) {
			t.Errorf("the other organisation has %v, want 99", got)
		}
	})
}

func TestListAuditEntries_refusesWhatIsNotAQuery(t *testing.T) {
	l := newLog(t, openBolt(t))
	for _, req := range []*auditv1.ListAuditEntriesRequest{
		{Parent: "acme"},
		{Parent: acme, Filter: `reason = "x"`},
		{Parent: acme, Filter: `actor > "x"`},
		{Parent: acme, Filter: `actor = "x" OR actor = "y"`},
		{Parent: acme, PageToken: "x"},
		{Parent: acme, PageSize: -1},
	} {
		if _, err := audit.NewServer(l).ListAuditEntries(t.Context(), req); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: got %v, want Invalid", req, err)
		}
	}
}

func TestListAuditEntries_aTokenIsItsCallersOwn(t *testing.T) {
	s := openBolt(t)
	l := newLog(t, s)
	appendN(t, s, l, 5)
	req := &auditv1.ListAuditEntriesRequest{Parent: acme, PageSize: 2}
	as := func(name string) context.Context { return authn.WithCaller(t.Context(), authn.Caller{Name: name}) }
	first, err := audit.NewServer(l).ListAuditEntries(as("a"), req)
	if err != nil {
		t.Fatal(err)
	}
	req.PageToken = first.GetNextPageToken()
	if _, err := audit.NewServer(l).ListAuditEntries(as("b"), req); !errs.Is(err, errs.Invalid) {
		t.Errorf("another caller's token: got %v, want Invalid", err)
	}
}

func TestAppend_entriesOfNoOrganisationAreTheInstallations(t *testing.T) {
	s := openBolt(t)
	l := newLog(t, s)
	e := entry(1)
	e.Resource = "signingKeys/k1"
	appendAll(t, s, l, e)
	if got := list(t, l, audit.Installation, ""); !slices.Equal(got, []string{"1"}) {
		t.Errorf("got %v, want the entry", got)
	}
	if got := list(t, l, acme, ""); got != nil {
		t.Errorf("acme has %v, want none", got)
	}
}

func TestAppend_refusesIncompleteEntries(t *testing.T) {
	s := openBolt(t)
	l := newLog(t, s)
	for name, edit := range map[string]func(*auditv1.AuditEntry){
		"no time":    func(e *auditv1.AuditEntry) { e.Time = nil },
		"no action":  func(e *auditv1.AuditEntry) { e.Action = "" },
		"no outcome": func(e *auditv1.AuditEntry) { e.Outcome = auditv1.AuditEntry_OUTCOME_UNSPECIFIED },
	} {
		e := entry(1)
		edit(e)
		if err := s.Update(t.Context(), func(tx kv.Tx) error { return l.Append(tx, e) }); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: got %v, want Internal", name, err)
		}
	}
}

func TestExport_oldestFirstWithinTheRange(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := newLog(t, s)
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			for i := range 1200 {
				if err := l.Append(tx, entry(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		next := 100
		err = l.Export(t.Context(), acme, start.Add(100*time.Second), start.Add(1150*time.Second), func(e *auditv1.AuditEntry) error {
			if e.GetRequestId() != fmt.Sprint(next) {
				return fmt.Errorf("got entry %s, want %d", e.GetRequestId(), next)
			}
			next++
			return nil
		})
		if err != nil || next != 1150 {
			t.Errorf("exported up to %d, %v; want 1150", next, err)
		}
	})
}

func TestVerify_concurrentWritersLeaveWholeChains(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := newLog(t, s)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 10 {
					err := s.Update(t.Context(), func(tx kv.Tx) error { return l.Append(tx, entry(w*10+i)) })
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		report, err := audit.NewServer(l).VerifyAuditChain(t.Context(), &auditv1.VerifyAuditChainRequest{Parent: acme})
		if err != nil {
			t.Fatal(err)
		}
		if !report.GetIntact() || report.GetEntriesChecked() != 80 {
			t.Errorf("got %v, want 80 intact entries", report)
		}
		sum := uint64(0)
		for _, h := range report.GetHeads() {
			sum += h.GetSequence()
		}
		if sum != 80 {
			t.Errorf("the heads add up to %d entries, want 80", sum)
		}
	})
}

func TestDenied_aFloodIsBoundedPerActorAndInAll(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := newLog(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- l.Run(ctx) }()
		flood := func(actor string) {
			r := authz.Request{Caller: authn.Caller{Name: actor}, Resources: []string{"organizations/evil/" + strings.Repeat("x", 5000)}}
			for range 100 {
				l.OnDenied(t.Context(), r, "/g.v1.S/GetGroup")
			}
		}
		flood(acme + "/staff/a")
		flood(acme + "/staff/b")
		cancel()
		if err := <-ran; err != nil {
			t.Fatal(err)
		}
		p, err := l.List(t.Context(), audit.Query{Parent: acme, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Entries) != 20 {
			t.Errorf("kept %d denials, want 10 of each of two actors", len(p.Entries))
		}
		for _, e := range p.Entries {
			if e.GetOutcome() != auditv1.AuditEntry_OUTCOME_DENIED || e.GetReason() != "PERMISSION_DENIED" || e.GetAction() != "/g.v1.S/GetGroup" {
				t.Fatalf("got %v", e)
			}
		}
		if got := list(t, l, "organizations/evil", ""); got != nil {
			t.Errorf("the other organisation learns of %v", got)
		}

	})
}

func TestDenied_aFloodOfManyActorsIsBounded(t *testing.T) {
	s := openBolt(t)
	l := newLog(t, s)
	for i := range 400 {
		l.OnDenied(t.Context(), authz.Request{Caller: authn.Caller{Name: fmt.Sprintf("%s/staff/m%d", acme, i)}}, "/g.v1.S/GetGroup")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := l.List(t.Context(), audit.Query{Parent: acme, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Entries) != 200 {
		t.Errorf("kept %d denials, want the burst of 200", len(p.Entries))
	}
}
