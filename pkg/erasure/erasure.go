// Package erasure erases what a service keeps of one person, some at a time, and
// keeps a receipt of it.
//
//	nothing ──▶ begun: counts of what is gone ──▶ complete: the receipt, for ever
//	              └──────── each round ────────┘
//
// A person may have thousands of records, a process may end in the middle, and who
// asked may ask again: so each round is a transaction of its own with its part of
// the receipt, a second call goes on where the store says, and one after the end
// returns the receipt that there is. What a service keeps of people it says itself,
// as Steps; the package knows none of it.
//
// From the first round on nothing is to be written about the person any more: what
// was under way, or comes late, is refused by Book.Refuse, which a service asks in
// the transaction of whatever would bring the name back. Such a transaction and a
// round conflict in the store, so that the round sees what it wrote, or it is
// refused.
package erasure

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// answers is the kind of the kept answers to calls, in receipts.
const answers = "change_answers"

// Step removes some of what there is of a subject, and reports whether there is
// more, for another transaction. It finds nothing in what is gone.
type Step func(tx *change.Tx, subject string) (more bool, err error)

// Book keeps the receipts. It is safe for concurrent use.
//
//	erasures  subject -> ErasureReceipt, without complete_time until it is one
type Book struct {
	table *kv.Table[*subjectv1.ErasureReceipt]
}

// New returns a book. It does no I/O.
func New() *Book {
	return &Book{kv.NewTable(kv.TableConfig[*subjectv1.ErasureReceipt]{
		Name: "erasures", Key: func(r *subjectv1.ErasureReceipt) kv.Key { return key(r.GetSubject()) },
	})}
}

func key(subject string) kv.Key { return kv.Key{kv.String(subject)} }

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

// Begun reports whether the erasure of a subject has begun, also when it is complete.
func (b *Book) Begun(r kv.Reader, subject string) (bool, error) {
	_, found, err := b.table.Find(r, key(subject))
	return found, err
}

// Refuse returns Precondition (CUSTOMER_ERASED) when the erasure of one of the
// subjects has begun, also when it is complete. An empty one is none.
func (b *Book) Refuse(r kv.Reader, subjects ...string) error {
	for _, subject := range subjects {
		if subject == "" {
			continue
		}
		if begun, err := b.Begun(r, subject); err != nil {
			return err
		} else if begun {
			return errs.New(errs.Precondition, "CUSTOMER_ERASED", "the customer was erased; nothing is written about it any more")
		}
	}
	return nil
}

// Config says what an Eraser needs, all of it.
type Config struct {
	// Service is the short name of the service, as in "permission".
	Service string
	Book    *Book
	Journal *change.Journal
	// Steps are all that the service keeps of people.
	Steps []Step
}

// Eraser erases. It is safe for concurrent use.
type Eraser struct{ cfg Config }

// NewEraser returns an eraser.
func NewEraser(cfg Config) *Eraser { return &Eraser{cfg} }

// Erase erases what there is of a subject and returns the receipt: the same one on
// each call once all is gone. It goes on until then or until ctx ends; what it has
// done stays done, and the next call goes on.
func (e *Eraser) Erase(ctx context.Context, subject string) (*subjectv1.ErasureReceipt, error) {
	forgotten := -1 // not yet
	for {
		receipt, clean, err := e.round(ctx, subject, forgotten)
		if err != nil || receipt.GetCompleteTime() != nil {
			return receipt, err
		}
		if clean {
			// Last, since an answer may hold what a step has still found.
			if forgotten, err = e.cfg.Journal.ForgetAnswers(ctx, subject); err != nil {
				return nil, err
			}
		}
	}
}

// round removes some, and reports whether no step has more. One that finds nothing
// left after the answers are forgotten, of which there were so many, is the last.
func (e *Eraser) round(ctx context.Context, subject string, forgotten int) (receipt *subjectv1.ErasureReceipt, clean bool, err error) {
	err = change.DoSystem(ctx, e.cfg.Journal, e.cfg.Service+".subjects.erase", func(tx *change.Tx) error {
		tx.Unchanged() // unless a step records something
		old, found, err := e.cfg.Book.table.Find(tx, key(subject))
		if err != nil {
			return err
		}
		receipt = &subjectv1.ErasureReceipt{Service: e.cfg.Service, Subject: subject, BeginTime: timestamppb.New(tx.Time)}
		if found {
			receipt = proto.CloneOf(old.Value)
		}
		if receipt.GetCompleteTime() != nil {
			return nil
		}
		counts, more, err := e.steps(tx, subject)
		if err != nil {
			return err
		}
		clean = !more
		if clean && forgotten >= 0 {
			counts[answers] += int64(forgotten)
			receipt.CompleteTime = timestamppb.New(tx.Time)
		}
		add(receipt, counts)
		receipt.Digest = digest(receipt)
		_, err = e.cfg.Book.table.Put(tx, receipt, "")
		return err
	})
	return receipt, clean, err
}

// steps makes each step once, and counts what they remove.
func (e *Eraser) steps(tx *change.Tx, subject string) (counts map[string]int64, more bool, err error) {
	c := &counter{Tx: tx.Tx, removed: map[string]int64{}}
	tx.Tx = c
	defer func() { tx.Tx = c.Tx }()
	for _, step := range e.cfg.Steps {
		left, err := step(tx, subject)
		if err != nil {
			return nil, false, err
		}
		more = more || left
	}
	return c.removed, more, nil
}

// counter counts what is there and is deleted, by table.
type counter struct {
	kv.Tx
	removed map[string]int64
}

// Delete implements kv.Tx.
func (c *counter) Delete(table string, key []byte) error {
	if !strings.Contains(table, "__") { // an index goes with its table
		row, err := c.Tx.Get(table, key)
		if err != nil {
			return err
		}
		if row != nil {
			c.removed[table]++
		}
	}
	return c.Tx.Delete(table, key)
}

// Emptied counts, in the receipt, a record that a step leaves where it is without
// what it held of the person; kind is that of the table, as of what is removed.
func Emptied(tx *change.Tx, kind string) {
	if c, ok := tx.Tx.(*counter); ok {
		c.removed[kind]++
	}
}

// add adds counts to a receipt, whose kinds are in order.
func add(receipt *subjectv1.ErasureReceipt, counts map[string]int64) {
	for _, k := range receipt.GetKinds() {
		counts[k.GetKind()] += k.GetCount()
	}
	receipt.Kinds = nil
	for kind, n := range counts {
		if n > 0 {
			receipt.Kinds = append(receipt.Kinds, &subjectv1.ErasedKind{Kind: kind, Count: n})
		}
	}
	slices.SortFunc(receipt.GetKinds(), func(a, b *subjectv1.ErasedKind) int { return cmp.Compare(a.GetKind(), b.GetKind()) })
}

// digest returns what ErasureReceipt.digest says, "" of a receipt that is not
// complete.
func digest(r *subjectv1.ErasureReceipt) string {
	if r.GetCompleteTime() == nil {
		return ""
	}
	lines := []string{r.GetService(), r.GetSubject(), r.GetCompleteTime().AsTime().Format(time.RFC3339Nano)}
	for _, k := range r.GetKinds() {
		lines = append(lines, fmt.Sprintf("%s %d", k.GetKind(), k.GetCount()))
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
