package merger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/merge"
)

const (
	// every is how late a merge may go on.
	every = time.Second
	// slowest is how long it rests at most after a service did not answer.
	slowest = time.Minute
	// patience bounds one call of a service, which goes on with the next.
	patience = 30 * time.Second
	batch    = 50
	// chunk is how many rows move in one transaction.
	chunk = 100
)

// Run drives until ctx ends.
func (m *Merger) Run(ctx context.Context) error {
	return rounds.Loop{Do: m.Once, Failed: "a merge is not complete; trying again", Logger: m.cfg.Logger, Every: every, Most: slowest}.Run(ctx)
}

// Once goes on with all merges that move. One that fails keeps no other waiting.
func (m *Merger) Once(ctx context.Context) error {
	var all []error
	for after, more := []byte(nil), true; more; more = after != nil {
		var due []string
		if err := m.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			due, after, err = m.cfg.Merges.Due(r, after, batch)
			return err
		}); err != nil {
			return errors.Join(append(all, err)...)
		}
		for _, name := range due {
			all = append(all, m.drive(ctx, name))
		}
	}
	return errors.Join(all...)
}

// drive takes a merge to its end.
func (m *Merger) drive(ctx context.Context, name string) error {
	var k merge.Known
	if err := m.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		k, err = m.cfg.Merges.Get(r, name)
		return err
	}); err != nil {
		return err
	}
	if err := m.cfg.Standing(ctx, k.Record.GetDuplicate()); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = m.step(ctx, name, k.Undoing()); err != nil {
			return err
		}
	}
	var all []error
	for _, s := range m.cfg.Services {
		if !k.Received(s.Name) {
			all = append(all, m.ask(ctx, k, s))
		}
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	return m.complete(ctx, name, k.Undoing())
}

// step moves some rows of a merge that still goes one way, and reports whether there
// are more.
func (m *Merger) step(ctx context.Context, name string, back bool) (more bool, err error) {
	err = m.within(ctx, "identity.merges.move", name, back, func(tx *change.Tx, k merge.Known) (err error) {
		more = false
		tx.Unchanged() // the merge itself was recorded
		if back {
			more, err = m.back(tx, k)
		} else if int(k.GetKindsDone()) < len(m.cfg.Kinds) {
			more, err = true, m.move(tx, k)
		}
		return err
	})
	return more, err
}

// within makes one change of a merge that runs one way; one that does not any more is
// left alone.
func (m *Merger) within(ctx context.Context, action, name string, back bool, do func(*change.Tx, merge.Known) error) error {
	return change.DoSystem(ctx, m.cfg.Journal, action, func(tx *change.Tx) error {
		k, err := m.cfg.Merges.Get(tx, name)
		if err != nil {
			return err
		}
		if !k.Running() || k.Undoing() != back {
			tx.Unchanged()
			return nil
		}
		return do(tx, k)
	})
}

// move moves some rows of the kind that a merge has come to.
func (m *Merger) move(tx *change.Tx, k merge.Known) error {
	kind := m.cfg.Kinds[k.GetKindsDone()]
	rows, more, err := kind.Move(tx, k.Record.GetDuplicate(), k.Record.GetSurvivor(), chunk)
	if err != nil {
		return fmt.Errorf("move %s: %w", kind.Name, err)
	}
	return m.cfg.Merges.Moved(tx, k, kind.Name, rows, !more)
}

// back moves some rows back.
func (m *Merger) back(tx *change.Tx, k merge.Known) (more bool, err error) {
	rows, err := m.cfg.Merges.Rows(tx, k.Record.GetName(), chunk)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	for _, row := range rows {
		there, err := m.giveBack(tx, k, row)
		if err != nil {
			return false, fmt.Errorf("bring back %s: %w", row.GetKind(), err)
		}
		if err := m.cfg.Merges.Back(tx, k, row, there); err != nil {
			return false, err
		}
	}
	return true, m.cfg.Merges.Put(tx, k)
}

func (m *Merger) giveBack(tx *change.Tx, k merge.Known, row *storev1.MovedRow) (bool, error) {
	for _, kind := range m.cfg.Kinds {
		if kind.Name == row.GetKind() {
			return kind.Back(tx, row, k.Record.GetDuplicate(), k.Record.GetSurvivor())
		}
	}
	return false, errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(errors.New("a kind that nobody keeps")))
}

// margin is how much longer than a merge can be undone services keep what they need for
// it: an undo at the last moment may wait for its rows, and for a service that is away.
const margin = 60 * 24 * time.Hour

// ask has a service move what it keeps, and keeps its receipt.
func (m *Merger) ask(ctx context.Context, k merge.Known, s Service) error {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	receipt, err := s.Move(bounded, &subjectv1.MoveSubjectRequest{
		Merge: k.Record.GetName(), From: k.Record.GetDuplicate(), To: k.Record.GetSurvivor(), Undo: k.Undoing(),
		KeepUntil: timestamppb.New(k.Record.GetUndoDeadline().AsTime().Add(margin)),
	})
	if err != nil {
		return fmt.Errorf("service %s: %w", s.Name, err)
	}
	if receipt.GetService() != s.Name || receipt.GetMerge() != k.Record.GetName() || receipt.GetUndone() != k.Undoing() || receipt.GetCompleteTime() == nil {
		return fmt.Errorf("service %s: the receipt is not one of it for this merge", s.Name)
	}
	return m.within(ctx, "identity.merges.receive", k.Record.GetName(), k.Undoing(), func(tx *change.Tx, k merge.Known) error {
		tx.Unchanged()
		if k.Received(s.Name) {
			return nil
		}
		return m.cfg.Merges.Receive(tx, k, receipt)
	})
}

// complete ends what ran of a merge, when all has moved, and sets what follows from it
// all.
func (m *Merger) complete(ctx context.Context, name string, back bool) error {
	ended := false
	err := m.within(ctx, "identity.merges.complete", name, back, func(tx *change.Tx, k merge.Known) error {
		ended = true
		for _, customer := range []string{k.Record.GetSurvivor(), k.Record.GetDuplicate()} {
			if err := m.cfg.Holds.Recount(tx, customer); err != nil {
				return err
			}
			if err := m.cfg.Accounts.Unbought(tx, customer); err != nil {
				return err
			}
		}
		return m.cfg.Merges.Complete(tx, k)
	})
	if err == nil && ended {
		m.note(ctx, map[bool]string{true: "undone", false: "merged"}[back])
	}
	return err
}

func (m *Merger) note(ctx context.Context, outcome string) {
	m.finished.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
}

// Finalizable returns the names of merges whose time to be undone is over, at most
// limit, without those of customers under a legal hold.
func (m *Merger) Finalizable(r kv.Reader, now time.Time, limit int) (names []string, err error) {
	due, err := m.cfg.Merges.Finalizable(r, now, limit)
	if err != nil {
		return nil, err
	}
	for _, each := range due {
		if held, err := m.held(r, each.GetSurvivor()); err != nil {
			return nil, err
		} else if !held {
			names = append(names, each.GetName())
		}
	}
	return names, nil
}
