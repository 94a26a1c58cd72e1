package servetest

import (
	"context"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Changed tells the server's open streams that what these names of an
// organisation may do has changed, as service permission does; no names are
// everything. It returns when the server has heard. Options.May and
// Options.Standing say what is true now.
func (s *Server) Changed(organization string, names ...string) {
	s.changes <- &permissionv1.WatchChangesResponse{Changes: []*permissionv1.ChangedNames{
		{Organization: organization, Names: names, Everything: len(names) == 0},
	}}
}

// changes is a watch of which the test is the other end.
type changes struct {
	ctx  context.Context
	from <-chan *permissionv1.WatchChangesResponse
}

// Send implements watch.Watch.
func (c *changes) Send(*permissionv1.WatchChangesRequest) error { return nil }

// Recv implements watch.Watch.
func (c *changes) Recv() (*permissionv1.WatchChangesResponse, error) {
	select {
	case resp := <-c.from:
		return resp, nil
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
}
