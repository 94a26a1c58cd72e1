package importer

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/order"
)

// Fields of a line of an order.
const (
	customerID = "customer_external_id"
	orderTime  = "order_time"
	quantity   = "quantity"
	unitPrice  = "unit_price"
	product    = "product"
	detail     = "description"
	currency   = "currency"
)

// ofOrders is the form of a file of orders; their currency is a column or an option.
func ofOrders(options *identityv1.ImportOrdersOptions) form {
	f := form{
		fields:   []string{externalID, customerID, orderTime, quantity, unitPrice, product, detail, currency},
		required: []string{externalID, customerID, orderTime, quantity, unitPrice},
	}
	if options.GetCurrency() == "" {
		f.required = append(f.required, currency)
	}
	return f
}

// ImportOrders reads a file of orders to its end and emits a result for each line,
// in order, once it is durable. Errors before the first result are Invalid for the
// options and the header, and NotFound (ORGANIZATION_NOT_FOUND). A later one ends
// the import; the lines that were answered stay imported.
func (i *Importer) ImportOrders(ctx context.Context, options *identityv1.ImportOrdersOptions, file io.Reader, emit Emit[*identityv1.ImportOrdersResponse]) error {
	if options.GetCurrency() != "" {
		if err := order.CheckCurrency("options.currency", options.GetCurrency()); err != nil {
			return err
		}
	}
	clock, err := newClock(options.GetTimeLayout(), options.GetTimeZone())
	if err != nil {
		return err
	}
	lines, err := i.open(ctx, options, file, ofOrders(options))
	if err != nil {
		return err
	}
	run := &orderRun{Importer: i, options: options, lines: lines, clock: clock, seed: maphash.MakeSeed(), rehearsed: make(map[uint64]bool)}
	return drain(run.fill, func(batch []*orderRow) error { return run.batch(ctx, batch, emit) })
}

// orderRun is one import of orders.
type orderRun struct {
	*Importer
	options *identityv1.ImportOrdersOptions
	lines   *reader
	clock   clock
	// next is the row behind the last batch; nil before the first.
	next *orderRow
	// external is the order of the last row, group counts the orders up to it, and
	// length its rows.
	external      string
	group, length int
	// rehearsed are hashes of the orders that a dry run would have made.
	seed      maphash.Seed
	rehearsed map[uint64]bool
}

// orderRow is a line on its way to its result.
type orderRow struct {
	group              int // rows of one order that stand together have the same
	customer, currency string
	at                 time.Time
	line               *storev1.OrderLine // nil when the line is refused
	external           string
	result             *identityv1.ImportOrdersResponse
}

func (w *orderRow) fail(f fault) {
	w.line = nil
	w.result.Result = identityv1.ImportOrdersResponse_RESULT_FAILED
	w.result.Reason, w.result.Message, w.result.Column = f.reason, f.message, f.column
}

// fill reads a batch of whole orders. The error is io.EOF with the last of them.
//
// An order in two batches would be one that comes again, whose lines are those that
// it has: of two equal lines one would be lost. So a batch is as long as it takes,
// and an order has an end.
func (r *orderRun) fill() (batch []*orderRow, err error) {
	for {
		if r.next != nil {
			batch = append(batch, r.next)
			r.next = nil
		}
		l, err := r.lines.next()
		if err != nil {
			return batch, err
		}
		r.next = r.parse(l)
		full := len(batch) >= batchSize && r.next.group != batch[len(batch)-1].group
		if full || len(batch) >= batchSize+order.MaxLines && r.length > order.MaxLines {
			return batch, nil
		}
	}
}

// parse turns a line into one of an order, or into its refusal.
func (r *orderRun) parse(l line) *orderRow {
	w := &orderRow{external: l.cells[externalID], result: &identityv1.ImportOrdersResponse{Line: l.number}}
	// A line that cannot be read does not part those around it.
	if w.external != "" && w.external != r.external {
		r.external, r.length = w.external, 0
		r.group++
	}
	r.length++
	w.group = r.group
	if l.fault == nil {
		l.fault = r.read(l, w)
	}
	if l.fault == nil && r.length > order.MaxLines {
		l.fault = &fault{reason: "ORDER_LINE_LIMIT", message: order.TooLong()}
	}
	if l.fault != nil {
		w.fail(*l.fault)
	}
	return w
}

// read reads the cells of a line into its row.
func (r *orderRun) read(l line, w *orderRow) *fault {
	faulty := func(field, reason, message string) *fault {
		return &fault{reason: reason, message: message, column: r.lines.layout.columnOf(field)}
	}
	n, err := strconv.ParseInt(l.cells[quantity], 10, 64)
	price, ok := order.ParseMicros(l.cells[unitPrice])
	at, dated := r.clock.read(l.cells[orderTime])
	w.customer, w.currency, w.at = l.cells[customerID], l.cells[currency], at
	if w.currency == "" {
		w.currency = r.options.GetCurrency()
	}
	switch {
	case w.external == "":
		return faulty(externalID, "EXTERNAL_ID_MISSING", "the line names no order")
	case w.customer == "":
		return faulty(customerID, "CUSTOMER_MISSING", "the line names no customer")
	case err != nil || n == 0:
		return faulty(quantity, "QUANTITY_INVALID", "the quantity is a whole number, and not zero")
	case !ok || price < 0:
		return faulty(unitPrice, "UNIT_PRICE_INVALID", "the price is a number with a decimal point and at most six decimals, and not negative")
	case !dated || order.CheckTime(orderTime, at, r.cfg.Clock()) != nil:
		return faulty(orderTime, "ORDER_TIME_INVALID", "the time is not written as options.time_layout says, or is before 1900 or after tomorrow")
	case order.CheckCurrency(currency, w.currency) != nil:
		return faulty(currency, "CURRENCY_INVALID", "the currency is none of ISO 4217")
	}
	w.line = &storev1.OrderLine{Product: l.cells[product], Description: l.cells[detail], Quantity: n, UnitPrice: int64(price)}
	return r.violation(r.lines.layout, &identityv1.Order{
		Source: r.options.GetSource(), ExternalId: w.external, OrderTime: timestamppb.New(at), Currency: w.currency,
		Lines: []*identityv1.OrderLine{{
			Product: w.line.GetProduct(), Description: w.line.GetDescription(), Quantity: n, UnitPrice: &money.Money{},
		}},
	})
}

// bundle is an order of a batch with its rows.
type bundle struct {
	order    *storev1.Order
	customer string // its external id
	rows     []*orderRow
}

// bundles puts the lines of a batch together to orders. A line that names another
// customer or currency than the first of its order is refused.
func (r *orderRun) bundles(batch []*orderRow) (out []*bundle) {
	group := -1
	var b *bundle
	for _, w := range batch {
		if w.line == nil {
			continue
		}
		if w.group != group {
			group = w.group
			b = &bundle{customer: w.customer, order: &storev1.Order{
				Source: r.options.GetSource(), ExternalId: w.external, OrderTime: timestamppb.New(w.at), Currency: w.currency,
			}}
			out = append(out, b)
		}
		if w.customer != b.customer || w.currency != b.order.GetCurrency() {
			w.fail(faultOf(order.Mismatch()))
			continue
		}
		if w.at.Before(b.order.GetOrderTime().AsTime()) {
			b.order.OrderTime = timestamppb.New(w.at)
		}
		b.rows = append(b.rows, w)
		b.order.Lines = append(b.order.Lines, w.line)
	}
	return out
}

func faultOf(err error) fault {
	e, _ := errors.AsType[*errs.Error](err)
	return fault{reason: e.Reason, message: e.Message}
}
