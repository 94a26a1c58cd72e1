package kvtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/kv"
)

// Model drives every store with the same random transactions as a sorted map
// and wants the same answers: own writes, scans both ways with limits, aborted
// closures, and transactions that run at once, whose answers and effects must
// be those of one after the other in some order.
//
// The stores are emptied first, and between the random cases.
func Model(t *testing.T, stores map[string]kv.Store) {
	for name, s := range stores {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 12).Draw(rt, "steps")
				if err := follow(t.Context(), s, steps); err != nil {
					rt.Fatal(err)
				}
			})
		})
	}
}

// step is one or more transactions at once.
type step struct {
	View     bool
	Programs []program
}

// program is the closure of one transaction.
type program struct {
	Ops   []op
	Abort bool
}

type op struct {
	Do         string
	Table      string
	Keys       []string
	Start, End string // of a scan; "-" is nil
	Reverse    bool
	Limit      int
	Value      string
}

// drawStep prefers keys that collide and that lie at the edges of the order.
func drawStep(t *rapid.T) step {
	programs := 1
	if rapid.IntRange(0, 3).Draw(t, "alone") == 0 {
		programs = 3 // six orders to compare with
	}
	view := programs == 1 && rapid.Bool().Draw(t, "view")
	return step{View: view, Programs: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) program {
		return program{
			Ops:   rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op { return drawOp(t, view) }), 1, 8).Draw(t, "ops"),
			Abort: rapid.IntRange(0, 4).Draw(t, "abort") == 0,
		}
	}), programs, programs).Draw(t, "programs")}
}

func drawOp(t *rapid.T, view bool) op {
	key := rapid.SampledFrom([]string{"\x00", "a", "a\x00", "aa", "a\xff", "b", "ba", "c", "\xfe", "\xff", "\xff\xff"})
	does := []string{"get", "many", "scan"}
	if !view {
		does = append(does, "put", "put", "delete", "append")
	}
	bound := rapid.OneOf(rapid.Just("-"), key, rapid.Just(""))
	return op{
		Do:    rapid.SampledFrom(does).Draw(t, "do"),
		Table: rapid.SampledFrom(Tables()[:2]).Draw(t, "table"),
		Keys:  rapid.SliceOfN(key, 2, 4).Draw(t, "keys"),
		Start: bound.Draw(t, "start"), End: bound.Draw(t, "end"),
		Reverse: rapid.Bool().Draw(t, "reverse"), Limit: rapid.IntRange(0, 4).Draw(t, "limit"),
		Value: rapid.SampledFrom([]string{"", "x", "long value"}).Draw(t, "value"),
	}
}

func (o op) scanRange() kv.Range {
	r := kv.Range{Reverse: o.Reverse, Limit: o.Limit}
	if o.Start != "-" {
		r.Start = []byte(o.Start)
	}
	if o.End != "-" {
		r.End = []byte(o.End)
	}
	return r
}

// run carries out the program and returns all it saw.
func (p program) run(r kv.Reader) (seen string, err error) {
	var out strings.Builder
	tx, _ := r.(kv.Tx)
	for _, o := range p.Ops {
		if err := o.run(r, tx, &out); err != nil {
			return "", err
		}
	}
	if p.Abort {
		return out.String(), errAbort
	}
	return out.String(), nil
}

func (o op) run(r kv.Reader, tx kv.Tx, out *strings.Builder) error {
	key := []byte(o.Keys[0])
	switch o.Do {
	case "get":
		value, err := r.Get(o.Table, key)
		fmt.Fprintf(out, "%#v;", value)
		return err
	case "many":
		var keys [][]byte
		for _, k := range o.Keys {
			keys = append(keys, []byte(k))
		}
		values, err := r.GetMany(o.Table, keys)
		fmt.Fprintf(out, "%#v;", values)
		return err
	case "scan":
		pairs, err := scan(r, o.Table, o.scanRange())
		fmt.Fprintf(out, "%q;", pairs)
		return err
	case "put":
		return tx.Put(o.Table, key, []byte(o.Value))
	case "delete":
		return tx.Delete(o.Table, key)
	case "append": // what is written depends on what was read
		value, err := r.Get(o.Table, key)
		if err != nil {
			return err
		}
		return tx.Put(o.Table, []byte(o.Keys[1]), append(value[:min(len(value), 50)], '+'))
	}
	return fmt.Errorf("kvtest: no operation %q", o.Do)
}

// follow carries the steps out on an emptied store and on a model beside it.
func follow(ctx context.Context, s kv.Store, steps []step) error {
	if err := clearStore(ctx, s); err != nil {
		return err
	}
	model := newSortedMap()
	for i, step := range steps {
		var err error
		if model, err = step.follow(ctx, s, model); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func clearStore(ctx context.Context, s kv.Store) error {
	return s.Update(ctx, func(tx kv.Tx) error {
		for _, table := range Tables() {
			for item, err := range tx.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				if err := tx.Delete(table, item.Key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// follow runs one step and returns the model of the state after it.
func (st step) follow(ctx context.Context, s kv.Store, model sortedMap) (sortedMap, error) {
	seen := make([]string, len(st.Programs))
	problems := make([]error, len(st.Programs))
	var wg sync.WaitGroup
	for i, p := range st.Programs {
		wg.Go(func() {
			err := transact(ctx, s, st.View, func(r kv.Reader) (err error) {
				seen[i], err = p.run(r)
				return err
			})
			if p.Abort != errors.Is(err, errAbort) || !p.Abort && err != nil {
				problems[i] = fmt.Errorf("program %d, abort %v: %w", i, p.Abort, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(problems...); err != nil {
		return model, err
	}
	state, err := dump(ctx, s)
	if err != nil {
		return model, err
	}
	var explained []string
	for order := range orders(len(st.Programs)) {
		next, want := st.inOrder(model, order)
		after, err := next.dump()
		if err != nil {
			return model, err
		}
		if slices.Equal(want, seen) && after == state {
			return next, nil
		}
		explained = append(explained, fmt.Sprintf("in order %v it would see %q and leave\n%s", order, want, after))
	}
	return model, fmt.Errorf("saw %q and left\n%s%s", seen, state, strings.Join(explained, ""))
}

func transact(ctx context.Context, s kv.Store, view bool, fn func(kv.Reader) error) error {
	if view {
		return s.View(ctx, fn)
	}
	return s.Update(ctx, func(tx kv.Tx) error { return fn(tx) })
}

// inOrder runs the programs on copies of the model, one after the other.
func (st step) inOrder(model sortedMap, order []int) (sortedMap, []string) {
	seen := make([]string, len(order))
	for _, i := range order {
		next := model.clone()
		var err error
		if seen[i], err = st.Programs[i].run(next); err == nil {
			model = next
		}
	}
	return model, seen
}

// orders yields all permutations of the first n numbers.
func orders(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var extend func(prefix []int) bool
		extend = func(prefix []int) bool {
			if len(prefix) == n {
				return yield(slices.Clone(prefix))
			}
			for i := range n {
				if !slices.Contains(prefix, i) && !extend(append(prefix, i)) {
					return false
				}
			}
			return true
		}
		extend(nil)
	}
}
