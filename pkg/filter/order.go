package filter

import (
	"fmt"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
)

// Order is one field of an order_by.
type Order struct {
	Field string
	Desc  bool
}

// ParseOrder reads an order_by (AIP-132), as in "create_time desc", over the
// declared fields. The empty order_by has none: the method's own order. The
// error is Invalid (ORDER_BY_INVALID) on field "order_by".
func ParseOrder(orderBy string, fields ...string) ([]Order, error) {
	if strings.TrimSpace(orderBy) == "" {
		return nil, nil
	}
	if len(orderBy) > MaxLength {
		return nil, invalidOrder(fmt.Sprintf("send at most %d bytes", MaxLength))
	}
	var out []Order
	for item := range strings.SplitSeq(orderBy, ",") {
		words := strings.Fields(item)
		if len(words) == 0 || !slices.Contains(fields, words[0]) {
			return nil, invalidOrder("name one of the fields " + strings.Join(fields, ", "))
		}
		o := Order{Field: words[0]}
		if slices.ContainsFunc(out, func(p Order) bool { return p.Field == o.Field }) {
			return nil, invalidOrder("name each field once")
		}
		switch {
		case len(words) == 1:
		case len(words) == 2 && words[1] == "desc":
			o.Desc = true
		default:
			return nil, invalidOrder("write a field, then nothing or desc")
		}
		out = append(out, o)
	}
	return out, nil
}

func invalidOrder(text string) error {
	return errs.InvalidField("order_by", "ORDER_BY_INVALID", text)
}
