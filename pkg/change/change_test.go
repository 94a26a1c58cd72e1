package change_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// start is the time of the tests' clock.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	acme  = "organizations/acme"
	alice = acme + "/staff/alice"
)

// groupTable is a table like a service has.
func groupTable() *kv.Table[*groupchatv1.Group] {
	return kv.NewTable(kv.TableConfig[*groupchatv1.Group]{
		Name: "groups",
		Key:  func(g *groupchatv1.Group) kv.Key { return kv.Key{kv.String(g.GetName())} },
	})
}

func storeOptions() kv.Options {
	return kv.Options{Name: "test", Tables: append(groupTable().Tables(), change.Tables()...)}
}

// service is a service in small: what a mutation needs, and what it left.
type service struct {
	store   kv.Store
	groups  *kv.Table[*groupchatv1.Group]
	feed    *feed.Log
	audit   *audit.Log
	journal *change.Journal
	now     func() time.Time
}

func newService(ctx context.Context, s kv.Store) (*service, error) {
	svc := &service{store: s, groups: groupTable(), now: func() time.Time { return start }}
	clock := func() time.Time { return svc.now() }
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		return nil, err
	}
	if svc.feed, err = feed.Open(ctx, feed.Config{Service: "groupchat", Store: s, Clock: clock}); err != nil {
		return nil, err
	}
	if svc.audit, err = audit.New(audit.Config{Store: s, Pages: pages, Clock: clock}); err != nil {
		return nil, err
	}
	svc.journal, err = change.NewJournal(change.Config{Service: "groupchat", Store: s, Feed: svc.feed, Audit: svc.audit, Clock: clock})
	return svc, err
}

