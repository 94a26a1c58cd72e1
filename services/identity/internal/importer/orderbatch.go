package importer

import (
	"context"
	"hash/maphash"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/order"
)

// batch takes some orders in and emits the results of their lines.
func (r *orderRun) batch(ctx context.Context, rows []*orderRow, emit Emit[*identityv1.ImportOrdersResponse]) error {
	if all := r.bundles(rows); len(all) > 0 {
		err := commit(ctx, r.cfg.Journal, r.options, "orders", func(tx *change.Tx) (bool, error) { return r.apply(tx, all) })
		if err != nil {
			return err
		}
		if r.options.GetDryRun() {
			r.judge(all)
		}
	}
	for _, w := range rows {
		if err := emit(w.result); err != nil {
			return err
		}
	}
	return nil
}

// apply may run more than once, so it sets every result anew.
func (r *orderRun) apply(tx *change.Tx, all []*bundle) (changed bool, err error) {
	for _, b := range all {
		var done order.Imported
		customer, err := r.cfg.Accounts.Known(tx, r.options.GetParent(), b.customer)
		if err == nil {
			done, err = r.cfg.Orders.Import(tx, customer, b.order)
		}
		if err == nil && !done.Bought.IsZero() {
			err = r.cfg.Accounts.Bought(tx, customer, done.Name, done.Bought)
		}
		if refused, ok := refusal(err, errs.NotFound, errs.Precondition, errs.Exists, errs.Exhausted, errs.Invalid); ok {
			b.refuse(fault{reason: refused.Reason, message: refused.Message})
			continue
		}
		if err != nil {
			return false, err
		}
		b.settle(done)
		changed = changed || done.Changed
	}
	return changed, nil
}

// refuse refuses all lines of an order that is refused itself.
func (b *bundle) refuse(f fault) {
	for _, w := range b.rows {
		w.result = &identityv1.ImportOrdersResponse{
			Line: w.result.GetLine(), Result: identityv1.ImportOrdersResponse_RESULT_FAILED, Reason: f.reason, Message: f.message,
		}
	}
}

// settle sets the results of an order's lines.
func (b *bundle) settle(done order.Imported) {
	for i, w := range b.rows {
		w.result = &identityv1.ImportOrdersResponse{Line: w.result.GetLine(), Order: done.Name}
		switch {
		case done.Created:
			w.result.Result = identityv1.ImportOrdersResponse_RESULT_CREATED
		case done.Added[i]:
			w.result.Result = identityv1.ImportOrdersResponse_RESULT_UPDATED
		default:
			w.result.Result = identityv1.ImportOrdersResponse_RESULT_UNCHANGED
		}
	}
}

// judge corrects the results of orders that an earlier batch of a dry run would have
// made, and takes out the names of orders that there are not.
func (r *orderRun) judge(all []*bundle) {
	for _, b := range all {
		if b.rows[0].result.GetResult() != identityv1.ImportOrdersResponse_RESULT_CREATED {
			continue
		}
		id := maphash.String(r.seed, b.order.GetExternalId())
		for _, w := range b.rows {
			w.result.Order = ""
			if r.rehearsed[id] {
				w.result.Result = identityv1.ImportOrdersResponse_RESULT_UPDATED
			}
		}
		r.rehearsed[id] = true
	}
}
