package group

import (
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
)

// grace is how long after its purge time a group is purged: longer than the
// clocks of two replicas differ, so that none undeletes what another is
// removing.
const grace = time.Minute

// Due returns the names of up to limit deleted groups whose purge time has
// been over for a minute.
func (g *Groups) Due(r kv.Reader, now time.Time, limit int) ([]string, error) {
	var names []string
	for rec, err := range g.groups.Scan(r, kv.Query{Index: "purge", Until: kv.Key{kv.Time(now.Add(-grace))}, Limit: limit}) {
		if err != nil {
			return nil, err
		}
		names = append(names, rec.Value.GetName())
	}
	return names, nil
}

// purgeChunk is how many members one transaction of a purge removes.
const purgeChunk = 200

// IsDue reports whether the group is one of those that Due returns. A group
// that was undeleted, or is gone, is not.
func (g *Groups) IsDue(r kv.Reader, name string, now time.Time) (bool, error) {
	rec, found, err := g.groups.Find(r, nameKey(name))
	purge := rec.Value.GetPurgeTime()
	return found && purge != nil && purge.AsTime().Before(now.Add(-grace)), err
}

// Purge removes up to a chunk of a due group's members, and the group itself
// once there are none. It reports whether the group is gone.
func (g *Groups) Purge(tx *change.Tx, name string) (gone bool, err error) {
	rec, err := g.groups.Get(tx, nameKey(name))
	if err != nil {
		return false, err
	}
	p, err := g.members.List(tx, kv.Query{Prefix: nameKey(name), Limit: purgeChunk})
	if err != nil {
		return false, err
	}
	v := rec.Value
	v.MemberVersion = nextVersion(v.MemberVersion, tx.Time)
	v.MemberCount -= int32(len(p.Records))
	for _, m := range p.Records {
		if err := g.removeMember(tx, v, m.Value); err != nil {
			return false, err
		}
	}
	if p.Next != nil {
		_, err := g.groups.Update(tx, v, "")
		return false, err
	}
	if _, err := g.groups.Delete(tx, nameKey(name), ""); err != nil {
		return false, err
	}
	if _, err := g.words.Remove(tx, nameKey(name)); err != nil {
		return false, err
	}
	record(tx, name, "purged")
	return true, nil
}
