package segment

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
)

// Lists returns the fixed lists that a customer is on, and those of them that another
// one is not on.
func (b *Book) Lists(r kv.Reader, customer, other string) (all, lacking []string, err error) {
	for rec, err := range b.members.Scan(r, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return nil, nil, err
		}
		list := resource.Parent(rec.Value.GetName())
		is, err := b.isList(r, list)
		if err != nil {
			return nil, nil, err
		}
		if !is {
			continue
		}
		all = append(all, list)
		_, found, err := b.members.Find(r, key(memberName(list, other)))
		if err != nil {
			return nil, nil, err
		}
		if !found {
			lacking = append(lacking, list)
		}
	}
	return all, lacking, nil
}

// isList reports whether a segment is there and a fixed list.
func (b *Book) isList(r kv.Reader, name string) (bool, error) {
	s, found, err := b.segments.Find(r, key(name))
	return found && s.Value.GetKind() == fixed, err
}

// Parting returns those lists that are still there of two: of the ones that a customer
// joined those that it is still on, and of the others all.
func (b *Book) Parting(r kv.Reader, joined, others []string, customer string) (leaves, returns []string, err error) {
	for _, list := range joined {
		_, found, err := b.members.Find(r, key(memberName(list, customer)))
		if err != nil {
			return nil, nil, err
		}
		if is, err := b.isList(r, list); err != nil {
			return nil, nil, err
		} else if found && is {
			leaves = append(leaves, list)
		}
	}
	for _, list := range others {
		is, err := b.isList(r, list)
		if err != nil {
			return nil, nil, err
		}
		if is {
			returns = append(returns, list)
		}
	}
	return leaves, returns, nil
}

// MayJoin asks a permit about customers who are to join lists, MayLeave about such as
// are to leave some. The permit hears of all of them.
func (b *Book) MayJoin(lists []string, permit Permit) error { return permit.askLists(lists, true) }

// MayLeave is for customers who are to leave lists; see MayJoin.
func (b *Book) MayLeave(lists []string, permit Permit) error { return permit.askLists(lists, false) }

func (p Permit) askLists(lists []string, joins bool) (refused error) {
	for _, list := range lists {
		if err := p.ask(Move{Segment: list, Joins: joins}); err != nil {
			refused = err
		}
	}
	return refused
}

// TakeOff takes a customer off a fixed list.
func (b *Book) TakeOff(tx *change.Tx, list, customer string) error {
	_, err := b.RemoveMember(tx, memberName(list, customer))
	return err
}
