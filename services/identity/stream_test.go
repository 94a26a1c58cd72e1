package identity_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity"
)

// TestStreams_endWithTheirCallersRights also ends an import on its way: what it
// has answered is done, and the rest is not.
func TestStreams_endWithTheirCallersRights(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, conn grpc.ClientConnInterface) func() error{
		"StreamEvents": func(t *testing.T, conn grpc.ClientConnInterface) func() error {
			events := identityv1.NewIdentityEventServiceClient(conn)
			return servetest.Standing(events.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: org}))(t)
		},
		"ImportCustomers": importing,
	} {
		for _, engine := range testkit.Engines() {
			t.Run(name+"/"+engine, servetest.Ending{
				Organization: org, Caller: org + "/staff/clerk", Other: org + "/staff/bo", Open: open,
				Start: func(t *testing.T, rights *servetest.Rights) *servetest.Server {
					build := func(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
						kit.Issuer, kit.Console = issuer, io.Discard
						return identity.New(ctx, config(), kit)
					}
					return servetest.Start(t, "identity", build, servetest.Options{Engine: engine, May: rights.May, Standing: rights.Standing})
				},
			}.Test)
		}
	}
}

// importing sends a batch of customers and one more, and the end never.
func importing(t *testing.T, conn grpc.ClientConnInterface) func() error {
	stream, err := identityv1.NewCustomerServiceClient(conn).ImportCustomers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	lines.WriteString("external_id\n")
	for i := range 501 {
		fmt.Fprintf(&lines, "%d\n", i)
	}
	for _, req := range []*identityv1.ImportCustomersRequest{
		{Content: &identityv1.ImportCustomersRequest_Options{Options: &identityv1.ImportOptions{Parent: org}}},
		{Content: &identityv1.ImportCustomersRequest_Data{Data: []byte(lines.String())}},
	} {
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	return servetest.Standing(stream, nil)(t)
}
