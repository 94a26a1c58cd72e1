// Package shift gives rows that are one customer's to another, and back.
//
// What two accounts of one person have is united by that. A centre says of each of its
// tables what a row is called, how it looks as another customer's, and what follows
// from it; the walk over the rows, names that are taken, and what it takes to find a
// row again are the same for all, and are here. Which merge moves what, and how far it
// is, package merge keeps.
//
// A row that goes back goes as it is by then: what was corrected stays corrected, and
// what was removed stays removed.
package shift

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Kind is one kind of rows. Its functions are safe for concurrent use.
type Kind struct {
	// Name is the table's, as in "orders".
	Name string
	// Count returns how many rows a customer has, at most limit.
	Count func(r kv.Reader, customer string, limit int) (int, error)
	// Move gives up to limit rows to another customer, and returns which, without the
	// merge and the kind, and whether there are more.
	Move func(tx *change.Tx, from, to string, limit int) (moved []*storev1.MovedRow, more bool, err error)
	// Back gives a row back to the customer it was moved from, and reports whether it is
	// still there.
	Back func(tx *change.Tx, row *storev1.MovedRow, from, to string) (bool, error)
}

// Row is a record with a name.
type Row interface {
	proto.Message
	GetName() string
}

// Rows says how the rows of a table are moved.
type Rows[T Row] struct {
	Name  string
	Table *kv.Table[T]
	// Of selects the rows of a customer.
	Of func(customer string) kv.Query
	// Stub returns what has the primary key of the row of a name, and of a time if that
	// is part of the key.
	Stub func(name string, at *timestamppb.Timestamp) T
	// Time is the time in the primary key; nil where none is.
	Time func(T) *timestamppb.Timestamp
	// Give makes a row, which is a copy with its new name, another customer's.
	Give func(row T, from, to string)
	// Whose returns whose a row is, where its name does not say that; nil where it does.
	Whose func(T) string
	// Rename sets a row's name; nil where names do not have the customer.
	Rename func(row T, name string)
	// Stays reports whether a row stays where it is, as when the other customer has one
	// like it; nil is never. Where it is set all rows move in one transaction: it is for
	// such as are few.
	Stays func(r kv.Reader, row T, to string) (bool, error)
	// Follow keeps what follows from a row that is another customer's; nil is nothing.
	Follow func(tx *change.Tx, was, is T) error
}

// Kind returns the kind of the rows.
func (s Rows[T]) Kind() Kind {
	return Kind{Name: s.Name, Count: s.count, Move: s.move, Back: s.back}
}

func (s Rows[T]) count(r kv.Reader, customer string, limit int) (int, error) {
	q := s.Of(customer)
	q.Limit = limit
	return s.Table.Count(r, q)
}

func (s Rows[T]) move(tx *change.Tx, from, to string, limit int) (moved []*storev1.MovedRow, more bool, err error) {
	q := s.Of(from)
	if s.Stays == nil {
		q.Limit = limit
	}
	page, err := s.Table.List(tx, q)
	if err != nil {
		return nil, false, err
	}
	for _, rec := range page.Records {
		if stays, err := s.stays(tx, rec.Value, to); err != nil {
			return nil, false, err
		} else if stays {
			continue
		}
		is, err := s.give(tx, rec.Value, from, to, Below(rec.Value.GetName(), from, to))
		if err != nil {
			return nil, false, err
		}
		m := &storev1.MovedRow{FromName: rec.Value.GetName(), ToName: is.GetName()}
		if s.Time != nil {
			m.KeyTime = s.Time(is)
		}
		moved = append(moved, m)
	}
	return moved, page.Next != nil, nil
}

func (s Rows[T]) stays(r kv.Reader, row T, to string) (bool, error) {
	if s.Stays == nil {
		return false, nil
	}
	return s.Stays(r, row, to)
}

func (s Rows[T]) back(tx *change.Tx, row *storev1.MovedRow, from, to string) (bool, error) {
	rec, found, err := s.Table.Find(tx, s.Table.KeyOf(s.Stub(row.GetToName(), row.GetKeyTime())))
	if err != nil || !found || s.Whose != nil && s.Whose(rec.Value) != to { // somebody has made it another's
		return false, err
	}
	_, err = s.give(tx, rec.Value, to, from, row.GetFromName())
	return true, err
}

// give makes a row that of another customer under a name, or under one nobody has when
// that is taken.
func (s Rows[T]) give(tx *change.Tx, was T, from, to, name string) (T, error) {
	is := proto.CloneOf(was)
	renamed := s.Rename != nil
	if renamed {
		s.Rename(is, name)
		if _, taken, err := s.Table.Find(tx, s.Table.KeyOf(is)); err != nil {
			return is, err
		} else if taken {
			s.Rename(is, name[:strings.LastIndexByte(name, '/')+1]+tx.NewID())
		}
	}
	s.Give(is, from, to)
	var err error
	if renamed {
		if _, err = s.Table.Delete(tx, s.Table.KeyOf(was), ""); err == nil {
			_, err = s.Table.Create(tx, is)
		}
	} else {
		_, err = s.Table.Update(tx, is, "")
	}
	if err != nil || s.Follow == nil {
		return is, err
	}
	return is, s.Follow(tx, was, is)
}

// Below returns the name that a resource below one customer has below another; any
// other name as it is.
func Below(name, from, to string) string {
	if rest, ok := strings.CutPrefix(name, from+"/"); ok {
		return to + "/" + rest
	}
	return name
}

// Came returns what says from whom a row that was moved came: the first customer who
// had it, "" when it is back with that one.
func Came(before, from, to string) string {
	switch before {
	case "":
		return from
	case to:
		return ""
	}
	return before
}
