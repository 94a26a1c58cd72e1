package delivery

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// suppressed reports whether nothing is sent to where a delivery goes.
func (b *Book) suppressed(r kv.Reader, d *storev1.Delivery) (bool, error) {
	_, found, err := b.suppressions.Find(r, key(suppressionName(organizationOf(d), d.GetTargetHash())))
	return found, err
}

func organizationOf(d *storev1.Delivery) string {
	return resource.Parent(d.GetDelivery().GetName())
}

// Report takes down what a provider has found out. A bounce and a complaint
// suppress the target. Errors are NotFound (DELIVERY_NOT_FOUND) and Precondition
// (ILLEGAL_STATE): no provider has it.
func (b *Book) Report(tx *change.Tx, name string, outcome identityv1.ReportDeliveryRequest_Outcome) (*identityv1.Delivery, error) {
	rec, err := b.get(tx, name)
	if err != nil {
		return nil, err
	}
	now, d := clone(rec)
	next := delivered
	if outcome == identityv1.ReportDeliveryRequest_OUTCOME_BOUNCED {
		next = bounced
	}
	switch state := d.GetState(); {
	case state == queued && d.GetAttemptCount() > 0:
		// It was sent, and the process ended before that was noted.
		d.SendTime, d.NextAttemptTime = timestamppb.New(tx.Time), nil
	case state != sent && state != delivered && state != bounced:
		return nil, illegalState("the message was not sent")
	case state == bounced && next == delivered:
		next = bounced
	}
	moved := d.GetState() != next
	added := false
	if outcome != identityv1.ReportDeliveryRequest_OUTCOME_DELIVERED {
		if added, err = b.suppress(tx, now, outcome); err != nil {
			return nil, err
		}
	}
	if !moved && !added {
		tx.Unchanged()
		return view(rec), nil
	}
	d.State, d.ReportTime = next, timestamppb.New(tx.Time)
	if err := b.wipe(tx, name); err != nil {
		return nil, err
	}
	if rec, err = b.deliveries.Update(tx, now, ""); err != nil {
		return nil, err
	}
	record(tx, d, false)
	return view(rec), nil
}

// suppress sends nothing more to where a delivery went, and reports whether that
// is new.
func (b *Book) suppress(tx *change.Tx, d *storev1.Delivery, cause identityv1.ReportDeliveryRequest_Outcome) (bool, error) {
	there, err := b.suppressed(tx, d)
	if err != nil || there {
		return false, err
	}
	s := &identityv1.Suppression{
		Name: suppressionName(organizationOf(d), d.GetTargetHash()), Channel: d.GetDelivery().GetChannel(),
		TargetHint: d.GetDelivery().GetTargetHint(), Cause: cause, Delivery: d.GetDelivery().GetName(), CreateTime: timestamppb.New(tx.Time),
	}
	_, err = b.suppressions.Create(tx, s)
	tx.Record(change.Change{Resource: s.GetName(), Type: "guildhall.identity.suppression.created.v1", Covered: true})
	return true, err
}

// Suppressions returns a page of an organisation's suppressions, by name, and
// where to go on behind it, nil at the end.
func (b *Book) Suppressions(r kv.Reader, organization string, after []byte, limit int) (out []*identityv1.Suppression, next []byte, err error) {
	page, err := b.suppressions.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	for _, rec := range page.Records {
		out = append(out, shown(rec))
	}
	return out, page.Next, err
}

// DeleteSuppression lets messages go to a target again, and returns what the
// suppression was. Errors are NotFound (SUPPRESSION_NOT_FOUND) and Conflict
// (ETAG_MISMATCH).
func (b *Book) DeleteSuppression(tx *change.Tx, name, etag string) (*identityv1.Suppression, error) {
	rec, err := b.suppressions.Delete(tx, key(name), etag)
	if errs.Is(err, errs.NotFound) {
		err = errs.NotFoundName(suppressionNotFound, name)
	}
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: "guildhall.identity.suppression.deleted.v1"})
	return shown(rec), nil
}

func shown(rec kv.Record[*identityv1.Suppression]) *identityv1.Suppression {
	s := proto.CloneOf(rec.Value)
	s.Etag = rec.Etag
	return s
}
