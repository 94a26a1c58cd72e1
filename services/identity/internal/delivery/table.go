package delivery

import (
	"encoding/hex"
	"strings"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
)

const (
	notFound            = "DELIVERY_NOT_FOUND"
	suppressionNotFound = "SUPPRESSION_NOT_FOUND"
)

// The states of a delivery, for short.
const (
	queued          = identityv1.Delivery_STATE_QUEUED
	sent            = identityv1.Delivery_STATE_SENT
	delivered       = identityv1.Delivery_STATE_DELIVERED
	bounced         = identityv1.Delivery_STATE_BOUNCED
	stateSuppressed = identityv1.Delivery_STATE_SUPPRESSED
	failed          = identityv1.Delivery_STATE_FAILED
	withdrawn       = identityv1.Delivery_STATE_WITHDRAWN
)

// StateName returns a state as events and filters spell it: "SENT".
func StateName(s identityv1.Delivery_State) string { return strings.TrimPrefix(s.String(), "STATE_") }

// KindName returns a kind as filters spell it: "INVITATION".
func KindName(k identityv1.MessageKind) string {
	return strings.TrimPrefix(k.String(), "MESSAGE_KIND_")
}

// ChannelName returns a channel as filters spell it: "EMAIL".
func ChannelName(c identityv1.MessageChannel) string {
	return strings.TrimPrefix(c.String(), "MESSAGE_CHANNEL_")
}

// The indexes of deliveries.
const (
	byDue     = "due"     // QUEUED ones, by when they are tried next
	byAge     = "age"     // QUEUED ones, by when they were made
	byCreated = "created" // all, by when they were made
	byState   = "state"
	byAccount = "account"
	byOpen    = "open" // those that could still be sent, by account
)

// deliveryTable is (organisation, name) -> Delivery. Names are UUIDv7, so that
// they are in the order in which deliveries were made.
func deliveryTable() *kv.Table[*storev1.Delivery] {
	index := func(name string, keys func(d *identityv1.Delivery) kv.Key) kv.Index[*storev1.Delivery] {
		return kv.Index[*storev1.Delivery]{Name: name, Keys: func(rec *storev1.Delivery) []kv.Key {
			if k := keys(rec.GetDelivery()); k != nil {
				return []kv.Key{k}
			}
			return nil
		}}
	}
	return kv.NewTable(kv.TableConfig[*storev1.Delivery]{
		Name: "deliveries", NotFound: notFound,
		Key: func(rec *storev1.Delivery) kv.Key { return key(rec.GetDelivery().GetName()) },
		Indexes: []kv.Index[*storev1.Delivery]{
			index(byDue, func(d *identityv1.Delivery) kv.Key {
				if d.GetState() != queued {
					return nil
				}
				return kv.Key{kv.Time(d.GetNextAttemptTime().AsTime())}
			}),
			index(byAge, func(d *identityv1.Delivery) kv.Key {
				if d.GetState() != queued {
					return nil
				}
				return kv.Key{kv.Time(d.GetCreateTime().AsTime())}
			}),
			index(byCreated, func(d *identityv1.Delivery) kv.Key { return kv.Key{kv.Time(d.GetCreateTime().AsTime())} }),
			index(byState, func(d *identityv1.Delivery) kv.Key {
				return kv.Key{kv.String(resource.Parent(d.GetName())), kv.String(StateName(d.GetState()))}
			}),
			index(byAccount, func(d *identityv1.Delivery) kv.Key { return kv.Key{kv.String(d.GetAccount())} }),
			index(byOpen, func(d *identityv1.Delivery) kv.Key {
				if d.GetState() != queued && d.GetState() != failed {
					return nil
				}
				return kv.Key{kv.String(d.GetAccount())}
			}),
		},
	})
}

const byExpiry = "expiry"

// parcelTable is (delivery) -> Parcel.
func parcelTable() *kv.Table[*storev1.Parcel] {
	return kv.NewTable(kv.TableConfig[*storev1.Parcel]{
		Name: "delivery_parcels",
		Key:  func(p *storev1.Parcel) kv.Key { return kv.Key{kv.String(p.GetDelivery())} },
		Indexes: []kv.Index[*storev1.Parcel]{{Name: byExpiry, Keys: func(p *storev1.Parcel) []kv.Key {
			return []kv.Key{{kv.Time(p.GetExpireTime().AsTime())}}
		}}},
	})
}

// suppressionTable is (organisation, name) -> Suppression. A name ends in the
// keyed hash of the target.
func suppressionTable() *kv.Table[*identityv1.Suppression] {
	return kv.NewTable(kv.TableConfig[*identityv1.Suppression]{
		Name: "suppressions", NotFound: suppressionNotFound,
		Key: func(s *identityv1.Suppression) kv.Key { return key(s.GetName()) },
	})
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// hash hides where a message goes. Organisations have one hash of it, so that what
// they send there together is counted.
func (b *Book) hash(to contact.Contact) []byte {
	return b.cfg.Hasher.Hash("identity delivery target", []byte(to.Folded()))
}

// suppressionName is the name of the suppression of a target.
func suppressionName(organization string, hash []byte) string {
	return organization + "/suppressions/" + hex.EncodeToString(hash)
}
