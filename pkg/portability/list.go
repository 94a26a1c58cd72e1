package portability

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
)

// List returns records of a subject behind a position, from the first when after is
// nil: at most limit of them, which is at least 1, in an order that stays. Calls of
// it change nothing and ask nobody.
type List func(r kv.Reader, subject string, after []byte, limit int) (Page, error)

// Page is what a List found.
type Page struct {
	Records []Record
	// Next is the position to go on behind, nil when there is no more. A page that
	// has one may hold fewer records than asked for, also none.
	Next []byte
}

// Record is one record of a subject.
type Record struct {
	// Value is a message of the public API, with its name. Its etag and its secrets
	// are left out of what is given out.
	Value proto.Message
	// Position is where the record stands: List goes on behind it.
	Position []byte
}

// FromTable returns the List of what is in a table: query selects the records of a
// subject, its After and Limit are set here, and view returns one as the public API
// shows it to the person, or nil when it is none of the person's.
func FromTable[T proto.Message](table *kv.Table[T], query func(subject string) kv.Query, view func(rec kv.Record[T], subject string) proto.Message) List {
	return func(r kv.Reader, subject string, after []byte, limit int) (Page, error) {
		q := query(subject)
		q.After, q.Limit = after, limit
		found, err := table.List(r, q)
		if err != nil {
			return Page{}, err
		}
		out := Page{Next: found.Next}
		for _, rec := range found.Records {
			if v := view(rec, subject); v != nil {
				out.Records = append(out.Records, Record{Value: v, Position: rec.Position})
			}
		}
		return out, nil
	}
}

// One returns the List of what there is at most one of for each subject: get returns
// it, and whether there is one.
func One(get func(r kv.Reader, subject string) (v proto.Message, found bool, err error)) List {
	return func(r kv.Reader, subject string, after []byte, _ int) (Page, error) {
		if after != nil {
			return Page{}, nil
		}
		v, found, err := get(r, subject)
		if err != nil || !found {
			return Page{}, err
		}
		return Page{Records: []Record{{Value: v, Position: []byte{1}}}}, nil
	}
}

// fewAtOnce is how many records of a centre's list are read before the page is looked
// at again, whether it is full.
const fewAtOnce = 8

// FromPages returns the List of what a centre lists itself: page returns records of a
// subject behind a position, and where to go on, nil at the end. It is asked for one
// record after the other, since only it knows where each of them stands, and for few
// at once, so that none is read in vain behind the end of a page.
func FromPages[T proto.Message](page func(r kv.Reader, subject string, after []byte, limit int) ([]T, []byte, error)) List {
	return func(r kv.Reader, subject string, after []byte, limit int) (Page, error) {
		out := Page{Next: after}
		for range min(limit, fewAtOnce) {
			found, next, err := page(r, subject, out.Next, 1)
			if err != nil {
				return Page{}, err
			}
			out.Next = next
			for _, v := range found {
				out.Records = append(out.Records, Record{Value: v, Position: next})
			}
			if next == nil {
				break
			}
		}
		return out, nil
	}
}
