package permission

import (
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/portability"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/request"
)

// newExporter returns what gives out what is kept of an account: what it was given
// and told, and what it asked for. What others wrote about it, as appraisals, is
// theirs to show.
func newExporter(c *centres, store kv.Store, kit *serve.Kit) (*portability.Exporter, error) {
	pages, err := page.NewCodec(kit.Ring.Derive("permission export tokens"))
	if err != nil {
		return nil, err
	}
	return portability.New(portability.Config{Service: Name, Store: store, Pages: pages, Kinds: []portability.Kind{
		{Name: "grants", List: portability.FromPages(func(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.Grant, []byte, error) {
			return c.grants.List(r, resource.Parent(account), grant.Filter{Subject: account}, after, limit)
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
	}}), nil
}
