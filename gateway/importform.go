package gateway

import (
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// ofCustomers makes the messages of customers:import.
type ofCustomers struct{}

func (ofCustomers) options(parent string, query url.Values) (proto.Message, error) {
	o := &identityv1.ImportOptions{Parent: parent}
	err := readOptions(query, &o.Columns, &o.DryRun, nil)
	return &identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{Options: o}}, err
}

func (ofCustomers) data(piece []byte) proto.Message {
	return &identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Data{Data: piece}}
}

// ofOrders makes the messages of orders:import.
type ofOrders struct{}

func (ofOrders) options(parent string, query url.Values) (proto.Message, error) {
	o := &identityv1.ImportOrdersOptions{Parent: parent}
	err := readOptions(query, &o.Columns, &o.DryRun, map[string]*string{
		"source": &o.Source, "currency": &o.Currency, "time_layout": &o.TimeLayout, "time_zone": &o.TimeZone,
	})
	return &identityv1.ImportOrdersRequest{Content: &identityv1.ImportOrdersRequest_Options{Options: o}}, err
}

func (ofOrders) data(piece []byte) proto.Message {
	return &identityv1.ImportOrdersRequest{Content: &identityv1.ImportOrdersRequest_Data{Data: piece}}
}

// readOptions reads ?columns=CustomerID:externalId,Country:country&dryRun=true, and
// what else there is as text. A column's name may hold a colon, for the last one
// counts, but no comma.
func readOptions(query url.Values, columns *map[string]string, dryRun *bool, texts map[string]*string) (err error) {
	for key, values := range query {
		switch text, ok := texts[snake(key)]; {
		case ok && len(values) > 1:
			return invalidQuery(key, "send it once")
		case ok:
			*text = values[0]
		case key == "columns":
			if *columns, err = readColumns(values); err != nil {
				return err
			}
		case snake(key) == "dry_run":
			if *dryRun, err = strconv.ParseBool(values[0]); err != nil || len(values) > 1 {
				return invalidQuery(key, "send true or false")
			}
		default:
			const message = "there is no such query parameter; leave it out or correct its name"
			return errs.New(errs.Invalid, problem.QueryParameterUnknown, message,
				errs.Field(key, problem.QueryParameterUnknown, message))
		}
	}
	return nil
}

func readColumns(values []string) (map[string]string, error) {
	columns := map[string]string{}
	for pair := range strings.SplitSeq(strings.Join(values, ","), ",") {
		at := strings.LastIndexByte(pair, ':')
		if at <= 0 || at == len(pair)-1 {
			return nil, invalidQuery("columns", "send Column:field pairs with commas between them")
		}
		columns[pair[:at]] = snake(pair[at+1:])
	}
	return columns, nil
}

func invalidQuery(key, message string) error {
	return errs.New(errs.Invalid, problem.QueryInvalid, message, errs.Field(key, problem.QueryInvalid, message))
}

// snake takes a field in the spelling of JSON as well as in the proto's.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
