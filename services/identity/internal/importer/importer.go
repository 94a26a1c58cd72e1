// Package importer takes customers in from a CSV file (RFC 4180).
//
// The file is a stream of any length, read once and never held: lines are
// parsed as they come, written in batches of one transaction each, and
// answered in their order. A customer is known by the key it has in the system
// it comes from, so an import that broke off is simply run again: what was
// taken in is found unchanged.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/segment"
)

// batchSize is how many lines are one transaction: enough to share the cost of
// a commit, few enough that other writers seldom collide with it.
const batchSize = 500

// Importer imports. It is safe for concurrent use.
type Importer struct {
	store         kv.Store
	journal       *change.Journal
	organizations *organization.Book
	accounts      *account.Book
	validator     protovalidate.Validator
}

// New returns an importer.
func New(store kv.Store, journal *change.Journal, organizations *organization.Book, accounts *account.Book) (*Importer, error) {
	v, err := protovalidate.New(protovalidate.WithMessages(&identityv1.Customer{}))
	if err != nil {
		return nil, fmt.Errorf("importer: the rules of customers: %w", err)
	}
	return &Importer{store: store, journal: journal, organizations: organizations, accounts: accounts, validator: v}, nil
}

// Emit takes the result of a line.
type Emit func(*identityv1.ImportCustomersResponse) error

// Ask says whether the caller may move customers into or out of a segment.
type Ask func(ctx context.Context, m segment.Move) error

// Import reads the file to its end and emits a result for each line, in order,
// once it is durable. Errors before the first result are Invalid for the
// options and the header, and NotFound (ORGANIZATION_NOT_FOUND). A later one
// ends the import; the lines that were answered stay imported.
//
// Whether customers may be moved between segments is asked by the function, once
// for each batch: see segment.NewPermits. One that may not is refused with its line.
func (i *Importer) Import(ctx context.Context, options *identityv1.ImportOptions, file io.Reader, ask Ask, emit Emit) error {
	if _, err := organization.Pattern.Parse("options.parent", options.GetParent()); err != nil {
		return err
	}
	err := i.store.View(ctx, func(r kv.Reader) error {
		_, err := i.organizations.Get(r, options.GetParent())
		return err
	})
	if err != nil {
		return err
	}
	lines, err := newReader(file, options.GetColumns())
	if err != nil {
		return err
	}
	run := &run{Importer: i, options: options, layout: lines.layout, ask: ask}
	if options.GetDryRun() {
		run.rehearsal = newRehearsal()
	}
	for done := false; !done; {
		batch, err := fill(lines)
		if done = errors.Is(err, io.EOF); err != nil && !done {
			return err
		}
		if err := run.batch(ctx, batch, emit); err != nil {
			return err
		}
	}
	return nil
}

// fill reads a batch of lines. The error is io.EOF with the last of them.
func fill(lines *reader) ([]line, error) {
	batch := make([]line, 0, batchSize)
	for len(batch) < batchSize {
		l, err := lines.next()
		if err != nil {
			return batch, err
		}
		batch = append(batch, l)
	}
	return batch, nil
}

// run is one import.
type run struct {
	*Importer
	options   *identityv1.ImportOptions
	layout    layout
	ask       Ask
	rehearsal *rehearsal // nil in earnest
}

// row is a line on its way to its result.
type row struct {
	customer *storev1.Account // nil when the line is refused
	password string           // its hash, of another system; may be empty
	fields   []string         // those that the line says something of
	result   *identityv1.ImportCustomersResponse
}

// batch takes in some lines and emits their results.
func (r *run) batch(ctx context.Context, lines []line, emit Emit) error {
	rows := make([]*row, len(lines))
	valid := 0
	for n, l := range lines {
		rows[n] = r.parse(l)
		if rows[n].customer != nil {
			valid++
		}
	}
	if valid > 0 {
		if err := r.write(ctx, rows); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if err := emit(row.result); err != nil {
			return err
		}
	}
	return nil
}

// parse turns a line into a customer, or into its refusal.
func (r *run) parse(l line) *row {
	out := &row{result: &identityv1.ImportCustomersResponse{Line: l.number}}
	if l.fault == nil && l.cells[externalID] == "" {
		l.fault = &fault{reason: "EXTERNAL_ID_MISSING", message: "the line names no customer", column: r.columnOf(externalID)}
	}
	if l.fault == nil {
		l.fault = r.validate(l)
	}
	if l.fault != nil {
		out.fail(*l.fault)
		return out
	}
	out.customer = &storev1.Account{
		ExternalId: l.cells[externalID], DisplayName: l.cells["display_name"], Email: l.cells["email"],
		Phone: l.cells["phone"], Country: l.cells["country"], Language: l.cells["language"],
	}
	out.password = l.cells[passwordHash]
	for _, f := range fields() {
		if l.cells[f] != "" && f != passwordHash {
			out.fields = append(out.fields, f)
		}
	}
	return out
}

