package sweep_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/peopletest"
	"guildhall.dev/services/permission/internal/sweep"
)

type task = *permissionv1.Notice

// pile is a table of tasks that are due at their times, and what a job does to
// each.
type pile struct {
	*peopletest.House
	table   *kv.Table[task]
	do      func(tx *change.Tx, name string) (bool, error)
	sweeper sweep.Sweeper
	looked  int
}

func eachPile(t *testing.T, test func(t *testing.T, p *pile)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			p := &pile{House: peopletest.New(t), table: kv.NewTable(kv.TableConfig[task]{
				Name: "tasks", Key: func(v task) kv.Key { return kv.Key{kv.String(v.GetName())} },
				Indexes: []kv.Index[task]{{
					Name: "due", Keys: func(v task) []kv.Key { return []kv.Key{{kv.Time(v.GetCreateTime().AsTime())}} },
				}},
			})}
			p.Open(engine, p.table.Tables())
			p.do = func(tx *change.Tx, name string) (bool, error) {
				_, err := p.table.Delete(tx, kv.Key{kv.String(name)}, "")
				return false, err
			}
			p.sweeper = sweep.Sweeper{
				Store: p.Store, Journal: p.Journal, Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return p.Now },
				Jobs: []sweep.Job{{
					Action: "tests.tasks.do", Due: sweep.Due(p.table, "due", task.GetName), Together: 7,
					Do: func(tx *change.Tx, name string) (bool, error) { return p.do(tx, name) },
					Look: func(r kv.Reader, _ time.Time) error {
						left, err := p.table.List(r, kv.Query{})
						p.looked = len(left.Records)
						return err
					},
				}},
			}
			test(t, p)
		})
	}
}

// add makes tasks that are due at a time.
func (p *pile) add(n int, at time.Time) {
	p.T.Helper()
	p.Must(func(tx *change.Tx) error {
		for range n {
			if _, err := p.table.Create(tx, &permissionv1.Notice{Name: "tasks/" + tx.NewID(), CreateTime: timestamppb.New(at)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// left returns the names of the tasks that are left.
func (p *pile) left() (names []string) {
	p.T.Helper()
	p.View(func(r kv.Reader) error {
		page, err := p.table.List(r, kv.Query{})
		names = nil
		for _, rec := range page.Records {
			names = append(names, rec.Value.GetName())
		}
		return err
	})
	return names
}

func TestOnce_doesAllThatIsDueAndNothingElse(t *testing.T) {
	eachPile(t, func(t *testing.T, p *pile) {
		p.add(205, p.Now.Add(-time.Hour))
		p.add(1, p.Now)
		p.add(2, p.Now.Add(1))
		if err := p.sweeper.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := p.left(); len(left) != 2 || p.looked != 2 {
			t.Errorf("%d are left, want the 2 that are due later; looked at %d", len(left), p.looked)
		}
		p.Now = p.Now.Add(1)
		if err := p.sweeper.Once(t.Context()); err != nil || len(p.left()) != 0 {
			t.Errorf("%v; %d are left when all are due", err, len(p.left()))
		}
	})
}

// TestOnce_oneThatFailsStopsNoOther: it is tried again by itself, and by the
// next sweep.
func TestOnce_oneThatFailsStopsNoOther(t *testing.T) {
	eachPile(t, func(t *testing.T, p *pile) {
		p.add(30, p.Now)
		bad, done := p.left()[3], p.do
		p.do = func(tx *change.Tx, name string) (bool, error) {
			if name == bad {
				return false, errors.New("it is stuck")
			}
			return done(tx, name)
		}
		err := p.sweeper.Once(t.Context())
		if left := p.left(); len(left) != 1 || left[0] != bad {
			t.Errorf("left are %v, want %s", left, bad)
		}
		if err == nil || !strings.Contains(err.Error(), "tests.tasks.do: "+bad+": it is stuck") {
			t.Errorf("the error is %v", err)
		}
		p.do = done
		if err := p.sweeper.Once(t.Context()); err != nil || len(p.left()) != 0 {
			t.Errorf("%v; left are %v", err, p.left())
		}
	})
}

func TestOnce_goesOnWithWhatTakesMoreThanOneTransaction(t *testing.T) {
	eachPile(t, func(t *testing.T, p *pile) {
		p.add(9, p.Now)
		done := p.do
		p.do = func(tx *change.Tx, name string) (bool, error) {
			rec, err := p.table.Get(tx, kv.Key{kv.String(name)})
			if err != nil {
				return false, err
			}
			if rec.Value.GetAbout() == "xxx" {
				return done(tx, name)
			}
			rec.Value.About += "x"
			_, err = p.table.Update(tx, rec.Value, "")
			return true, err
		}
		if err := p.sweeper.Once(t.Context()); err != nil || len(p.left()) != 0 {
			t.Errorf("%v; left are %v", err, p.left())
		}
	})
}
