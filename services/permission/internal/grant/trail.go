package grant

import (
	"guildhall.dev/pkg/change"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
)

// Types of the events of grants.
const (
	created = "guildhall.permission.grant.created.v1"
	updated = "guildhall.permission.grant.updated.v1"
	deleted = "guildhall.permission.grant.deleted.v1"
)

// Effect is what became of one grant.
type Effect struct {
	// Before and After are the grant; nil when there is none. Both are nil
	// when nothing changed.
	Before, After *permissionv1.Grant
	// Revision is the one that the change made.
	Revision revision.Revision
	// Version is, after SetManaged, that of the word now in force.
	Version int64
}

// Record notes the effect in the trace of the change that had it. The same
// events come of a grant whoever makes and ends it.
func (e Effect) Record(tx *change.Tx) {
	var c change.Change
	g := e.After
	switch {
	case e.Before == nil && e.After == nil:
		tx.Unchanged()
		return
	case e.Before == nil:
		c.Type, c.ChangedFields = created, change.ChangedFields(nil, g)
	case e.After == nil:
		g, c.Type = e.Before, deleted
	default:
		c.Type, c.ChangedFields = updated, change.ChangedFields(e.Before, g)
	}
	c.Resource = g.GetName()
	c.Data = &permissionv1.GrantChanged{
		Subject: g.GetSubject(), Role: g.GetRole(), Resource: g.GetResource(), Revision: e.Revision.Number,
	}
	tx.Record(c)
}
