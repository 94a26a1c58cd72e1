// Package importer takes customers and their orders in from CSV files (RFC 4180).
//
// A file is a stream of any length, read once and never held: lines are
// parsed as they come, written in batches of one transaction each, and
// answered in their order. A customer and an order are known by the key that they
// have in the system they come from, so an import that broke off is simply run
// again: what was taken in is found unchanged.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/order"
	"guildhall.dev/services/identity/internal/organization"
)

// batchSize is how many lines are one transaction: enough to share the cost of
// a commit, few enough that other writers seldom collide with it.
const batchSize = 500

// Config says what an Importer needs. All is required.
type Config struct {
	Store         kv.Store
	Journal       *change.Journal
	Organizations *organization.Book
	Accounts      *account.Book
	Orders        *order.Book
	Clock         func() time.Time
}

// Importer imports. It is safe for concurrent use.
type Importer struct {
	cfg       Config
	validator protovalidate.Validator
}

// New returns an importer.
func New(cfg Config) (*Importer, error) {
	v, err := protovalidate.New(protovalidate.WithMessages(&identityv1.Customer{}, &identityv1.Order{}))
	if err != nil {
		return nil, fmt.Errorf("importer: the rules of customers and orders: %w", err)
	}
	return &Importer{cfg: cfg, validator: v}, nil
}

// Emit takes the result of a line.
type Emit[R proto.Message] func(R) error

// options say how to read a file, whatever it is of.
type options interface {
	proto.Message
	GetParent() string
	GetColumns() map[string]string
	GetDryRun() bool
}

// open checks where an import goes and reads the header of its file. Errors are
// Invalid for the options and the header, and NotFound (ORGANIZATION_NOT_FOUND).
func (i *Importer) open(ctx context.Context, o options, file io.Reader, f form) (*reader, error) {
	if _, err := organization.Pattern.Parse("options.parent", o.GetParent()); err != nil {
		return nil, err
	}
	err := i.cfg.Store.View(ctx, func(r kv.Reader) error {
		_, err := i.cfg.Organizations.Get(r, o.GetParent())
		return err
	})
	if err != nil {
		return nil, err
	}
	return newReader(file, o.GetColumns(), f)
}

// drain takes batches in until fill says io.EOF with the last of them.
func drain[T any](fill func() ([]T, error), take func([]T) error) error {
	for {
		batch, err := fill()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := take(batch); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}

// errRehearsed rolls a dry run's transaction back.
var errRehearsed = errors.New("importer: a dry run")

// commit makes what apply does one transaction, whose audit entry stands for the
// whole batch: it says that the parent's collection changed, if apply says that
// something did. A dry run takes it back. Apply may run more than once.
func commit[O options](ctx context.Context, j *change.Journal, o O, collection string, apply func(*change.Tx) (changed bool, err error)) error {
	_, err := change.Do(ctx, j, o, func(tx *change.Tx) (O, error) {
		changed, err := apply(tx)
		switch {
		case err != nil:
		case o.GetDryRun():
			err = errRehearsed
		case changed:
			tx.Record(change.Change{Resource: o.GetParent(), ChangedFields: []string{collection}})
		default:
			tx.Unchanged()
		}
		return o, err
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// refusal returns the refusal of one line that an error is, which is of one of the
// kinds.
func refusal(err error, kinds ...errs.Kind) (*errs.Error, bool) {
	e, ok := errors.AsType[*errs.Error](err)
	return e, ok && slices.Contains(kinds, e.Kind)
}

// violation returns the fault of a line that its fields, as a resource of the API,
// do not hold to the API's rules; nil for none.
func (i *Importer) violation(l layout, m proto.Message) *fault {
	err := i.validator.Validate(m)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok || len(invalid.Violations) == 0 {
		return &fault{reason: "LINE_INVALID", message: "the line cannot be checked"}
	}
	first := invalid.Violations[0].Proto
	path := protovalidate.FieldPathString(first.GetField())
	field := path[strings.LastIndexByte(path, '.')+1:]
	return &fault{
		reason: strings.ToUpper(field) + "_INVALID", message: "the value is not allowed: " + first.GetMessage(), column: l.columnOf(field),
	}
}

// trim copies: a cell shares its memory with the whole record, and a batch
// would keep columns alive that nobody asked for.
func trim(cell string) string { return strings.Clone(strings.TrimSpace(cell)) }
