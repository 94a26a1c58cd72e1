package group

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/groupchat/store/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// grantRoles are the built-in roles of service permission that follow from a
// membership.
var grantRoles = map[groupchatv1.MemberRole]string{
	plain: "roles/group.member",
	admin: "roles/group.admin",
	owner: "roles/group.owner",
}

// intend writes what service permission is to hear: the account's role in the
// group, 0 for none. A later intent for the same account replaces an earlier
// one, delivered or not; the version tells permission which is which.
func (g *Groups) intend(tx *change.Tx, group *groupchatv1.Group, account string, role groupchatv1.MemberRole) error {
	_, err := g.intents.Put(tx, &storev1.GrantIntent{
		Subject:    account,
		Resource:   group.GetName(),
		Role:       grantRoles[role],
		Version:    group.GetMemberVersion(),
		CreateTime: timestamppb.New(tx.Time),
	}, "")
	return err
}

// Intents returns a page of the intents in the order of their keys, those of
// one group, or of all when group is empty, and where the next one starts.
func (g *Groups) Intents(r kv.Reader, group string, after []byte, limit int) ([]*storev1.GrantIntent, []byte, error) {
	q := kv.Query{After: after, Limit: limit}
	if group != "" {
		q.Prefix = nameKey(group)
	}
	p, err := g.intents.List(r, q)
	if err != nil {
		return nil, nil, err
	}
	out := make([]*storev1.GrantIntent, len(p.Records))
	for i, rec := range p.Records {
		out[i] = rec.Value
	}
	return out, p.Next, nil
}

// Done removes an intent that permission has confirmed, unless a later one has
// replaced it.
func (g *Groups) Done(tx kv.Tx, i *storev1.GrantIntent) error {
	current, err := g.isCurrent(tx, i)
	if err != nil || !current {
		return err
	}
	_, err = g.intents.Delete(tx, intentKey(i.GetResource(), i.GetSubject()), "")
	return err
}

// Outbid is for an intent that permission ignored because it holds a later
// version, and returns the one to send instead: nil when the later version is
// from a later intent, as it should be. Otherwise our versions have fallen
// behind, as when a purged group is made anew by a replica whose clock is slow:
// the group's goes on above the one in force.
func (g *Groups) Outbid(tx kv.Tx, i *storev1.GrantIntent, inForce int64) (*storev1.GrantIntent, error) {
	current, err := g.isCurrent(tx, i)
	if err != nil || !current {
		return nil, err
	}
	rec, found, err := g.groups.Find(tx, nameKey(i.GetResource()))
	if err != nil {
		return nil, err
	}
	now := proto.CloneOf(i)
	now.Version = max(rec.Value.GetMemberVersion(), inForce) + 1
	if found {
		rec.Value.MemberVersion = now.Version
		if _, err := g.groups.Update(tx, rec.Value, ""); err != nil {
			return nil, err
		}
	}
	_, err = g.intents.Put(tx, now, "")
	return now, err
}

// isCurrent reports whether the intent is still to be delivered.
func (g *Groups) isCurrent(r kv.Reader, i *storev1.GrantIntent) (bool, error) {
	rec, found, err := g.intents.Find(r, intentKey(i.GetResource(), i.GetSubject()))
	return found && rec.Value.GetVersion() == i.GetVersion(), err
}
