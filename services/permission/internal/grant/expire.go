package grant

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func (w Word) expireTime() *timestamppb.Timestamp {
	if w.Expires == 0 || w.Role == "" {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: w.Expires}
}

// EndManaged lets what a service said that a subject holds allow nothing from
// the time on: the role on the very resource. The service's own next word, which
// it owes, replaces it; until then nothing counts that rests on a role that is
// over. Both grants of the Effect are nil when there is no such grant.
func (s *Grants) EndManaged(tx kv.Tx, at time.Time, subject, resource, role string) (Effect, error) {
	var found string
	for g, err := range s.Of(tx, subject) {
		if err != nil {
			return Effect{}, err
		}
		if g.GetManagedBy() != "" && g.GetResource() == resource && g.GetRole() == role {
			found = g.GetName()
		}
	}
	if found == "" {
		return Effect{}, nil
	}
	var e Effect
	rec, err := s.table.Modify(tx, keyOf(found), "", func(g *permissionv1.Grant) error {
		e.Before = &permissionv1.Grant{Name: g.GetName(), ExpireTime: g.GetExpireTime()}
		g.ExpireTime = &timestamppb.Timestamp{Seconds: at.Unix()}
		return nil
	})
	if err != nil {
		return Effect{}, err
	}
	e.After = rec.Value
	e.Revision, err = touch(tx, at, rec.Value)
	return e, err
}
