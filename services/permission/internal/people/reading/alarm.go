package reading

import (
	"context"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	raised = "guildhall.permission.alarm.raised.v1"
	action = "permission.alarms.raise"
)

func newAlarms() *kv.Table[*permissionv1.Alarm] {
	return kv.NewTable(kv.TableConfig[*permissionv1.Alarm]{
		Name: "alarms", Key: func(a *permissionv1.Alarm) kv.Key {
			return kv.Key{kv.String(resource.Parent(a.GetName())), kv.Time(a.GetCreateTime().AsTime()), kv.String(a.GetName())}
		},
	})
}

// alarm raises the alarm of an account unless another replica has, and leaves
// it at that for a window. The merge that follows tries again what fails.
func (c *Counter) alarm(ctx context.Context, k key, t *tracker) {
	ctx, cancel := context.WithTimeout(ctx, mergeTimeout)
	defer cancel()
	quiet, first := time.Time{}, false
	err := change.DoSystem(ctx, c.cfg.Journal, action, func(tx *change.Tx) error {
		rec, err := c.readings.Get(tx, k.inStore())
		if err != nil {
			return err
		}
		v := rec.Value
		if quiet, first = v.GetQuietTime().AsTime(), false; t.last.Before(quiet) {
			tx.Unchanged()
			return nil
		}
		quiet, first = t.last.Add(2*t.half), true
		v.QuietTime, v.EndTime = timestamppb.New(quiet), timestamppb.New(endAfter(quiet))
		if _, err := c.readings.Put(tx, v, rec.Etag); err != nil {
			return err
		}
		return c.raise(tx, k, t)
	})
	if err != nil {
		if ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "an alarm could not be raised; trying again", "error", err)
		}
		c.away = true // not with each read
		c.touch(k)
		return
	}
	t.quiet = quiet
	if first {
		c.raised.Add(1)
	}
}

func (c *Counter) raise(tx *change.Tx, k key, t *tracker) error {
	estimate := int32(math.Ceil(t.estimate()))
	a := &permissionv1.Alarm{
		Name: resource.Parent(k.rule) + "/alarms/" + tx.NewID(), Rule: k.rule, Subject: k.subject, Resources: estimate,
		StartTime: timestamppb.New(t.from()), CreateTime: timestamppb.New(tx.Time),
	}
	if _, err := c.alarms.Create(tx, a); err != nil {
		return err
	}
	tx.Record(change.Change{Resource: a.GetName(), Type: raised, Data: &permissionv1.AlarmRaised{
		Rule: a.GetRule(), Subject: a.GetSubject(), Resources: estimate,
	}})
	return nil
}

// List returns a page of an organisation's alarms, newest first, and where the
// next one starts, nil at the end.
func (c *Counter) List(r kv.Reader, organization string, after []byte, limit int) ([]*permissionv1.Alarm, []byte, error) {
	page, err := c.alarms.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*permissionv1.Alarm, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, nil
}
