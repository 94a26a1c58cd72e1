package importer

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/segment"
)

// ofCustomers is the form of a file of customers.
func ofCustomers() form { return form{fields: fields(), required: []string{externalID}} }

// Ask says whether the caller may move customers into or out of a segment.
type Ask func(ctx context.Context, m segment.Move) error

// Import reads a file of customers to its end and emits a result for each line, in
// order, once it is durable. Errors before the first result are Invalid for the
// options and the header, and NotFound (ORGANIZATION_NOT_FOUND). A later one ends
// the import; the lines that were answered stay imported.
//
// Whether customers may be moved between segments is asked by the function, once
// for each batch: see segment.NewPermits. One that may not is refused with its line.
func (i *Importer) Import(ctx context.Context, options *identityv1.ImportOptions, file io.Reader, ask Ask, emit Emit[*identityv1.ImportCustomersResponse]) error {
	lines, err := i.open(ctx, options, file, ofCustomers())
	if err != nil {
		return err
	}
	run := &run{Importer: i, options: options, layout: lines.layout, ask: ask}
	if options.GetDryRun() {
		run.rehearsal = newRehearsal()
	}
	return drain(func() ([]line, error) { return fill(lines) }, func(batch []line) error { return run.batch(ctx, batch, emit) })
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

// run is one import of customers.
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
func (r *run) batch(ctx context.Context, lines []line, emit Emit[*identityv1.ImportCustomersResponse]) error {
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
		l.fault = &fault{reason: "EXTERNAL_ID_MISSING", message: "the line names no customer", column: r.layout.columnOf(externalID)}
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
	if f := r.violation(r.layout, &identityv1.Customer{
		ExternalId: l.cells[externalID], DisplayName: l.cells["display_name"], Email: l.cells["email"],
		Phone: l.cells["phone"], Country: l.cells["country"], Language: l.cells["language"],
	}); f != nil {
		return f
	}
	return r.validatePassword(l.cells[passwordHash])
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
	return &fault{reason: refusal.Reason, message: refusal.Message, column: r.layout.columnOf(passwordHash)}
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

// try is write with one set of answers of the permit.
func (r *run) try(ctx context.Context, rows []*row, permit segment.Permit) error {
	err := commit(ctx, r.cfg.Journal, r.options, "customers", func(tx *change.Tx) (bool, error) { return r.apply(tx, rows, permit) })
	if err != nil || r.rehearsal == nil {
		return err
	}
	for _, row := range rows {
		r.rehearsal.judge(row)
	}
	return nil
}

// apply may run more than once, so it sets every result anew.
func (r *run) apply(tx *change.Tx, rows []*row, permit segment.Permit) (changed bool, err error) {
	for _, row := range rows {
		if row.customer == nil {
			continue
		}
		row.result = &identityv1.ImportCustomersResponse{Line: row.result.GetLine()}
		name, did, err := r.cfg.Accounts.Import(tx, r.options.GetParent(), proto.CloneOf(row.customer), row.password, row.fields, permit)
		row.result.Customer = name
		if refusal, ok := refusal(err, errs.Exists, errs.Precondition, errs.Denied); ok {
			f := fault{reason: refusal.Reason, message: refusal.Message}
			if len(refusal.Violations) > 0 {
				f.column = r.layout.columnOf(refusal.Violations[0].Field)
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

func (w *row) fail(f fault) {
	w.result.Result = identityv1.ImportCustomersResponse_RESULT_FAILED
	w.result.Reason, w.result.Message, w.result.Column = f.reason, f.message, f.column
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
