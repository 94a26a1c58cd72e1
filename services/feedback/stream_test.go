package feedback_test

import (
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

func TestStreamEvents_endsWithItsCallersRights(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, servetest.Ending{
			Organization: acme, Caller: clerk, Other: acme + "/staff/bo",
			Start: func(t *testing.T, rights *servetest.Rights) *servetest.Server {
				return start(t, servetest.Options{Engine: engine, May: rights.May, Standing: rights.Standing})
			},
			Open: func(t *testing.T, conn grpc.ClientConnInterface) func() error {
				events := feedbackv1.NewFeedbackEventServiceClient(conn)
				return servetest.Standing(events.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme}))(t)
			},
		}.Test)
	}
}
