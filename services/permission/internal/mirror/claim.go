package mirror

import (
	"context"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
)

// What one replica reads of identity must not be applied over what another has
// heard since. So a reading is claimed, and the claim is checked in each
// transaction that applies some of it; an event that any replica handles ends
// it. The claim expires, because its holder may crash.
const (
	claimFor   = 30 * time.Second
	renewAfter = claimFor / 3
	letGoWait  = 5 * time.Second
)

var claimKey = kv.Key{kv.String("identity")}

func claims() *kv.Table[*storev1.Resync] {
	return kv.NewTable(kv.TableConfig[*storev1.Resync]{
		Name: "resyncs", Key: func(*storev1.Resync) kv.Key { return claimKey },
	})
}

// claim is the right to apply what was read.
type claim struct {
	m       *Mirror
	holder  string
	renewed time.Time
}

func (m *Mirror) claim(ctx context.Context, holder string) (*claim, error) {
	c := &claim{m: m, holder: holder, renewed: m.cfg.Clock()}
	err := m.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		old, found, err := m.claims.Find(tx, claimKey)
		if err != nil {
			return err
		}
		if found && old.Value.GetExpireMillis() > c.renewed.UnixMilli() {
			return lost("another replica is reading all of identity")
		}
		return c.put(tx, c.renewed)
	})
	return c, err
}

func (c *claim) put(tx kv.Tx, now time.Time) error {
	_, err := c.m.claims.Put(tx, &storev1.Resync{Holder: c.holder, ExpireMillis: now.Add(claimFor).UnixMilli()}, "")
	return err
}

// check fails when the claim has ended, and renews it otherwise.
func (c *claim) check(tx kv.Tx, now time.Time) error {
	rec, found, err := c.m.claims.Find(tx, claimKey)
	if err != nil {
		return err
	}
	if !found || rec.Value.GetHolder() != c.holder {
		return lost("another replica has gone on meanwhile")
	}
	return c.put(tx, now)
}

// renew keeps the claim while identity is read.
func (c *claim) renew(ctx context.Context) error {
	now := c.m.cfg.Clock()
	if now.Sub(c.renewed) < renewAfter {
		return nil
	}
	c.renewed = now
	return c.m.cfg.Store.Update(ctx, func(tx kv.Tx) error { return c.check(tx, now) })
}

// letGo ends the claim also when ctx has ended, lest the next start waits for
// it to expire.
func (c *claim) letGo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoWait)
	defer cancel()
	return c.m.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		rec, found, err := c.m.claims.Find(tx, claimKey)
		if err != nil || !found || rec.Value.GetHolder() != c.holder {
			return err
		}
		return c.m.interrupt(tx)
	})
}

// interrupt ends any claim: an event is newer than what is being read.
func (m *Mirror) interrupt(tx kv.Tx) error {
	_, found, err := m.claims.Find(tx, claimKey)
	if err != nil || !found {
		return err
	}
	_, err = m.claims.Delete(tx, claimKey, "")
	return err
}

func lost(message string) error { return errs.New(errs.Unavailable, "RESYNC_ELSEWHERE", message) }
