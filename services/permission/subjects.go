package permission

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/subjectdata"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/request"
)

// newSubjects returns what erases, gives out and moves what is kept of a customer: what
// it was given and told, and what it asked for. What it was given never moves. What others wrote about it, as
// appraisals, is theirs to show.
func (s *Service) newSubjects(c *centres, kit *serve.Kit) *subjectdata.Server {
	return subjectdata.NewServer(
		erasure.NewEraser(erasure.Config{
			Service: Name, Book: c.books.Erasures, Journal: s.journal.Changes,
			Steps: []erasure.Step{s.mirror.Erase, c.people.notices.Erase, c.people.requests.Erase, c.books.Moves.Erase},
		}),
		portability.New(portability.Config{Service: Name, Store: s.journal.Store, Pages: s.journal.Pages, Kinds: []portability.Kind{
			{Name: "grants", List: portability.FromPages(func(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.Grant, []byte, error) {
				found, next, err := c.grants.List(r, resource.Parent(account), grant.Filter{Subject: account}, after, limit)
				for i, g := range found {
					found[i] = shownToHolder(g)
				}
				return found, next, err
			})},
			{Name: "change_requests", List: portability.FromPages(func(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.PermissionChangeRequest, []byte, error) {
				return c.people.requests.List(r, account, request.Filter{}, after, limit)
			})},
			{Name: "notices", List: portability.FromPages(func(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.Notice, []byte, error) {
				return c.people.notices.List(r, account, nil, after, limit)
			})},
			{Name: "appointment_notices", List: portability.FromPages(func(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.AppointmentNotice, []byte, error) {
				return c.people.appointments.ListNotices(r, account, "", after, limit)
			})},
			{Name: "training_records", List: portability.FromPages(func(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.TrainingRecord, []byte, error) {
				return c.people.qualifications.ListRecords(r, kit.Clock(), account, "", after, limit)
			})},
		}}),
		move.NewMover(move.Config{
			Service: Name, Book: c.books.Moves, Erasures: c.books.Erasures, Journal: s.journal.Changes, Store: s.journal.Store,
			Kinds: []move.Kind{
				c.people.requests.Moved(), c.people.notices.Moved(), c.people.appointments.Moved(), c.people.qualifications.Moved(),
			},
			Logger: kit.Logger, Clock: kit.Clock,
		}),
	)
}

// shownToHolder is a grant without what those who gave it noted for themselves: why,
// who, and under which condition.
func shownToHolder(g *permissionv1.Grant) *permissionv1.Grant {
	g = proto.CloneOf(g)
	g.Reason, g.Creator, g.Condition = "", "", nil
	return g
}
