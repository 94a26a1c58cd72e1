package group

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

func departures() *kv.Table[*storev1.Departure] {
	return kv.NewTable(kv.TableConfig[*storev1.Departure]{
		Name: "departures", Key: func(d *storev1.Departure) kv.Key { return nameKey(d.GetAccount()) },
	})
}

// Depart notes that an account is gone for good; Leave takes it out of its
// groups.
func (g *Groups) Depart(tx kv.Tx, d *storev1.Departure) error {
	_, err := g.departures.Put(tx, d, "")
	return err
}

// Departures returns up to limit accounts that Leave has work for.
func (g *Groups) Departures(r kv.Reader, limit int) ([]*storev1.Departure, error) {
	p, err := g.departures.List(r, kv.Query{Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]*storev1.Departure, len(p.Records))
	for i, rec := range p.Records {
		out[i] = rec.Value
	}
	return out, nil
}

// Leave takes a departed account out of one of its groups, and says which; it
// returns "" when it is in none, and crosses the departure off. Who joined
// after the departure is somebody else of the same name, and stays.
//
// The oldest administrator, or else the oldest member, becomes the owner of a
// group that the account owned. With nobody left the group is deleted.
func (g *Groups) Leave(tx *change.Tx, d *storev1.Departure) (group string, err error) {
	for rec, err := range g.members.Scan(tx, kv.Query{Index: "account", Prefix: nameKey(d.GetAccount())}) {
		if err != nil {
			return "", err
		}
		if m := rec.Value; !m.GetCreateTime().AsTime().After(d.GetTime().AsTime()) {
			return resource.Parent(m.GetName()), g.leave(tx, m)
		}
	}
	tx.Unchanged()
	_, found, err := g.departures.Find(tx, nameKey(d.GetAccount()))
	if err != nil || !found {
		return "", err
	}
	_, err = g.departures.Delete(tx, nameKey(d.GetAccount()), "")
	return "", err
}

func (g *Groups) leave(tx *change.Tx, m *groupchatv1.Member) error {
	rec, err := g.groups.Get(tx, nameKey(resource.Parent(m.GetName())))
	if err != nil {
		return err
	}
	v := rec.Value
	v.MemberCount--
	v.MemberVersion = nextVersion(v.MemberVersion, tx.Time)
	v.UpdateTime = timestamppb.New(tx.Time)
	if err := g.removeMember(tx, v, m); err != nil {
		return err
	}
	if v.GetOwner() == m.GetAccount() {
		if err := g.succeed(tx, v); err != nil {
			return err
		}
	}
	_, err = g.groups.Update(tx, v, "")
	return err
}

// succeed gives a group whose owner is gone another one.
func (g *Groups) succeed(tx *change.Tx, v *groupchatv1.Group) error {
	heir, err := g.heir(tx, v.GetName())
	if err != nil {
		return err
	}
	if heir == nil {
		v.Owner = ""
		if v.DeleteTime == nil {
			v.DeleteTime = timestamppb.New(tx.Time)
			v.PurgeTime = timestamppb.New(tx.Time.Add(g.limits.PurgeAfter))
			record(tx, v.GetName(), "deleted", "delete_time", "purge_time")
		}
		return nil
	}
	v.Owner = heir.GetAccount()
	heir.Role, heir.UpdateTime = owner, timestamppb.New(tx.Time)
	if _, err := g.members.Update(tx, heir, ""); err != nil {
		return err
	}
	recordMember(tx, heir, "updated", "role")
	return g.intend(tx, v, heir.GetAccount(), owner)
}

// heir returns the oldest administrator, or else the oldest member; nil when
// there is nobody.
func (g *Groups) heir(r kv.Reader, group string) (heir *groupchatv1.Member, err error) {
	for rec, err := range g.members.Scan(r, kv.Query{Prefix: nameKey(group)}) {
		if err != nil {
			return nil, err
		}
		m := rec.Value
		older := m.GetCreateTime().AsTime().Before(heir.GetCreateTime().AsTime())
		if heir == nil || m.GetRole() > heir.GetRole() || m.GetRole() == heir.GetRole() && older {
			heir = m
		}
	}
	return heir, nil
}
