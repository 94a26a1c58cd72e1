package segment

import (
	"cmp"
	"context"
	"errors"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Move is that a customer comes into a segment or out of it. Whoever comes in
// holds what the segment does; whoever comes out is denied no more what is denied
// to the segment. So either can give.
type Move struct {
	Segment string
	Joins   bool
}

// Permit says whether a customer may be moved in this call; nil says yes. It is
// asked within a transaction and calls nobody itself.
type Permit func(Move) error

func (p Permit) ask(m Move) error {
	if p == nil {
		return nil
	}
	return p(m)
}

// askRule is for another rule of a segment, and for the first, by which nobody
// leaves.
func (p Permit) askRule(old, now *identityv1.Segment) error {
	if old == nil {
		return p.ask(Move{Segment: now.GetName(), Joins: true})
	}
	return p.askBoth(now.GetName())
}

// askBoth is for what may move customers either way.
func (p Permit) askBoth(segment string) error {
	in, out := p.ask(Move{Segment: segment, Joins: true}), p.ask(Move{Segment: segment})
	return cmp.Or(in, out)
}

// Note returns a permit that says yes and sets moved: for a change that somebody
// else has asked about.
func Note(moved *bool) Permit {
	return func(Move) error {
		*moved = true
		return nil
	}
}

// errAsk ends a transaction that found out whom to ask about.
var errAsk = errors.New("segment: ask, and begin anew")

// Permits give the permit of one call. Into and out of which segments a change
// moves customers only its transaction finds out, and there no other service can
// be asked. So a transaction that would move somebody ends; Settle asks about it;
// and the transaction begins anew. Most changes move nobody and ask nothing.
//
// Permits are for one goroutine.
type Permits struct {
	about    func(ctx context.Context, m Move) error
	answered map[Move]error
	open     []Move
}

// NewPermits returns permits that ask about a move by the function: nil says yes,
// Denied no, and any other error that there is no answer.
func NewPermits(about func(ctx context.Context, m Move) error) *Permits {
	return &Permits{about: about, answered: make(map[Move]error)}
}

// Permit is a Permit.
func (p *Permits) Permit(m Move) error {
	if err, known := p.answered[m]; known {
		return err
	}
	p.open = append(p.open, m)
	return errAsk
}

// Moved reports whether the call has asked about any move, and so, when it
// succeeded, moved customers.
func (p *Permits) Moved() bool { return len(p.answered) > 0 }

// Settle takes what a transaction returned. It reports whether the transaction
// has to begin anew; if not, the error is the transaction's, or that there was
// no answer.
func (p *Permits) Settle(ctx context.Context, err error) (again bool, _ error) {
	if !errors.Is(err, errAsk) {
		return false, err
	}
	for _, m := range p.open {
		if _, known := p.answered[m]; known {
			continue // the transaction ran several times
		}
		err := p.about(ctx, m)
		if err != nil && !errs.Is(err, errs.Denied) {
			return false, err
		}
		p.answered[m] = err
	}
	p.open = nil
	return true, nil
}
