package grant

import (
	"time"

	"google.golang.org/protobuf/proto"
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

// LimitManaged says when what a service gave a subject ends: the role on the
// very resource; nil is never. The service's next word, which it owes when the
// role is over, replaces it; until then nothing counts that rests on the role.
// Both grants of the Effect are nil when there is nothing to change.
func (s *Grants) LimitManaged(tx kv.Tx, at time.Time, subject, resource, role string, ends *timestamppb.Timestamp) (Effect, error) {
	var found string
	for g, err := range s.Of(tx, subject) {
		if err != nil {
			return Effect{}, err
		}
		if g.GetManagedBy() != "" && g.GetResource() == resource && g.GetRole() == role &&
			g.GetExpireTime().GetSeconds() != ends.GetSeconds() {
			found = g.GetName()
		}
	}
	if found == "" {
		return Effect{}, nil
	}
	var e Effect
	rec, err := s.table.Modify(tx, keyOf(found), "", func(g *permissionv1.Grant) error {
		e.Before = proto.CloneOf(g)
		g.ExpireTime = ends
		return nil
	})
	if err != nil {
		return Effect{}, err
	}
	e.After = rec.Value
	e.Revision, err = touch(tx, at, rec.Value)
	return e, err
}
