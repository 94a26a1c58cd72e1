package segment

import (
	"context"
	"errors"

	"guildhall.dev/pkg/errs"
)

// Permit says whether somebody may be made a member of a segment in this call;
// nil says yes. It is asked within a transaction and calls nobody itself.
type Permit func(segment string) error

func (p Permit) ask(segment string) error {
	if p == nil {
		return nil
	}
	return p(segment)
}

// errAsk ends a transaction that found out whom to ask about.
var errAsk = errors.New("segment: ask, and begin anew")

// Permits give the permit of one call. Which segments a change makes customers
// join only its transaction finds out, and there no other service can be asked.
// So a transaction that would make somebody join one ends; Settle asks about it;
// and the transaction begins anew. Most changes make nobody join and ask nothing.
//
// Permits are for one goroutine.
type Permits struct {
	about    func(ctx context.Context, segment string) error
	answered map[string]error
	open     []string
}

// NewPermits returns permits that ask about a segment by the function: nil says
// yes, Denied no, and any other error that there is no answer.
func NewPermits(about func(ctx context.Context, segment string) error) *Permits {
	return &Permits{about: about, answered: make(map[string]error)}
}

// Permit is a Permit.
func (p *Permits) Permit(segment string) error {
	if err, known := p.answered[segment]; known {
		return err
	}
	p.open = append(p.open, segment)
	return errAsk
}

// Settle takes what a transaction returned. It reports whether the transaction
// has to begin anew; if not, the error is the transaction's, or that there was
// no answer.
func (p *Permits) Settle(ctx context.Context, err error) (again bool, _ error) {
	if !errors.Is(err, errAsk) {
		return false, err
	}
	for _, segment := range p.open {
		if _, known := p.answered[segment]; known {
			continue // the transaction ran several times
		}
		err := p.about(ctx, segment)
		if err != nil && !errs.Is(err, errs.Denied) {
			return false, err
		}
		p.answered[segment] = err
	}
	p.open = nil
	return true, nil
}