func serviceOn(t *testing.T, s kv.Store) *service {
	t.Helper()
	svc, err := newService(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func asAlice(ctx context.Context) context.Context {
	return authn.WithCaller(ctx, authn.Caller{Name: alice, Session: "s1"})
}

// createGroup is a handler as services write them.
func (s *service) createGroup(ctx context.Context, req *groupchatv1.CreateGroupRequest) (*groupchatv1.Group, error) {
	return change.Do(ctx, s.journal, req, func(tx *change.Tx) (*groupchatv1.Group, error) {
		g := proto.CloneOf(req.GetGroup())
		g.Name = req.GetParent() + "/groups/" + tx.NewID()
		g.CreateTime = timestamppb.New(tx.Time)
		if _, err := s.groups.Create(tx, g); err != nil {
			return nil, err
		}
		tx.Record(change.Change{
			Resource: g.GetName(), Type: "guildhall.groupchat.group.created.v1",
			Data:          &groupchatv1.MemberChanged{Group: g.GetName()},
			ChangedFields: change.ChangedFields(nil, g),
		})
		return g, nil
	})
}

func create(id, name string) *groupchatv1.CreateGroupRequest {
	return &groupchatv1.CreateGroupRequest{Parent: acme, Group: &groupchatv1.Group{DisplayName: name}, RequestId: id}
}

func (s *service) events(t *testing.T) []*eventv1.Event {
	t.Helper()
	b, err := s.feed.Read(t.Context(), "", feed.MaxBatch)
	if err != nil || b.More {
		t.Fatalf("read the feed: %v, more: %v", err, b.More)
	}
	return b.Events
}

func (s *service) entries(t *testing.T, parent string) []*auditv1.AuditEntry {
	t.Helper()
	p, err := s.audit.List(t.Context(), audit.Query{Parent: parent, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p.Entries
}

func (s *service) allGroups(t *testing.T) []*groupchatv1.Group {
	t.Helper()
	var groups []*groupchatv1.Group
	err := s.store.View(t.Context(), func(r kv.Reader) error {
		groups = nil
		for rec, err := range s.groups.Scan(r, kv.Query{}) {
			if err != nil {
				return err
			}
			groups = append(groups, rec.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// checkTrace checks that there are n groups, each with one event and one entry.
func (s *service) checkTrace(t *testing.T, n int) {
	t.Helper()
	groups, events, entries := s.allGroups(t), s.events(t), s.entries(t, acme)
	if len(groups) != n || len(events) != n || len(entries) != n {
		t.Errorf("got %d groups, %d events, %d audit entries; want %d of each", len(groups), len(events), len(entries), n)
	}
	for _, g := range groups {
		if !slices.ContainsFunc(events, func(e *eventv1.Event) bool { return e.GetSubject() == g.GetName() }) {
			t.Errorf("%s has no event", g.GetName())
		}
		if !slices.ContainsFunc(entries, func(e *auditv1.AuditEntry) bool { return e.GetResource() == g.GetName() }) {
			t.Errorf("%s has no audit entry", g.GetName())
		}
	}
}

func TestDo_leavesChangeEventAndEntryTogether(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		g, err := svc.createGroup(asAlice(t.Context()), create("r1", "Orders"))
		if err != nil {
			t.Fatal(err)
		}
		svc.checkTrace(t, 1)
		e := svc.events(t)[0]
		if e.GetType() != "guildhall.groupchat.group.created.v1" || e.GetOrganization() != acme || !e.GetTime().AsTime().Equal(start) {
			t.Errorf("got event %v", e)
		}
		want := &auditv1.AuditEntry{
			Time: timestamppb.New(start), Actor: alice, Session: "s1",
			Action: "guildhall.groupchat.v1.CreateGroupRequest", Resource: g.GetName(),
			Outcome: auditv1.AuditEntry_OUTCOME_OK, RequestId: "r1",
			ChangedFields: []string{"create_time", "display_name", "name"},
		}
		if diff := cmp.Diff(want, svc.entries(t, acme)[0], protocmp.Transform(),
			protocmp.IgnoreFields(want, "name", "chain", "sequence", "hash", "previous_hash")); diff != "" {
			t.Errorf("audit entry (-want +got):\n%s", diff)
		}
	})
}

func TestDo_anErrorLeavesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		refused := errors.New("refused")
		_, err := change.Do(asAlice(t.Context()), svc.journal, create("r1", "x"), func(tx *change.Tx) (*groupchatv1.Group, error) {
			g := &groupchatv1.Group{Name: acme + "/groups/g"}
			if _, err := svc.groups.Create(tx, g); err != nil {
				return nil, err
			}
			tx.Record(change.Change{Resource: g.GetName(), Type: "t"})
			return g, refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("got %v, want the closure's error", err)
		}
		svc.checkTrace(t, 0)
		if _, err := svc.createGroup(asAlice(t.Context()), create("r1", "x")); err != nil {
			t.Errorf("the id of a failed request, sent again: %v", err)
		}
		svc.checkTrace(t, 1)
	})
}

func TestDo_aMutationMustLeaveATrace(t *testing.T) {
	svc := serviceOn(t, openBolt(t))
	do := func(fn func(tx *change.Tx)) error {
		_, err := change.Do(asAlice(t.Context()), svc.journal, create("", "x"), func(tx *change.Tx) (*groupchatv1.Group, error) {
			fn(tx)
			return &groupchatv1.Group{}, nil
		})
		return err
	}
	if err := do(func(*change.Tx) {}); !errs.Is(err, errs.Internal) {
		t.Errorf("no trace: got %v, want Internal", err)
	}
	if err := do(func(tx *change.Tx) { tx.Record(change.Change{Type: "t"}) }); !errs.Is(err, errs.Internal) {
		t.Errorf("a change of nothing: got %v, want Internal", err)
	}
	if err := do((*change.Tx).Unchanged); err != nil {
		t.Errorf("Unchanged: %v", err)
	}
	svc.checkTrace(t, 0)
}

func TestDo_severalChangesKeepTheirOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		err := change.DoSystem(t.Context(), svc.journal, "groupchat.retention.sweep", func(tx *change.Tx) error {
			for i := range 3 {
				tx.Record(change.Change{Resource: fmt.Sprintf("%s/groups/g/messages/%d", acme, i), Type: "guildhall.groupchat.message.purged.v1"})
			}
			tx.Record(change.Change{Resource: acme + "/groups/g/members/m"}) // no event
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var subjects []string
		for _, e := range svc.events(t) {
			subjects = append(subjects, strings.TrimPrefix(e.GetSubject(), acme+"/groups/g/messages/"))
		}
		if !slices.Equal(subjects, []string{"0", "1", "2"}) {
			t.Errorf("events of %v, want 0, 1, 2", subjects)
		}
		entries := svc.entries(t, acme)
		if len(entries) != 4 {
			t.Fatalf("got %d entries, want 4", len(entries))
		}
		if e := entries[0]; e.GetActor() != "services/groupchat" || e.GetAction() != "groupchat.retention.sweep" {
			t.Errorf("got entry %v", e)
		}
	})
}

func TestWithin_joinsTheTransactionOfAConsumer(t *testing.T) {
	svc := serviceOn(t, openBolt(t))
	at := start.Add(-time.Hour)
	do := func(fail error) error {
		return svc.store.Update(t.Context(), func(inner kv.Tx) error {
			err := change.Within(t.Context(), svc.journal, inner, "groupchat.follow", at, func(tx *change.Tx) error {
				g := &groupchatv1.Group{Name: acme + "/groups/g", CreateTime: timestamppb.New(tx.Time)}
				tx.Record(change.Change{Resource: g.GetName(), Type: "t"})
				_, err := svc.groups.Create(tx, g)
				return err
			})
			return errors.Join(err, fail)
		})
	}
	fail := errors.New("fail")
	if err := do(fail); !errors.Is(err, fail) {
		t.Fatal(err)
	}
	svc.checkTrace(t, 0)
	if err := do(nil); err != nil {
		t.Fatal(err)
	}
	svc.checkTrace(t, 1)
	if e := svc.events(t)[0]; !e.GetTime().AsTime().Equal(at) {
		t.Errorf("the event is of %v, want %v", e.GetTime().AsTime(), at)
	}
}

// rerun is a store whose every Update runs its closure once for nothing first.
type rerun struct{ kv.Store }

var errAgain = errors.New("again")

func (s rerun) Update(ctx context.Context, fn func(kv.Tx) error) error {
	err := s.Store.Update(ctx, func(tx kv.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errAgain
	})
	if !errors.Is(err, errAgain) {
		return err
	}
	return s.Store.Update(ctx, fn)
}

func TestDo_aClosureThatRunsAgainMakesTheSame(t *testing.T) {
	svc := serviceOn(t, rerun{openBolt(t)})
	tick := start
	svc.now = func() time.Time { tick = tick.Add(time.Second); return tick }
	var ids [][]string
	var times []time.Time
	_, err := change.Do(asAlice(t.Context()), svc.journal, create("r1", "x"), func(tx *change.Tx) (*groupchatv1.Group, error) {
		ids = append(ids, []string{tx.NewID(), tx.NewID()})
		times = append(times, tx.Time)
		tx.Record(change.Change{Resource: acme + "/groups/" + ids[len(ids)-1][0], Type: "t"})
		return &groupchatv1.Group{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2 || !slices.Equal(ids[0], ids[1]) || ids[0][0] == ids[0][1] {
		t.Errorf("ids of the runs: %v; want two equal pairs of two", ids)
	}
	if len(times) != 2 || !times[0].Equal(times[1]) {
		t.Errorf("times of the runs: %v; want one", times)
	}
	if n := len(svc.events(t)); n != 1 {
		t.Errorf("got %d events, want 1", n)
	}
}

func TestRun_endsWithItsContext(t *testing.T) {
	svc := serviceOn(t, openBolt(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := svc.journal.Run(ctx); err != nil {
		t.Error(err)
	}
}
