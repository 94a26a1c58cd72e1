package delivery

import (
	"time"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// maxExamined is how many deliveries of an index entry after the other are looked
// at in vain for a page, so that one that finds little among many ends too.
const maxExamined = 500

// ParseFilter reads the filter of ListDeliveries. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	return filter.Parse(text,
		filter.Field{Name: byState, Type: filter.Enum, Values: filter.EnumNames(identityv1.Delivery_State_name, "STATE_")},
		filter.Field{Name: "kind", Type: filter.Enum, Values: filter.EnumNames(identityv1.MessageKind_name, "MESSAGE_KIND_")},
		filter.Field{Name: "channel", Type: filter.Enum, Values: filter.EnumNames(identityv1.MessageChannel_name, "MESSAGE_CHANNEL_")},
		filter.Field{Name: byAccount, Type: filter.String})
}

// List returns a page of an organisation's deliveries, newest first, and where to
// go on behind it, nil at the end. A page may have less than the limit and more
// behind it.
func (b *Book) List(r kv.Reader, organization string, terms filter.Terms, after []byte, limit int) (out []*identityv1.Delivery, next []byte, err error) {
	from := kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit, Reverse: true}
	if t, ok := terms.Lookup(byAccount); ok {
		from.Index, from.Prefix = byAccount, kv.Key{kv.String(t.Text)}
	} else if t, ok := terms.Lookup(byState); ok {
		from.Index, from.Prefix = byState, kv.Key{kv.String(organization), kv.String(t.Text)}
	}
	page, err := b.deliveries.Select(r, from, maxExamined, func(d *storev1.Delivery) bool {
		return organizationOf(d) == organization && selects(terms, d.GetDelivery())
	})
	for _, rec := range page.Records {
		out = append(out, view(rec))
	}
	return out, page.Next, err
}

// selects reports whether all terms are true of a delivery.
func selects(terms filter.Terms, d *identityv1.Delivery) bool {
	for _, t := range terms {
		value := ""
		switch t.Field {
		case byState:
			value = StateName(d.GetState())
		case byAccount:
			value = d.GetAccount()
		case "kind":
			value = KindName(d.GetKind())
		case "channel":
			value = ChannelName(d.GetChannel())
		}
		if value != t.Text {
			return false
		}
	}
	return true
}

// Due reports whether there is something to claim.
func (b *Book) Due(r kv.Reader, now time.Time) (bool, error) {
	page, err := b.deliveries.List(r, kv.Query{Index: byDue, Until: kv.Key{kv.Time(now.Add(1))}, Limit: 1})
	return len(page.Records) > 0, err
}

// Oldest returns when the oldest message that is to be sent was made; zero when
// there is none.
func (b *Book) Oldest(r kv.Reader) (time.Time, error) {
	page, err := b.deliveries.List(r, kv.Query{Index: byAge, Limit: 1})
	if err != nil || len(page.Records) == 0 {
		return time.Time{}, err
	}
	return page.Records[0].Value.GetDelivery().GetCreateTime().AsTime(), nil
}