// validate holds a line to the rules that the API holds a customer to.
func (r *run) validate(l line) *fault {
	err := r.validator.Validate(&identityv1.Customer{
		ExternalId: l.cells[externalID], DisplayName: l.cells["display_name"], Email: l.cells["email"],
		Phone: l.cells["phone"], Country: l.cells["country"], Language: l.cells["language"],
	})
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if err == nil {
		return r.validatePassword(l.cells[passwordHash])
	}
	if !ok || len(invalid.Violations) == 0 {
		return &fault{reason: "LINE_INVALID", message: "the line cannot be checked"}
	}
	first := invalid.Violations[0].Proto
	field := protovalidate.FieldPathString(first.GetField())
	return &fault{
		reason: strings.ToUpper(field) + "_INVALID", message: "the value is not allowed: " + first.GetMessage(), column: r.columnOf(field),
	}
}

// validatePassword refuses a hash that no login could be compared with.
func (r *run) validatePassword(hash string) *fault {
	if hash == "" {
		return nil
	}
	refusal, ok := errors.AsType[*errs.Error](credential.CheckForeign(passwordHash, hash))
	if !ok {
		return nil
	}
	return &fault{reason: refusal.Reason, message: refusal.Message, column: r.columnOf(passwordHash)}
}

// write takes the customers of the rows in, in one transaction, and sets the
// results. Its audit entry stands for the whole batch.
func (r *run) write(ctx context.Context, rows []*row) error {
	permits := segment.NewPermits(r.ask)
	for {
		again, err := permits.Settle(ctx, r.try(ctx, rows, permits.Permit))
		if err != nil || !again {
			return err
		}
	}
}

func (r *run) try(ctx context.Context, rows []*row, permit segment.Permit) error {
	if r.rehearsal != nil {
		return r.rehearse(ctx, rows, permit)
	}
	_, err := change.Do(ctx, r.journal, r.options, func(tx *change.Tx) (*identityv1.ImportOptions, error) {
		changed, err := r.apply(tx, rows, permit)
		if changed {
			tx.Record(change.Change{Resource: r.options.GetParent(), ChangedFields: []string{"customers"}})
		} else {
			tx.Unchanged()
		}
		return r.options, err
	})
	return err
}

// apply may run more than once, so it sets every result anew.
func (r *run) apply(tx *change.Tx, rows []*row, permit segment.Permit) (changed bool, err error) {
	for _, row := range rows {
		if row.customer == nil {
			continue
		}
		row.result = &identityv1.ImportCustomersResponse{Line: row.result.GetLine()}
		name, did, err := r.accounts.Import(tx, r.options.GetParent(), proto.CloneOf(row.customer), row.password, row.fields, permit)
		row.result.Customer = name
		if refusal, ok := errors.AsType[*errs.Error](err); ok && refuses(refusal.Kind) {
			f := fault{reason: refusal.Reason, message: refusal.Message}
			if len(refusal.Violations) > 0 {
				f.column = r.columnOf(refusal.Violations[0].Field)
			}
			row.fail(f)
			continue
		}
		if err != nil {
			return false, err
		}
		row.result.Result = resultOf(did)
		changed = changed || did != account.Unchanged
	}
	return changed, nil
}

// refuses reports whether an error of the kind is the refusal of one line.
func refuses(k errs.Kind) bool { return k == errs.Exists || k == errs.Precondition || k == errs.Denied }

func (w *row) fail(f fault) {
	w.result.Result = identityv1.ImportCustomersResponse_RESULT_FAILED
	w.result.Reason, w.result.Message, w.result.Column = f.reason, f.message, f.column
}

// columnOf returns the column that fills a field, or "".
func (r *run) columnOf(field string) string {
	for _, c := range r.layout.columns {
		if c.field == field {
			return c.name
		}
	}
	return ""
}

func resultOf(did account.Imported) identityv1.ImportCustomersResponse_Result {
	switch did {
	case account.Created:
		return identityv1.ImportCustomersResponse_RESULT_CREATED
	case account.Updated:
		return identityv1.ImportCustomersResponse_RESULT_UPDATED
	default:
		return identityv1.ImportCustomersResponse_RESULT_UNCHANGED
	}
}

// trim copies: a cell shares its memory with the whole record, and a batch
// would keep columns alive that nobody asked for.
func trim(cell string) string { return strings.Clone(strings.TrimSpace(cell)) }
